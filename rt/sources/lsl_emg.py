"""EMG from an LSL outlet: found, checked channel by channel, dated, and got back when it was away.

A thread of its own pulls, because liblsl's queue must never wait for the work loop. liblsl's silent recovery is off:
a restarted outlet may have its channels in another order, so every connection reads the description again.
"""

import contextlib
import math
import queue
import socket
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rt import clock, lsl
from rt.errors import BadSettings, MissingDevice
from rt.message import Chunk, Message
from rt.sources.emg_stream import LslEmgSettings, find, fit
from rt.sources.emg_timeline import EmgTimeline, Piece
from rt.stage import Context, Emit, Source

_MOST_SAMPLES = 8192  # per pull; liblsl's default of 1024 falls behind without a word
_BUFFER_S = 60  # a smaller queue in liblsl drops samples silently
_PULL_S = 0.05
_LAST_PULL_S = 0.3
_ANSWER_S = 3.0  # for an outlet to describe itself or open its stream
_LOOK_EVERY_S = 0.02
_SILENT_S = 0.5
_REPLACED_S = 1.0  # silent for so long: look whether the same amplifier is there under a new connection
_OFFSET_EVERY_S = 5.0
_TOLD_EVERY_S = 1.0
_MOST_WAITING = 4096  # chunks; about a minute
_WRONG_RATE = 0.005


