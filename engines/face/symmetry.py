"""How far the two sides of a face move, and how evenly, whichever way the head is turned.

Landmarks of a turned face err in ways that a turn explains: the far side is squeezed, and what moves towards the camera
seems to move sideways.  Both are undone by the 3D face (engines/face/head_turn.py); what is left is learned: from
landmarks and from the flow of the picture brought to rest, both against the neutral face, a ridge says how the skin of
each region has moved.  One table serves both sides, so that it cannot prefer one.  calibration/motion_symmetry.py makes
it from synthetic people, whose movements are known.

Asymmetry is 100 (R - L) / (R + L), as for muscles; where hardly anything moves there is none to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.arrays import Floats, check_array
from engines.face.head_turn import HeadMovement
from engines.face.rigid_flow import RigidHead

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "face-symmetry"
SYSTEM = "face_symmetry"
LEAST_CM = 0.2  # both sides together; less is no movement to judge
_TURN_DEG = 20.0  # angles are told in these
_TENTH_CM = 10.0  # and ways in these


@dataclass(frozen=True)
class Region:
    """Where a region's movement is read.

    right, left: landmarks, mirror images of each other in the same order.  around: of right, then of left: where the
    flow is read, beside those.
    """

    name: str
    right: tuple[int, ...]
    left: tuple[int, ...]
    around: tuple[tuple[int, ...], tuple[int, ...]]

    def own(self, side: int) -> list[int]:
        """The landmarks of a side, 0 right, 1 left."""
        return list((self.right, self.left)[side])

    def wide(self, side: int) -> list[int]:
        """Those and what is around them."""
        return [*self.own(side), *self.around[side]]


REGIONS = (
    Region(
        "brows",
        (46, 53, 52, 65, 55, 70, 63, 105, 66, 107),
        (276, 283, 282, 295, 285, 300, 293, 334, 296, 336),
        ((68, 104, 69, 103, 67, 54), (298, 333, 299, 332, 297, 284)),
    ),
    Region(
        "eyes",
        (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
        (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
        (
            (110, 24, 23, 22, 26, 27, 29, 30, 28, 56, 190, 225, 224),
            (339, 254, 253, 252, 256, 257, 259, 260, 258, 286, 414, 445, 444),
        ),
    ),
    Region(
        "mouth",
        (61, 185, 40, 39, 146, 91, 181, 78, 191, 80, 95, 88),
        (291, 409, 270, 269, 375, 321, 405, 308, 415, 310, 324, 318),
        (
            (205, 50, 206, 207, 216, 212, 36, 203, 187, 214, 192),
            (425, 280, 426, 427, 436, 432, 266, 423, 411, 434, 416),
        ),
    ),
)


@dataclass(frozen=True)
class RegionTable:
    """What was learned of one region.

    mean, scale: (feature,) of what is seen.  weights: (feature, 3 x landmark), offset: (3 x landmark,): from there to
    cm that the skin has moved.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    offset: Floats


