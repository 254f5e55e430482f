"""How far the two sides of a face move, and how evenly, whichever way the head is turned.

Landmarks of a turned face err in ways that a turn explains: the far side is squeezed, and what moves towards the camera
seems to move sideways.  Both are undone by the 3D face (engines/face/head_turn.py); what is left is learned: from
landmarks, from the flow of the picture brought to rest and from the blendshapes, all against the neutral face, a small
network says how far the skin of each region has moved on one side.  It looks at both sides in turn, each time at the
whole face as that side sees it, so that it cannot prefer one.  calibration/motion_symmetry.py teaches it, on synthetic
people, whose movements are known.

Asymmetry is 100 (R - L) / (R + L), as for muscles; where hardly anything moves there is none to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.action_units import mirrored
from engines.face.arrays import Floats, check_array
from engines.face.blendshapes import BLENDSHAPES
from engines.face.head_turn import HeadMovement
from engines.face.rigid_flow import RigidHead

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "face-symmetry"
SYSTEM = "face_symmetry"
LEAST_CM = 0.2  # both sides together; less is no movement to judge
FURTHEST = 6.0  # standard deviations: a feature is never taken for more unusual than that
OUTPUT_BIAS = -2.0  # before the softplus: a network that knows nothing yet says 0.13 cm
_TURN_DEG = 20.0  # angles are told in these
_TENTH = 10.0  # ways and blendshapes in these: cm, and of 1
# Blendshapes that MediaPipe really moves; what it says of cheeks and nose is next to nothing, a drawn face's is not
_READ = [i for i, name in enumerate(BLENDSHAPES) if name.startswith(("brow", "eye", "jaw", "mouth"))]


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
class SideNetwork:
    """How far each region moves on one side: `features` -> layers with ReLU between them -> softplus.

    mean, scale: (feature,) of what is seen.  layers: (weights (in, out), bias (out,)) each; the last has a region per
    output.
    """

    mean: Floats
    scale: Floats
    layers: tuple[tuple[Floats, Floats], ...]

    def __call__(self, seen: npt.NDArray[np.floating]) -> Floats:
        """(N, feature) -> (N, region) float32 cm."""
        values = np.clip((seen - self.mean) / self.scale, -FURTHEST, FURTHEST).astype(np.float32)
        for place, (weights, bias) in enumerate(self.layers):
            values = values @ weights + bias
            if place + 1 < len(self.layers):
                values = np.maximum(values, 0)
        return np.asarray(np.logaddexp(values + np.float32(OUTPUT_BIAS), np.float32(0)))


class SymmetryReader:
    """Reads both sides of every region."""

    def __init__(self, network: SideNetwork) -> None:
        """Raises BadInput when the network does not fit the features and regions."""
        count = feature_count()
        check_array(network.mean, "means of the features", np.float32, (count,))
        check_array(network.scale, "scales of the features", np.float32, (count,))
        if not network.layers:
            raise BadInput("symmetry is read by a network of one layer or more, found none")
        widths = [count, *(len(bias) for _, bias in network.layers[:-1]), len(REGIONS)]
        for place, ((weights, bias), (width, out)) in enumerate(zip(network.layers, pairwise(widths), strict=True)):
            check_array(weights, f"weights of layer {place}", np.float32, (width, out))
            check_array(bias, f"bias of layer {place}", np.float32, (out,))
        self.network = network

    @classmethod
    def load(cls, bundle: Path = BUNDLE) -> SymmetryReader:
        """Read what ships with the package.  Raises BundleError when it is damaged or another system's."""
        arrays = read_bundle(bundle, SYSTEM).arrays
        try:
            count = sum(name.endswith(".weights") for name in arrays)
            layers = tuple((arrays[f"{k}.weights"], arrays[f"{k}.bias"]) for k in range(count))
            return cls(SideNetwork(arrays["mean"], arrays["scale"], layers))
        except (KeyError, BadInput) as error:
            raise BundleError(f"{bundle} does not fit this version ({error}): make it again") from error

    def moved_cm(self, head: RigidHead, found: HeadMovement, flow: Floats, shapes: Floats) -> Floats:
        """How far every region has moved: (region, side) float32 cm, right before left.

        head, found: the person's at rest, and now.  flow: (size, size, 2) px, from the neutral picture to the one
        brought to rest.  shapes: (52,) blendshapes now, less those at rest.  Raises BadInput when the flow does not fit
        the head, or shapes have another length.
        """
        seen = observed(head, found, flow, shapes)
        return np.ascontiguousarray(self.network(np.stack([features(seen, side) for side in (0, 1)])).T)

    @staticmethod
    def asymmetry(moved_cm: Floats) -> Floats:
        """(region,) float32, 100 (R - L) / (R + L), NaN where both together move less than LEAST_CM."""
        both = moved_cm.sum(1)
        share = 100 * (moved_cm[:, 0] - moved_cm[:, 1]) / np.maximum(both, LEAST_CM)
        return np.where(both >= LEAST_CM, share, np.nan).astype(np.float32)


@dataclass(frozen=True)
class Observed:
    """What is seen of a face's movement: landmarks and flow in cm, (478, 2), x right, y up; blendshapes, (52,), more
    than at rest; how the head is turned."""

    landmarks_cm: npt.NDArray[np.float64]
    flow_cm: npt.NDArray[np.float64]
    shapes: Floats
    yaw_deg: float
    pitch_deg: float


def observed(head: RigidHead, found: HeadMovement, flow: Floats, shapes: Floats) -> Observed:
    """What is seen; arguments and errors as of `SymmetryReader.moved_cm`."""
    check_array(flow, "flow", np.float32, (head.size, head.size, 2))
    check_array(shapes, "blendshapes", np.float32, (len(BLENDSHAPES),))
    at = np.clip(np.rint(head.rest_px).astype(int), 0, head.size - 1)
    rotation = found.turn.rotation
    sideways = np.linalg.solve(rotation[:2, :2], rotation[:2, 2])  # what a way towards the camera looks like at rest
    up = np.array([1.0, -1.0])
    along = flow[at[:, 1], at[:, 0]] * up - np.outer(found.moved_px[:, 2], sideways)
    ways = found.moved_px[:, :2] * up
    px = head.px_per_cm
    return Observed(ways / px, along / px, shapes, found.turn.yaw_deg, found.turn.pitch_deg)


def features(seen: Observed, side: int) -> npt.NDArray[np.float64]:
    """(feature,): the whole face as its `side` sees it, 0 right, 1 left; for the left one it is mirrored."""
    sign = 1 - 2 * side
    mirror = np.array([sign, 1.0])
    ways = [
        (plane[landmarks(which)] * mirror).ravel()
        for region in REGIONS
        for plane, landmarks in ((seen.landmarks_cm, region.own), (seen.flow_cm, region.wide))
        for which in (side, 1 - side)
    ]
    turn = [sign * seen.yaw_deg / _TURN_DEG, seen.pitch_deg / _TURN_DEG]
    shapes = mirrored(seen.shapes, "arkit52") if side else seen.shapes
    return np.concatenate([turn, *(_TENTH * part for part in (*ways, shapes[_READ]))])


def feature_count() -> int:
    """How many `features` there are."""
    return 2 + sum(4 * (len(region.right) + len(region.wide(0))) for region in REGIONS) + len(_READ)


def amount_cm(ways_cm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(N,): root mean square length of ways (N, landmark, 3)."""
    return np.asarray(np.sqrt((ways_cm.astype(np.float64) ** 2).sum(2).mean(1)))
