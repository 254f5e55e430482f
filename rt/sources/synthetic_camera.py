"""The demo's camera: a synthetic face that moves with the same script as the synthetic EMG."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engines.emg.simulator import ActivationScript
from engines.errors import EngineError
from engines.face.blendshapes import BLENDSHAPES
from engines.face.subject import EXPRESSIONS, HEIGHT, WIDTH, Subject
from rt import clock
from rt.errors import BadSettings
from rt.message import Face, Frame, Message
from rt.sources.pacing import first_number, wait_until
from rt.stage import Context, Emit, Source

_TOLD_EVERY_S = 1.0


@dataclass(frozen=True)
class SyntheticCameraSettings:
    """How fast, and since when."""

    fps: float = 30.0
    start_s: float | None = None  # LSL seconds at which the script begins, the EMG's too; None: at the first read
    seed: int = 0  # of the picture's noise


class SyntheticCamera(Source[SyntheticCameraSettings]):
    """Draws the face at 640x480, on an absolute schedule, into the runtime's buffer.

    A picture shows the script's expression at its `t_capture`, and is drawn before that moment comes, so that a
    latency measured from it does not contain the drawing. Whoever is late gets the newest; the ones left out are
    counted (fact `skipped`).
    """

    Settings = SyntheticCameraSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: SyntheticCameraSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not 0 < settings.fps <= 240:
            raise BadSettings(f"camera.fps is {settings.fps:g}: give a rate above 0 and at most 240")
        self._script = ActivationScript()
        self._number = first_number(context.generation)
        self._t_zero = settings.start_s
        self._first_tick: int | None = None
        self._next_tick = 0  # pictures since the script began
        self._drawn: tuple[int, np.ndarray] | None = None  # its tick, and the picture waiting for it
        self._skipped = 0
        self._t_told = 0.0

    def open(self) -> None:
        """Load the face and draw once. Raises BadSettings when its bundle is damaged."""
        try:
            self._subject = Subject(seed=self.settings.seed)
        except EngineError as error:
            raise BadSettings(str(error)) from error
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        self._subject.render(dict.fromkeys(EXPRESSIONS, 1.0), 0.0, picture)  # every movement, so that all is compiled
        self.context.tell(device="synthetic", synthetic=True, width=WIDTH, height=HEIGHT, fps=self.settings.fps)

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The next picture when its time has come; it never ends."""
        if self._t_zero is None:
            self._t_zero = clock.now()
        newest_due = int(np.floor((clock.now() - self._t_zero) * self.settings.fps))
        if self._first_tick is None:  # a script that began earlier is not caught up with
            self._first_tick = self._next_tick = max(newest_due, 0)
        if self._drawn is None or self._drawn[0] < newest_due:
            self._prepare(max(newest_due, self._next_tick))
        assert self._drawn is not None
        tick, image = self._drawn
        t_due = self._t_zero + tick / self.settings.fps
        if not wait_until(t_due, timeout_s):
            return ()
        self._drawn, self._next_tick = None, tick + 1
        self._tell()
        number, self._number = self._number, self._number + 1
        return [("frame", Frame(number, t_due, "device", image, self._truth(tick / self.settings.fps)))]

    def _truth(self, t_s: float) -> Face:
        """The face as it was drawn: stands in where no face model is installed, a face model replaces it."""
        wanted = self._script.expression(t_s)
        shapes = np.array([wanted.get(name, 0.0) for name in BLENDSHAPES], np.float32)
        return Face(self._subject.landmarks_px(wanted, t_s), shapes)

    def _prepare(self, tick: int) -> None:
        self._skipped += tick - self._next_tick
        self._next_tick = tick
        image = self._drawn[1] if self._drawn else self.context.frame_buffer("frame", (HEIGHT, WIDTH, 3))
        self._drawn = tick, self._draw(image, tick / self.settings.fps)

    def _draw(self, image: np.ndarray, t_s: float) -> np.ndarray:
        wanted = self._script.expression(t_s)
        return self._subject.render({name: wanted.get(name, 0.0) for name in EXPRESSIONS}, t_s, image)

    def _tell(self) -> None:
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(skipped=self._skipped)
