"""What the page is told of the head's pose and of the face without it: a block of bytes beside the packets.

It comes as often as the motion stage works, which is less often than pictures do, so it is not part of their packets.
Only the newest waits for a browser, it is sent when the browser owes few answers, and nothing waits for its own.

    offset  0  u32  magic 0x464F594D ('MYOF')     16  f64  t: LSL seconds of the picture that it was made from
            4  u16  version                       24  9 x f32  yaw, pitch, roll and angle away (degrees), beyond
            6  u16  state: rt.message.MotionState              which angle it is not trusted, share hidden (0..1),
            8  u32  bytes of JPEG                              asymmetry of brows, eyes and mouth (-100..100)
           12  u32  values of expression          60  expression as f32 (52, or none), then the JPEG (may be empty)

Angles and asymmetries are NaN where nothing can be said; `static/frontal.js` reads the same.
"""

import struct
from typing import NamedTuple

import numpy as np

from rt.errors import BadMessage
from rt.message import Frontal
from rt.web.protocol import SHAPES

MAGIC = 0x464F594D
VERSION = 2
HEADER = struct.Struct("<IHHIId9f")
REGIONS = 3


class Told(NamedTuple):
    """One block as a browser reads it.  values: the nine numbers of the table above.  expression: 52 or none."""

    state: int
    t: float
    values: tuple[float, ...]
    expression: tuple[float, ...]
    jpeg: bytes


def encode(frontal: Frontal) -> bytes:
    """The block for this message.  Raises BadMessage when its arrays do not fit."""
    motion, expression = frontal.motion, frontal.expression
    if motion.pose_deg.shape != (4,) or motion.asymmetry.shape != (REGIONS,) or frontal.jpeg.dtype != np.uint8:
        raise BadMessage(
            f"a motion has 4 angles, {REGIONS} asymmetries and a picture of bytes, found "
            f"{motion.pose_deg.shape}, {motion.asymmetry.shape}, {frontal.jpeg.dtype}"
        )
    if expression.dtype != np.float32 or expression.size not in (0, SHAPES):
        raise BadMessage(f"an expression is {SHAPES} float32 or none, found {expression.size} {expression.dtype}")
    numbers = (*motion.pose_deg.tolist(), motion.limit_deg, motion.hidden, *motion.asymmetry.tolist())
    header = HEADER.pack(MAGIC, VERSION, motion.state, frontal.jpeg.size, expression.size, motion.t, *numbers)
    return header + expression.tobytes() + frontal.jpeg.tobytes()


def decode(data: bytes) -> Told:
    """The inverse of `encode`, for tests and other clients.  Raises BadMessage."""
    if len(data) < HEADER.size:
        raise BadMessage(f"a frontal block of {len(data)} bytes is shorter than its header of {HEADER.size}")
    magic, version, state, size, count, t, *values = HEADER.unpack_from(data)
    at = HEADER.size + 4 * count
    if (magic, version) != (MAGIC, VERSION) or len(data) != at + size:
        raise BadMessage(f"not a frontal block of version {VERSION}, or cut: {len(data)} bytes")
    expression = struct.unpack_from(f"<{count}f", data, HEADER.size)
    return Told(state, t, tuple(values), expression, data[at:])
