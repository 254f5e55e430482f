"""The demo's camera: the recording of a synthetic person, in step with the same person's synthetic EMG."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engines.errors import EngineError
from engines.face.demo_clip import CLEAN, ELECTRODES, DemoClip
from engines.face.sensor_noise import SensorNoise
from rt import clock
from rt.errors import BadSettings
from rt.message import Face, Frame, Message
from rt.sources.looped_clip import LoopedClip
from rt.sources.pacing import first_number, wait_until
from rt.stage import Context, Emit, Source

_TOLD_EVERY_S = 1.0


@dataclass(frozen=True)
class SyntheticCameraSettings:
    """How fast, and since when."""

    fps: float = 30.0  # another rate than the recording's shows the picture nearest in time
    start_s: float | None = None  # LSL seconds at which the performance begins, the EMG's too; None: at the first read
    seed: int = 0  # of the picture's noise
    electrodes: bool = True  # False: the same performance without electrodes


class SyntheticCamera(Source[SyntheticCameraSettings]):
    """Plays the person at 640x480, for ever, on an absolute schedule, into the runtime's buffer.

    A picture shows the performance at its `t_capture`, and is decoded before that moment comes, so that a latency
    measured from it does not contain the decoding. Whoever is late gets the newest; the ones left out are counted (fact
    `skipped`). The recording is clean; a webcam's noise is added here.
    """

    Settings = SyntheticCameraSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: SyntheticCameraSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not 0 < settings.fps <= 240:
            raise BadSettings(f"camera.fps is {settings.fps:g}: give a rate above 0 and at most 240")
        self._number = first_number(context.generation)
        self._t_zero = settings.start_s
        self._first_tick: int | None = None
        self._next_tick = 0  # pictures since the performance began
        self._drawn: tuple[int, np.ndarray] | None = None  # its tick, and the picture waiting for it
        self._skipped = 0
        self._t_told = 0.0

    def open(self) -> None:
        """Read the recording and decode a picture. Raises BadSettings when it is damaged."""
        try:
            self._person = DemoClip.load()
            self._clip = LoopedClip(self._person.videos[ELECTRODES if self.settings.electrodes else CLEAN])
        except EngineError as error:
            raise BadSettings(str(error)) from error
        height, width = self._clip.shape[:2]
        self._noise = SensorNoise(height, width, self.settings.seed)
        self._draw(np.empty(self._clip.shape, np.uint8), 0.0)
        self.context.tell(device="synthetic", synthetic=True, width=width, height=height, fps=self.settings.fps)

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The next picture when its time has come; it never ends."""
        if self._t_zero is None:
            self._t_zero = clock.now()
        newest_due = int(np.floor((clock.now() - self._t_zero) * self.settings.fps))
        if self._first_tick is None:  # a performance that began earlier is not caught up with
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
        number = self._number_at(t_s)
        return Face(self._person.landmarks_px(number), self._person.expression(number))

    def _prepare(self, tick: int) -> None:
        self._skipped += tick - self._next_tick
        self._next_tick = tick
        image = self._drawn[1] if self._drawn else self.context.frame_buffer("frame", self._clip.shape)
        self._drawn = tick, self._draw(image, tick / self.settings.fps)

    def _draw(self, image: np.ndarray, t_s: float) -> np.ndarray:
        number = self._number_at(t_s)
        self._clip.read(number, image)
        return self._noise.add(image, number)

    def _number_at(self, t_s: float) -> int:
        return round(t_s * self._clip.fps)

    def _tell(self) -> None:
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(skipped=self._skipped)
