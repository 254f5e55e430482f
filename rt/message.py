"""What travels between nodes.

A message is a frozen dataclass: small values, NumPy arrays, and other messages; rt/wire.py makes bytes of it.
Pictures that live in a shared-memory ring travel as the address of their slot. A stage returns a changed copy
(`dataclasses.replace`), never edits its input.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np


class Hop(NamedTuple):
    """One step of a frame's way: which node, and when it went in and out (LSL seconds)."""

    node: str
    t_in: float
    t_out: float


class Slot(NamedTuple):
    """Where a picture lies in shared memory: ring name, slot, and the slot's sequence number."""

    ring: str
    place: int
    sequence: int


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """Base of everything that travels."""


@dataclass(frozen=True, slots=True, eq=False)
class Face(Message):
    """A face found in a picture.

    landmarks_px: (478, 2) float32, (x, y) in frame pixels.  blendshapes: (52,) float32 in [0, 1], the order of
    `engines.face` / MediaPipe.
    """

    landmarks_px: np.ndarray
    blendshapes: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Crop(Message):
    """The face cut out upright.

    image: (size, size, 3) uint8 BGR.  crop_from_frame: (2, 3) float32 affine.  tracked: False when it is the
    fixed middle of the picture because no face model is installed or no face is seen.
    """

    image: np.ndarray
    crop_from_frame: np.ndarray
    tracked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Restored(Message):
    """What is to be laid over the electrodes of a face, in its crop's space.

    face: (size, size, 3) uint8 BGR, the crop without electrodes.  colour: (size, size, 3) uint8 BGR.  edit: (size,
    size) uint8, 255 where all is replaced by the colour, 0 where the camera's own stays.
    """

    face: np.ndarray
    colour: np.ndarray
    edit: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Muscles(Message):
    """The muscles at one moment, in montage order; NaN where nothing can be said.

    t: LSL seconds of the newest sample in it.  envelope_uv: (channel,) float32 >= 0.  percent_mvc: (channel,)
    float32.  asymmetry: (pair,) float32 in [-100, 100], positive = right stronger.  contact: (channel,) uint8,
    `engines.emg.quality.Contact`.  reference: what 100 %MVC is, in words ('' = not calibrated); rest_uv, rest_sd_uv
    and reference_uv: (channel,) float32, the calibration in force, so that whoever reads the envelope at another
    moment measures with the same ruler (NaN = not calibrated).
    """

    t: float
    envelope_uv: np.ndarray
    percent_mvc: np.ndarray
    asymmetry: np.ndarray
    contact: np.ndarray
    rest_uv: np.ndarray
    rest_sd_uv: np.ndarray
    reference_uv: np.ndarray
    reference: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Expression(Message):
    """What a face does at one moment, as a network says it.

    t: LSL seconds of the picture or the sample that it was read from.  values: (52,) float32 in [0, 1], the order of
    `engines.face.blendshapes`, or (55,) float32 where profile is 'flame55'.  source: 'camera', or 'emg' when muscles
    alone said it.  seq: the frame's number, -1 without one.
    """

    t: float
    values: np.ndarray
    profile: str
    source: str
    seq: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Estimate(Message):
    """Muscle activity guessed from a picture, which is never a measurement and must never be kept as one.

    t: LSL seconds of the picture.  percent: (channel,) float32 >= 0, relative, like %MVC.  spread: (channel,) float32,
    its standard deviation in the same unit, NaN where the network does not say one.  seq: the frame's number.
    """

    t: float
    percent: np.ndarray
    spread: np.ndarray
    seq: int = -1


class MotionState(IntEnum):
    """Whether the face without its head's turn can be shown, and if not, what is in the way."""

    SHOWN = 1
    TURNED = 2  # further than may be trusted: it is shown, marked
    NO_FACE = 3
    OTHER_FACE = 4  # the landmarks fit no turn of the face that was taken as neutral
    PAUSED = 5  # the picture is not the person's own: a movement to practise, or electrodes not removed
    # No neutral face has been taken yet, because
    FACE_CAMERA = 10  # the head is turned
    OPEN_EYES = 11
    RELAX = 12  # the mouth or the brows are moved
    HOLD_STILL = 13  # it is being taken, or the picture is blurred
    COME_CLOSER = 14  # the face is too small in the picture
    MORE_LIGHT = 15


