"""What the face does, from the picture alone: a face encoder on the crop, or MediaPipe's blendshapes as they came."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engines.errors import EngineError
from engines.face.crop import warp
from engines.face.expression_encoder import EncoderFit, ExpressionEncoder, crop_at_size, fitting
from engines.model import Model
from rt.errors import BadSettings
from rt.message import Crop, Expression, Frame, Message
from rt.networks import engine_facts, open_network
from rt.stage import Context, Emit, Node

MEDIAPIPE = "mediapipe"
_RATE_OVER_S = 2.0
_EARLY_S = 1e-3
_UNUSABLE = "expressions cannot be read"


@dataclass(frozen=True)
class ExpressionSettings:
    """Which bundle, what runs it, and how often.

    bundle: a shipped one's name or the path of one; 'mediapipe' hands the landmarker's blendshapes on.  every: 1 reads
    every picture that comes, 2 every second one; in between the last answer holds, and the page glides to the next
    (rt/web/static/glide.js).  backend, device, precision, threads: as in `engines.load`, None = what is fastest here.
    """

    bundle: str = "encoder-cpu"
    every: int = 1
    backend: str | None = None
    device: str = "cpu"
    precision: str | None = None
    threads: int | None = 1
    allow_untracked: bool = False  # also on the fixed crop, where no face can be followed at all


class ExpressionStage(Node[ExpressionSettings]):
    """Says an Expression of every picture (or every n-th) in which a face is followed, and nothing of the others.

    It stands beside the picture's way and not in it: `picture` takes the newest frame that crop has cut, so a slow or
    broken network makes nothing late that people see.  The face is cut anew at the network's own size.
    """

    Settings = ExpressionSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"picture": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"expression": Expression}

    def __init__(self, settings: ExpressionSettings, context: Context) -> None:
        """Raises BadSettings when the bundle is damaged or does not fit."""
        super().__init__(settings, context)
        if settings.every < 1:
            raise BadSettings(f"expression.every is {settings.every}: give 1 for every picture, 2 for every second one")
        self._source = None if settings.bundle == MEDIAPIPE else read_encoder(settings.bundle)
        size = self._source[1].size if self._source else 1
        self._face = np.zeros((size, size, 3), np.uint8)
        self._encoder: ExpressionEncoder | None = None
        self._rate = Rate(_RATE_OVER_S)
        self._seq = -settings.every  # of the picture that was read last

    def open(self) -> None:
        """Load and warm the network. Raises BadSettings when it cannot be run here, or disagrees with its manifest."""
        self.context.tell(rate_hz=0.0, every=self.settings.every)
        if self._source is None:
            self.context.tell(role="expression", backend=MEDIAPIPE, bundle="blendshapes", precision="fp16")
            return
        model, fit = self._source
        engine = open_network(model, self.settings, _UNUSABLE, "expression: off")
        self._encoder = ExpressionEncoder(engine)
        self._encoder.run(self._face)
        self.context.tell(profile=fit.profile, **engine_facts(engine, model, "expression"))

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """What the face in this picture does."""
        assert isinstance(message, Frame)
        if 0 <= message.seq - self._seq < self.settings.every:
            return ()
        self._seq = message.seq
        values = self._blendshapes(message) if self._source is None else self._encoded(message)
        if values is None:
            if self._rate.ended(message.t_capture):
                self.context.tell(rate_hz=0.0)
            return ()
        if self._rate.count(message.t_capture):
            self.context.tell(rate_hz=round(self._rate.hz, 1))
        profile = "arkit52" if self._source is None else self._source[1].profile
        return [("expression", Expression(message.t_capture, values, profile, "camera", message.seq))]

    def close(self) -> None:
        """Give the network's memory and threads back."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _blendshapes(self, frame: Frame) -> np.ndarray | None:
        return None if frame.face is None else frame.face.blendshapes.copy()

    def _encoded(self, frame: Frame) -> np.ndarray | None:
        crop = frame.crop
        if crop is None or not (crop.tracked or self.settings.allow_untracked):
            return None
        assert self._encoder is not None, "process() before open()"
        return self._encoder.run(self._cut(frame.image, crop))

    def _cut(self, image: np.ndarray, crop: Crop) -> np.ndarray:
        given, wanted = crop.image.shape[0], self._face.shape[0]
        if given == wanted:
            return crop.image
        return warp(image, crop_at_size(crop.crop_from_frame, given, wanted), self._face)


class Rate:
    """How often something happened lately."""

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque()
        self._t_said = 0.0
        self.hz = 0.0

    def count(self, t_s: float) -> bool:
        """Once more, at t_s seconds; True when there is a new rate to tell, once in every such time."""
        if not self._times or not 0 <= t_s - self._times[-1] <= self._over_s:
            self._times.clear()
            self._t_said = t_s
        self._times.append(t_s)
        while t_s - self._times[0] > self._over_s:
            self._times.popleft()
        if t_s - self._t_said < self._over_s - _EARLY_S:
            return False
        self._t_said = t_s
        self.hz = (len(self._times) - 1) / (self._times[-1] - self._times[0])
        return True

    def ended(self, t_s: float) -> bool:
        """Whether nothing has happened for so long that there is no rate any more; True once."""
        if self.hz == 0.0 or t_s - self._times[-1] <= self._over_s:
            return False
        self.hz = 0.0
        return True


def read_encoder(bundle: str) -> tuple[Model, EncoderFit]:
    """The bundle, checked, and what it needs of the face crop.

    Raises BadSettings, in one sentence, for one that is damaged or made for something else.
    """
    try:
        model = Model.read(bundle)
        return model, fitting(model.bundle.manifest, model.name)
    except EngineError as error:
        raise BadSettings(f"{_UNUSABLE}: {error}") from error
