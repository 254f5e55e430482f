"""The heat map over the picture: the same matrix (engines/emg/heatmap.py), at points that follow MediaPipe's landmarks.

The first 468 points are the landmarks themselves. They lie up to 2 cm apart, wider than some muscles, so more points
stand between them: each is the middle of two that come before it. Eyes and mouth are holes. The table is made by
calibration/heat_landmarks.py and shipped, so that the map needs no face model on this machine.

`heat_file` makes the file that the page fetches as `/heat.bin`; `rt/web/static/heat_map.js` reads it. Little-endian;
every part begins at a multiple of four bytes, in this order, right after the header of 28 bytes:

    offset  0  u32  magic 0x484F594D ('MYOH')      8  u32  points N             20  u32  colours of the scale C
            4  u16  version                       12  u32  landmarks L (468)    24  f32  %MVC at the scale's end
            6  u16  channels M                    16  u32  triangles F

    middles    u16 (N - L, 2)   what a further point is the middle of, points that come before it
    triangles  u16 (F, 3)       corners clockwise in a picture (y down) where the skin faces the camera
    heat       u8 (N, M)        how much of each channel shows at a point, 255 = all of it
    scale      u8 (C, 3)        sRGB from rest to the scale's end, equal steps
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.emg.heat_scale import FULL_PERCENT, heat_scale
from engines.emg.heatmap import shared
from engines.emg.montage import Montage
from engines.errors import BadInput, BundleError

SYSTEM = "face_heat"
BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "face-heat"
LANDMARKS = 468
MAGIC = 0x484F594D
VERSION = 1
HEADER = struct.Struct("<IHHIIIIf")

Shorts = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LandmarkHeat:
    """What shows where on a face that is followed.

    middles: (N - 468, 2).  triangles: (F, 3).  heat: (N, channel), of the montage that it was made for.
    """

    middles: Shorts
    triangles: Shorts
    heat: Bytes

    @classmethod
    def load(cls, montage: Montage, bundle: Path = BUNDLE) -> LandmarkHeat:
        """The map for these channels.

        montage: FRIDLUND, KURAMOTO or a part.  Raises BundleError when the bundle is damaged or another system's,
        BadInput when it does not know a channel's place on the face.
        """
        found = read_bundle(bundle, system=SYSTEM)
        labels = found.manifest.sizes.get("labels", [])
        unknown = [label for label in montage.labels if label not in labels]
        if unknown:
            raise BadInput(f"nobody knows where {unknown[0]} of the montage {montage.name!r} lies on a face")
        try:
            middles, triangles, near = (found.arrays[name] for name in ("middles", "triangles", "near"))
        except KeyError as error:
            raise BundleError(f"{bundle} lacks the array {error}: make it again") from error
        columns = [labels.index(label) for label in montage.labels]
        share = shared(near[:, columns] / 255)
        return cls(middles, triangles, np.floor(share * 255).astype(np.uint8))  # down: rows' sums stay at most 255

    def points(self, landmarks_px: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Where the points are in a picture, (N, 2) px.

        landmarks_px: (468, 2) or more, (x, y).  Raises BadInput when there are fewer.
        """
        if landmarks_px.ndim != 2 or landmarks_px.shape[1] != 2 or len(landmarks_px) < LANDMARKS:
            raise BadInput(f"the heat map needs ({LANDMARKS}, 2) landmarks, found {landmarks_px.shape}")
        found = np.empty((len(self.heat), 2), np.float32)
        found[:LANDMARKS] = landmarks_px[:LANDMARKS]
        for row, (a, b) in enumerate(self.middles, LANDMARKS):
            found[row] = (found[a] + found[b]) / 2
        return found


def heat_file(montage: Montage) -> bytes:
    """What `/heat.bin` is for these channels.  Raises as `LandmarkHeat.load` does."""
    return encode_heat(LandmarkHeat.load(montage))


def encode_heat(heat: LandmarkHeat) -> bytes:
    """The file `/heat.bin`."""
    scale = heat_scale()
    points, channels = heat.heat.shape
    sizes = channels, points, LANDMARKS, len(heat.triangles), len(scale)
    header = HEADER.pack(MAGIC, VERSION, *sizes, FULL_PERCENT)
    parts = heat.middles.astype("<u2"), heat.triangles.astype("<u2"), heat.heat, scale
    return header + b"".join(_padded(part.tobytes()) for part in parts)


def decode_heat(data: bytes) -> LandmarkHeat:
    """The inverse, as a browser reads it.  Raises BadInput for anything else, also another version, or cut short."""
    if len(data) < HEADER.size:
        raise BadInput(f"{len(data)} bytes are no heat map: its header alone has {HEADER.size}")
    magic, version, channels, points, landmarks, triangles, _, _ = HEADER.unpack_from(data)
    if (magic, version, landmarks) != (MAGIC, VERSION, LANDMARKS) or points < landmarks:
        raise BadInput(f"this is not a heat map of version {VERSION}: make it again")
    shapes = ((points - landmarks, 2), "<u2"), ((triangles, 3), "<u2"), ((points, channels), "u1")
    parts, at = [], HEADER.size
    for shape, kind in shapes:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if at + size > len(data):
            raise BadInput("the heat map is cut short: make it again")
        parts.append(np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape))
        at += size + -size % 4
    return LandmarkHeat(*parts)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