@dataclass(frozen=True, slots=True, eq=False)
class Motion(Message):
    """How a head is turned, and how symmetric the movement of its face is without the turn.

    t: LSL seconds of the picture.  state: of MotionState.  pose_deg: (4,) float32: yaw, pitch, roll, and the angle away
    from the neutral face's direction; the first three as engines/face/pose.py has them; without a neutral face they are
    against the camera.  limit_deg: beyond that angle nothing is trusted.  hidden: share of the face that the turn
    hides, 0..1.  asymmetry: (3,) float32 in [-100, 100], brows, eyes, mouth, positive = right moves more.  moved: (3,)
    float32 how far they move, in cm, both sides together.  NaN where nothing can be said.  seq: the frame's number.
    """

    t: float
    state: int
    pose_deg: np.ndarray
    limit_deg: float
    hidden: float
    asymmetry: np.ndarray
    moved: np.ndarray
    seq: int = -1

    def row(self) -> np.ndarray:
        """All of it that streams hold, (12,) float32: state, pose, share hidden, asymmetries, ways moved."""
        parts = ([self.state], self.pose_deg, [self.hidden], self.asymmetry, self.moved)
        return np.concatenate(parts, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Frontal(Message):
    """The face without its head's turn, for eyes.

    motion: what is said of the same picture.  jpeg: (bytes,) uint8, empty where there is none.  expression: (52,)
    float32 in [0, 1], blendshapes beyond those of the neutral face, empty where there are none: any face can wear them.
    """

    motion: Motion
    jpeg: np.ndarray
    expression: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Guidance(Message):
    """What a person who is being calibrated is to do now: for the page.

    t: LSL seconds when it was said.  state: everything that is to be shown, JSON values (calibration/guided.py).
    still: (bytes,) uint8, a JPEG, empty where there is none; for eyes only, never kept.
    """

    t: float
    state: dict[str, Any]
    still: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Frame(Message):
    """One picture of the camera and what has been found out about it.

    seq: number of the frame since the camera opened, never reused in a session.  t_capture: LSL seconds, middle
    of the exposure where known.  stamp: 'device' or 'host', where t_capture comes from.  image: (height, width,
    3) uint8 BGR, read-only for everybody but its producer.  practise: True when `image` shows the target
    movement instead of the camera's own pixels.  muscles: the envelope as of t_capture, None when it is stale.
    removal: what is shown of the electrodes, as it was asked for ('raw', 'restored' or 'edit'); '' where nothing has
    been done about them, so that a station which removes them must not show the picture.  restored: what paste-back
    needs for that, None in the raw view.
    """

    seq: int
    t_capture: float
    stamp: str
    image: np.ndarray
    face: Face | None = None
    crop: Crop | None = None
    muscles: Muscles | None = None
    practise: bool = False
    trace: tuple[Hop, ...] = ()
    slot: Slot | None = None
    removal: str = ""
    restored: Restored | None = None

    def with_image(self, image: np.ndarray, practise: bool) -> "Frame":
        """A copy that shows another picture (which is in no ring yet), finished: nothing is left to lay over it."""
        return replace(self, image=image, practise=practise, restored=None, slot=None)


@dataclass(frozen=True, slots=True, eq=False)
class Parameters(Message):
    """What has been found out about one picture, without the picture: for recorders and LSL.

    seq, t_capture, face, muscles: as in Frame.  crop_from_frame: (2, 3) float32 or None.  tracked: as in Crop.
    """

    seq: int
    t_capture: float
    face: Face | None
    muscles: Muscles | None
    crop_from_frame: np.ndarray | None
    tracked: bool

    @classmethod
    def of(cls, frame: Frame) -> "Parameters":
        """Those of a frame."""
        crop = frame.crop
        transform = None if crop is None else crop.crop_from_frame
        return cls(frame.seq, frame.t_capture, frame.face, frame.muscles, transform, crop is not None and crop.tracked)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk(Message):
    """A piece of a regular multi-channel signal, in montage order.

    data: (time, channel) float32, microvolt.  rate_hz: nominal rate.  t0: LSL seconds of the first sample.
    first_sample: its index since the stream was opened (continues over gaps by the number of samples received,
    not by time).  gap_s: > 0 when this chunk does not follow the one before; the seconds that are missing (or
    the size of a clock step), and every filter starts anew.  kind: 'raw' or 'envelope'.  chain: id of the EMG
    chain for envelopes, '' for raw.
    """

    data: np.ndarray
    rate_hz: float
    t0: float
    first_sample: int
    kind: str = "raw"
    gap_s: float = 0.0
    chain: str = ""

    @property
    def t_last(self) -> float:
        """LSL seconds of the last sample (of the one before t0 when the chunk is empty)."""
        return self.t0 + (len(self.data) - 1) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Quality(Message):
    """What is known of the electrodes at time t: contact (channel,) uint8 and flags per channel."""

    t: float
    contact: np.ndarray
    clipping: np.ndarray
    flat: np.ndarray
    mains_ratio: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Event(Message):
    """Something that happened: kind ('GAP', 'RESTART', 'ALARM', 'MARKER', ...), one sentence, and details."""

    t: float
    kind: str
    node: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)


TYPES: dict[str, type[Message]] = {
    t.__name__: t
    for t in (
        *(Face, Crop, Restored, Muscles, Expression, Estimate, Motion, Frontal, Frame, Parameters, Chunk, Quality),
        *(Guidance, Event),
    )
}
"""Everything that travels, by name."""
