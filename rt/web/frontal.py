"""What the page is told of the head's pose and of the face without it: a block of bytes beside the packets.

It comes as often as the motion stage works, which is less often than pictures do, so it is not part of their packets.
Only the newest waits for a browser, it is sent when the browser owes few answers, and nothing waits for its own.

    offset  0  u32  magic 0x464F594D ('MYOF')     16  f64  t: LSL seconds of the picture that it was made from
            4  u16  version                       24  9 x f32  yaw, pitch, roll and angle away (degrees), beyond
            6  u16  state: rt.message.MotionState              which angle it is not trusted, share hidden (0..1),
            8  u32  bytes of JPEG                              asymmetry of brows, eyes and mouth (-100..100)
           12  u32  zero                          60  JPEG, may be empty

Angles and asymmetries are NaN where nothing can be said; `static/frontal.js` reads the same.
"""

import struct
from typing import NamedTuple

import numpy as np

from rt.errors import BadMessage
from rt.message import Frontal

MAGIC = 0x464F594D
VERSION = 1
HEADER = struct.Struct("<IHHIId9f")
REGIONS = 3


class Told(NamedTuple):
    """One block as a browser reads it.  values: the nine numbers of the table above."""

    state: int
    t: float
    values: tuple[float, ...]
    jpeg: bytes


def encode(frontal: Frontal) -> bytes:
    """The block for this message.  Raises BadMessage when its arrays do not fit."""
    motion = frontal.motion
    if motion.pose_deg.shape != (4,) or motion.asymmetry.shape != (REGIONS,) or frontal.jpeg.dtype != np.uint8:
        raise BadMessage(
            f"a motion has 4 angles, {REGIONS} asymmetries and a picture of bytes, found "
            f"{motion.pose_deg.shape}, {motion.asymmetry.shape}, {frontal.jpeg.dtype}"
        )
    numbers = (*motion.pose_deg.tolist(), motion.limit_deg, motion.hidden, *motion.asymmetry.tolist())
    header = HEADER.pack(MAGIC, VERSION, motion.state, frontal.jpeg.size, 0, motion.t, *numbers)
    return header + frontal.jpeg.tobytes()


def decode(data: bytes) -> Told:
    """The inverse of `encode`, for tests and other clients.  Raises BadMessage."""
    if len(data) < HEADER.size:
        raise BadMessage(f"a frontal block of {len(data)} bytes is shorter than its header of {HEADER.size}")
    magic, version, state, size, _, t, *values = HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION) or len(data) != HEADER.size + size:
        raise BadMessage(f"not a frontal block of version {VERSION}, or cut: {len(data)} bytes")
    return Told(state, t, tuple(values), data[HEADER.size :])
