"""The small face as bytes for the browser: what `/face.bin` is.  `rt/web/static/face3d.js` reads the same.

Little-endian; every part begins at a multiple of four bytes, in this order, right after the header of 48 bytes:

    offset  0  u32  magic 0x464F594D ('MYOF')     16  u32  vertices V          32  u32  shapes S (52)
            4  u16  version                       20  u32  of them skin K      36  u32  displacements D
            6  u16  eyes E                        24  u32  triangles F         40  u32  colours of the scale C
            8  f32  cm per unit of a position     28  u32  channels M          44  u32  zero
           12  f32  %MVC at the scale's end

    positions  i16 (V, 3)   the neutral face, x to the person's left, y up, z out of the face
    colours    u8 (V, 4)    sRGB under full light, and the material: 0 skin, 1 eye, 2 tooth, 3 inside of the mouth
    triangles  u16 (F, 3)   corners counter-clockwise seen from outside
    eyes       f32 (E, 6)   first vertex, number of vertices, centre x, y, z in cm, side: +1 the person's left, -1 right
    shapes     f32 (S, 3)   per blendshape, engines/face/blendshapes.py's order: cm per unit, first displacement, number
    moved      u16 (D,)     vertices that a shape moves, ascending within a shape
    moves      i16 (D, 3)   and how far at weight 1, in the shape's unit
    heat       u8 (K, M)    how much of each channel shows at a vertex of the skin, 255 = all of it
    scale      u8 (C, 3)    sRGB from rest to the scale's end, equal steps

Vertices of the skin come first.  Eyes are turned by the reader, as engines/face/gaze.py does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

MAGIC = 0x464F594D
VERSION = 1
HEADER = struct.Struct("<IHHffIIIIIIII")
SKIN, EYE, TOOTH, MOUTH = range(4)

_PARTS = ("positions", "colours", "triangles", "eyes", "shapes", "moved", "moves", "heat", "scale")
_TYPES = dict(zip(_PARTS, ("<i2", "u1", "<u2", "<f4", "<f4", "<u2", "<i2", "u1", "u1"), strict=True))


@dataclass(frozen=True, eq=False)
class FaceBin:
    """The parts of the file, as the table above names them; unit_cm: cm per unit of a position."""

    unit_cm: float
    full_percent: float
    skin: int
    positions: npt.NDArray[np.int16]
    colours: npt.NDArray[np.uint8]
    triangles: npt.NDArray[np.uint16]
    eyes: npt.NDArray[np.float32]
    shapes: npt.NDArray[np.float32]
    moved: npt.NDArray[np.uint16]
    moves: npt.NDArray[np.int16]
    heat: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.uint8]

    @property
    def neutral(self) -> npt.NDArray[np.float32]:
        """(V, 3) cm."""
        return np.asarray(self.positions * np.float32(self.unit_cm), np.float32)

    def vertices(self, expression: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(V, 3) cm with blendshapes (S,) at these weights; eyes are not turned.  Raises BadInput otherwise."""
        weights = np.asarray(expression, np.float32)
        if weights.shape != (len(self.shapes),):
            raise BadInput(f"this face has {len(self.shapes)} shapes, found weights of shape {weights.shape}")
        found = self.neutral
        for weight, (unit, first, count) in zip(weights, self.shapes, strict=True):
            rows = slice(int(first), int(first) + int(count))
            found[self.moved[rows]] += weight * unit * self.moves[rows]
        return found


def encode_face(face: FaceBin) -> bytes:
    """The file.  Raises BadInput when there are more vertices than 16 bits can number."""
    if len(face.positions) > 0xFFFF:
        raise BadInput(f"a face for the browser has at most 65535 vertices, found {len(face.positions)}")
    header = HEADER.pack(
        MAGIC, VERSION, len(face.eyes), face.unit_cm, face.full_percent, len(face.positions), face.skin,
        len(face.triangles), face.heat.shape[1], len(face.shapes), len(face.moved), len(face.scale), 0,
    )  # fmt: skip
    return header + b"".join(_padded(np.ascontiguousarray(getattr(face, name), _TYPES[name])) for name in _PARTS)


def decode_face(data: bytes) -> FaceBin:
    """The inverse, as a browser reads it.  Raises BadInput for anything else, also another version, or cut short."""
    if len(data) < HEADER.size:
        raise BadInput(f"{len(data)} bytes are no face: its header alone has {HEADER.size}")
    magic, version, eyes, unit, full, v, skin, f, m, s, d, c, _ = HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise BadInput(f"this is not a face of version {VERSION}: make it again")
    shapes = ((v, 3), (v, 4), (f, 3), (eyes, 6), (s, 3), (d,), (d, 3), (skin, m), (c, 3))
    parts, at = {}, HEADER.size
    for name, shape in zip(_PARTS, shapes, strict=True):
        kind, count = np.dtype(_TYPES[name]), int(np.prod(shape))
        if at + count * kind.itemsize > len(data):
            raise BadInput(f"the face is cut short in its {name}: make it again")
        parts[name] = np.frombuffer(data, kind, count, at).reshape(shape)
        at += _whole(count * kind.itemsize)
    return FaceBin(unit, full, skin, **parts)


def _padded(array: npt.NDArray[np.generic]) -> bytes:
    found = array.tobytes()
    return found + bytes(_whole(len(found)) - len(found))


def _whole(size: int) -> int:
    """Bytes up to the next multiple of four."""
    return -(-size // 4) * 4