class LslEmgSource(Source[LslEmgSettings]):
    """Chunks in montage order, microvolt; a gap in the stream is a GAP event and `Chunk.gap_s`."""

    Settings = LslEmgSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"emg": Chunk}

    def __init__(self, settings: LslEmgSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._puller: _Puller | None = None
        self._t_told = 0.0

    def open(self) -> None:
        """Find the outlet and connect, waiting up to wait_s.

        Raises MissingDevice with what the network has instead, BadSettings when the outlet's channels, unit, rate or
        format do not fit. A source that is restarted while the amplifier is away waits for it in the background.
        """
        s = self.settings
        if not (1 <= s.chunk_ms <= 1000 and s.wait_s >= 0):
            raise BadSettings(
                f"EMG over LSL needs 1 <= chunk_ms <= 1000 and wait_s >= 0, got {s.chunk_ms:g} and {s.wait_s:g}"
            )
        pylsl = lsl.library(s.reach, s.session)
        puller = _Puller(pylsl, s)
        try:
            puller.connect(find(pylsl, s.wanted(), s.wait_s, self.context))
        except MissingDevice as error:
            if not self.context.generation:
                raise
            self.context.event("ALARM", f"the EMG stream is away: {error}")
        self._puller = puller
        puller.start()

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The chunks that have come; events of the pulling thread are passed on here, in the work loop's thread."""
        assert self._puller is not None, "read before open"
        emits: list[Emit] = []
        try:
            item = self._puller.items.get(timeout=timeout_s)
            while True:
                self._take(item, emits)
                item = self._puller.items.get_nowait()
        except queue.Empty:
            self._tell(self._puller)
        return emits

    def finish(self) -> Iterable[Emit]:
        """What had been pulled when the session was stopped."""
        emits: list[Emit] = []
        if self._puller is not None:
            self._puller.stop(_LAST_PULL_S)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._take(self._puller.items.get_nowait(), emits)
        return emits

    def close(self) -> None:
        """Disconnect."""
        if self._puller is not None:
            self._puller.stop()

    def _take(self, item: "Chunk | _Said | Exception", emits: list[Emit]) -> None:
        if isinstance(item, Exception):
            raise item
        if isinstance(item, Chunk):
            emits.append(("emg", item))
        else:
            self.context.event(item.kind, item.text, **item.data)

    def _tell(self, puller: "_Puller") -> None:
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(**puller.facts())


class _Said(NamedTuple):
    """An event on its way to the work loop's thread."""

    kind: str
    text: str
    data: dict[str, Any]


class _Puller(threading.Thread):
    """Pulls, dates and maps; reconnects. Everything for the work loop goes through `items`."""

    def __init__(self, pylsl: Any, settings: LslEmgSettings) -> None:
        super().__init__(name="lsl-emg", daemon=True)
        self.items: queue.SimpleQueue[Chunk | _Said | Exception] = queue.SimpleQueue()
        self._pylsl = pylsl
        self._settings = settings
        self._wanted = settings.wanted()
        self._stop_asked = threading.Event()
        self._inlet: Any = None
        self._watch: lsl.Watch | None = None
        self._rejected: set[str] = set()  # uids of streams that do not fit
        self._uid = self._name = ""
        self._rate_hz = 0.0
        self._columns = np.zeros(0, np.int64)
        self._timeline: EmgTimeline | None = None
        self._offset_s, self._t_offset, self._remote = 0.0, 0.0, False
        self._samples = self._gaps = 0
        self._t_data = clock.now()
        self._silence_told = self._rate_told = self._arrival_told = False

    # ------------------------------------------------------------------ the work loop's side

    def connect(self, info: Any) -> None:
        """Open the stream and check it. Raises MissingDevice, BadSettings."""
        util = self._pylsl.util
        inlet = self._pylsl.StreamInlet(info, max_buflen=_BUFFER_S, recover=False)
        try:
            full = inlet.info(timeout=_ANSWER_S)
            found = fit(full, self._settings)
            inlet.open_stream(timeout=_ANSWER_S)
            self._remote = full.hostname() != socket.gethostname()
            self._offset_s = inlet.time_correction(timeout=_ANSWER_S) if self._remote else 0.0
        except (util.TimeoutError, util.LostError) as error:
            raise MissingDevice(f"the LSL stream {info.name()!r} was found but does not answer: restart it") from error
        if self._rate_hz and found.rate_hz != self._rate_hz:
            raise BadSettings(
                f"the LSL stream {info.name()!r} came back with {found.rate_hz:g} Hz instead of {self._rate_hz:g} Hz: "
                "set the old rate, or start a new session"
            )
        inlet.flush()
        if self._timeline is None:
            self._timeline = EmgTimeline(found.rate_hz)
        self._inlet, self._uid, self._name = inlet, str(info.uid()), str(info.name())
        self._columns, self._scale, self._rate_hz = found
        self._buffer = np.empty((_MOST_SAMPLES, inlet.channel_count), inlet.np_dtype)
        self._picked = np.empty((_MOST_SAMPLES, len(self._columns)), inlet.np_dtype)
        self._least = min(max(round(self._settings.chunk_ms * 1e-3 * found.rate_hz), 1), _MOST_SAMPLES)
        self._t_data = self._t_offset = clock.now()
        self._remember(str(info.source_id()))

    def _remember(self, source_id: str) -> None:
        """From now on only this very amplifier will do."""
        if not source_id and not self._wanted.source_id:
            text = f"the LSL stream {self._name!r} has no source_id: after a restart it is known by its name only"
            self._say("ALARM", text)
        self._wanted = replace(self._wanted, name=self._name, source_id=source_id)

    def stop(self, wait_s: float = 2.0) -> None:
        """End the thread, waiting for it at most so long, and disconnect."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(wait_s)
        self._inlet = self._watch = None

    def facts(self) -> dict[str, Any]:
        """For the status line and the report."""
        measured = self._timeline.measured_rate_hz if self._timeline else math.nan
        known = {"measured_rate_hz": round(measured, 2)} if measured == measured else {}
        return {
            "device": self._name,
            "rate_hz": self._rate_hz,
            "channels": len(self._columns),
            "samples": self._samples,
            "gaps": self._gaps,
            **known,
        }

    # ------------------------------------------------------------------ the thread's side

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                if self._inlet is None:
                    self._look()
                else:
                    self._pull()
        except Exception as error:  # noqa: BLE001 - not swallowed: the work loop raises it again
            self.items.put(error)

    def _pull(self) -> None:
        util = self._pylsl.util
        try:
            rows, stamps = self._inlet.pull_chunk(
                _PULL_S, _MOST_SAMPLES, self._buffer, min_samples=self._least, as_numpy=True
            )
            now = clock.now()
            stamps += self._offset(now) if self._remote else 0.0
        except (util.LostError, util.InternalError):
            self._disconnect()
            return
        if len(stamps):
            self._t_data, self._silence_told, self._watch = now, False, None
            self._hand_on(rows, stamps, now)
            return
        self._tell_silence(now)
        if now - self._t_data > _REPLACED_S:
            self._watch = self._watch or lsl.Watch(self._pylsl)
            if self._watch.fitting(self._wanted, {self._uid, *self._rejected}):
                self._disconnect()

    def _hand_on(self, rows: np.ndarray, stamps: np.ndarray, t_arrival: float) -> None:
        assert self._timeline is not None
        for piece in self._timeline.place(stamps, t_arrival):
            chunk = self._chunk(rows[piece.start : piece.stop], piece)
            self._tell_break(piece)
            if self.items.qsize() > _MOST_WAITING:
                self._timeline.interrupt()  # the work loop has been away for a minute: what it missed is an outage
            else:
                self.items.put(chunk)
        self._tell_clock(self._timeline)

    def _chunk(self, rows: np.ndarray, piece: Piece) -> Chunk:
        data = np.empty((len(rows), len(self._columns)), np.float32)
        if rows.dtype == np.float32:
            np.take(rows, self._columns, axis=1, out=data, mode="clip")  # 'clip' writes straight into out
            np.multiply(data, self._scale, out=data)
        else:
            picked = np.take(rows, self._columns, axis=1, out=self._picked[: len(rows)], mode="clip")
            np.multiply(picked, self._scale, out=data, casting="unsafe")
        first, self._samples = self._samples, self._samples + len(rows)
        return Chunk(data, self._rate_hz, piece.t0, first, gap_s=piece.gap_s)

    def _offset(self, now: float) -> float:
        """Seconds to add to the stamps of another machine; its changes are small and the timeline smooths them."""
        if now - self._t_offset > _OFFSET_EVERY_S:
            self._t_offset = now
            with contextlib.suppress(self._pylsl.util.TimeoutError):  # then the old one holds a little longer
                self._offset_s = self._inlet.time_correction(timeout=_ANSWER_S)  # at once, after the first time
        return self._offset_s

    def _disconnect(self) -> None:
        self._inlet = self._watch = None  # a fresh watch does not list an outlet that is gone
        if self._timeline is not None:
            self._timeline.interrupt()

    def _look(self) -> None:
        """One look for the amplifier while it is away."""
        self._watch = self._watch or lsl.Watch(self._pylsl)
        for info in self._watch.fitting(self._wanted, self._rejected):
            try:
                self.connect(info)
            except MissingDevice:  # it went away again; silence has already been told
                continue
            except BadSettings as error:
                self._rejected.add(str(info.uid()))
                self._say("ALARM", f"the EMG stream came back but does not fit: {error}")
                continue
            self._watch = None
            return
        self._tell_silence(clock.now())
        self._stop_asked.wait(_LOOK_EVERY_S)

    # ------------------------------------------------------------------ words

    def _say(self, kind: str, text: str, **data: Any) -> None:
        self.items.put(_Said(kind, text, data))

    def _tell_silence(self, now: float) -> None:
        if now - self._t_data > _SILENT_S and not self._silence_told:
            self._silence_told = True
            self._say("ALARM", f"the EMG stream is silent: nothing has come from {self._name or self._wanted}")

    def _tell_break(self, piece: Piece) -> None:
        if piece.kind in ("", "start"):
            return
        self._gaps += 1
        texts = {
            "lost": f"{piece.gap_s:.3f} s of EMG are missing: packets were lost",
            "outage": f"the EMG stream is back; {piece.gap_s:.2f} s are missing",
            "clock": f"the clock of the EMG stream {_stepped(piece.step_s)}: its samples are timed by their arrival",
        }
        step_s = round(piece.step_s, 3) if math.isfinite(piece.step_s) else None
        self._say("GAP", texts[piece.kind], gap_s=round(piece.gap_s, 6), cause=piece.kind, step_s=step_s)

    def _tell_clock(self, timeline: EmgTimeline) -> None:
        if timeline.by_arrival and not self._arrival_told:
            self._arrival_told = True
            text = (
                "the time stamps of the EMG stream cannot be true on this machine's clock: samples are timed by arrival"
            )
            self._say("ALARM", text)
        rate_hz = timeline.measured_rate_hz
        if not self._rate_told and abs(rate_hz / self._rate_hz - 1) > _WRONG_RATE:  # False while it is NaN
            self._rate_told = True
            text = (
                f"the EMG stream says {self._rate_hz:g} Hz but sends {rate_hz:.1f} Hz: check the amplifier's settings"
            )
            self._say("ALARM", text)


def _stepped(step_s: float) -> str:
    return f"stepped by {step_s:+.3f} s" if math.isfinite(step_s) else "gives no numbers"