class SymmetryReader:
    """Reads both sides of every region."""

    def __init__(self, tables: tuple[RegionTable, ...]) -> None:
        """tables: one per region.  Raises BadInput when one does not fit its region."""
        if len(tables) != len(REGIONS):
            raise BadInput(f"symmetry is read in {len(REGIONS)} regions, found {len(tables)} tables")
        for region, table in zip(REGIONS, tables, strict=True):
            count, out = feature_count(region), 3 * len(region.right)
            check_array(table.mean, f"means of the {region.name}", np.float32, (count,))
            check_array(table.scale, f"scales of the {region.name}", np.float32, (count,))
            check_array(table.weights, f"weights of the {region.name}", np.float32, (count, out))
            check_array(table.offset, f"offset of the {region.name}", np.float32, (out,))
        self._tables = tables

    @classmethod
    def load(cls, bundle: Path = BUNDLE) -> SymmetryReader:
        """Read what ships with the package.  Raises BundleError when it is damaged or another system's."""
        arrays = read_bundle(bundle, SYSTEM).arrays
        try:
            names = ("mean", "scale", "weights", "offset")
            return cls(tuple(RegionTable(*(arrays[f"{r.name}.{name}"] for name in names)) for r in REGIONS))
        except (KeyError, BadInput) as error:
            raise BundleError(f"{bundle} does not fit this version ({error}): make it again") from error

    def moved_cm(self, head: RigidHead, found: HeadMovement, flow: Floats) -> Floats:
        """How far every region has moved: (region, side) float32 cm, right before left.

        head, found: the person's at rest, and now.  flow: (size, size, 2) px, from the neutral picture to the one
        brought to rest.  Raises BadInput when the flow does not fit the head.
        """
        seen = observed(head, found, flow)
        moved = np.empty((len(REGIONS), 2), np.float32)
        for k, (region, table) in enumerate(zip(REGIONS, self._tables, strict=True)):
            sides = np.stack([features(seen, region, side) for side in (0, 1)])
            ways = ((sides - table.mean) / table.scale) @ table.weights + table.offset
            moved[k] = amount_cm(ways.reshape(2, -1, 3))
        return moved

    @staticmethod
    def asymmetry(moved_cm: Floats) -> Floats:
        """(region,) float32, 100 (R - L) / (R + L), NaN where both together move less than LEAST_CM."""
        both = moved_cm.sum(1)
        share = 100 * (moved_cm[:, 0] - moved_cm[:, 1]) / np.maximum(both, LEAST_CM)
        return np.where(both >= LEAST_CM, share, np.nan).astype(np.float32)


@dataclass(frozen=True)
class Observed:
    """What is seen of a face's movement: landmarks and flow in cm, (478, 2), x right, y up; how the head is turned."""

    landmarks_cm: npt.NDArray[np.float64]
    flow_cm: npt.NDArray[np.float64]
    yaw_deg: float
    pitch_deg: float


def observed(head: RigidHead, found: HeadMovement, flow: Floats) -> Observed:
    """What is seen; arguments and errors as of `SymmetryReader.moved_cm`."""
    check_array(flow, "flow", np.float32, (head.size, head.size, 2))
    at = np.clip(np.rint(head.rest_px).astype(int), 0, head.size - 1)
    rotation = found.turn.rotation
    sideways = np.linalg.solve(rotation[:2, :2], rotation[:2, 2])  # what a way towards the camera looks like at rest
    up = np.array([1.0, -1.0])
    along = flow[at[:, 1], at[:, 0]] * up - np.outer(found.moved_px[:, 2], sideways)
    ways = found.moved_px[:, :2] * up
    px = head.px_per_cm
    return Observed(ways / px, along / px, found.turn.yaw_deg, found.turn.pitch_deg)


def features(seen: Observed, region: Region, side: int) -> npt.NDArray[np.float64]:
    """(feature,): the region as its `side` sees it, 0 right, 1 left; the left one is mirrored."""
    sign = 1 - 2 * side
    mirror = np.array([sign, 1.0])
    ways = [
        (plane[landmarks(which)] * mirror).ravel()
        for plane, landmarks in ((seen.landmarks_cm, region.own), (seen.flow_cm, region.wide))
        for which in (side, 1 - side)
    ]
    b = _TENTH_CM * np.concatenate(ways)
    yaw, pitch = sign * seen.yaw_deg / _TURN_DEG, seen.pitch_deg / _TURN_DEG
    return np.concatenate([[yaw, yaw * yaw, pitch, pitch * pitch, yaw * pitch], b, b * yaw, b * pitch, b * yaw * yaw])


def feature_count(region: Region) -> int:
    """How many `features` there are."""
    return 5 + 4 * 4 * (len(region.right) + len(region.wide(0)))


def amount_cm(ways_cm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(N,): root mean square length of ways (N, landmark, 3)."""
    return np.asarray(np.sqrt((ways_cm.astype(np.float64) ** 2).sum(2).mean(1)))
