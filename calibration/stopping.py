"""Ctrl-C and SIGTERM as a question that the training loop asks between two steps, not an exception within one."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Within it, the first Ctrl-C or SIGTERM only sets `asked`; the second works as before.

    Only the main thread may handle signals: elsewhere it does nothing.
    """

    def __init__(self, alone: bool = True) -> None:
        """alone: False under torchrun, which passes a terminal's Ctrl-C on, so that one arrives twice: none but the
        first counts then, and torchrun kills after 30 s."""
        self.asked = False
        self._alone = alone
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        except ValueError:  # not the main thread
            self._before = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._alone:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
