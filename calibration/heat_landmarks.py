"""Make the heat map that follows MediaPipe's landmarks: which points, which triangles, which muscles are near them.

Landmarks are placed on the neutral face model as engines/face/landmarks.py says, unrolled around the head's axis with
the mouth open, and joined (Delaunay); what lies in the eyes and in the mouth is left out. Edges that are longer than
the narrowest muscles are halved, until none is. Towards the oval, which the tracker does not look beyond, it fades.

    python -m calibration.heat_landmarks --assets FOLDER --out BUNDLE
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay

from engines.bundle import Manifest, Training, write_bundle
from engines.emg.heat_landmarks import LANDMARKS, SYSTEM
from engines.emg.heatmap import nearness
from engines.emg.montage import FRIDLUND, KURAMOTO
from engines.errors import EngineError
from engines.face.landmarks import OVAL, FaceLandmarks
from engines.face.mesh import FaceModel
from engines.face.skin_surface import SkinSurface
from engines.spec import ArraySpec

LONGEST_CM = 0.6  # half of what the narrowest muscle's two widths cover
_AXIS_CM = -6.0  # z of the axis that the face is unrolled around
_RIM_CM = 0.6  # so wide the map fades towards the face's oval: what lies beyond is not followed
_OPEN = {"jawOpen": 0.7, "eyeWide_L": 1.0, "eyeWide_R": 1.0}  # so that no lid and no lip lies on another
HOLES = (
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),  # mouth
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),  # right eye
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),  # left eye
)
MONTAGES = (FRIDLUND, KURAMOTO)

Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Edge = tuple[int, int]


def joined(places: Doubles) -> Rows:
    """Triangles (F, 3) between landmarks (468, 3) cm of an open face, eyes and mouth left out.

    Corners are clockwise in a picture, y down, where the skin faces the camera and the person's left is on the right.
    """
    turn = np.arctan2(places[:, 0], places[:, 2] - _AXIS_CM)
    flat = np.column_stack([turn * np.hypot(places[:, 0], places[:, 2] - _AXIS_CM).mean(), -places[:, 1]])
    triangles = np.asarray(Delaunay(flat).simplices, np.int64)
    first, second = (flat[triangles[:, k]] - flat[triangles[:, 0]] for k in (1, 2))
    wrong = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    triangles[wrong] = triangles[wrong][:, ::-1]
    middle = flat[triangles].mean(1)
    keep = _inside(flat[list(OVAL)], middle)
    for hole in HOLES:
        keep &= ~_inside(flat[list(hole)], middle)
    return triangles[keep]


def halved(points: Doubles, triangles: Rows, longest_cm: float) -> tuple[Rows, Rows]:
    """Middles (m, 2) of edges that are longer than that, and triangles (F, 3) between old points (n, 3) and middles.

    A triangle whose edges are all short enough stays; the others become two, three or four, and so on.
    """
    middles: list[Edge] = []
    while True:
        edges = sorted({edge for triangle in triangles.tolist() for edge in _edges(triangle)})
        long = [(a, b) for a, b in edges if np.linalg.norm(points[a] - points[b]) > longest_cm]
        if not long:
            return np.array(middles, np.int64).reshape(-1, 2), triangles
        middle_of = {edge: len(points) + place for place, edge in enumerate(long)}
        middles += long
        points = np.concatenate([points, [(points[a] + points[b]) / 2 for a, b in long]])
        triangles = np.array([part for t in triangles.tolist() for part in _parts(t, middle_of)], np.int64)


def _edges(triangle: Sequence[int]) -> tuple[Edge, Edge, Edge]:
    """Its edges, each from the lower number to the higher."""
    a, b, c = triangle
    return (min(a, b), max(a, b)), (min(b, c), max(b, c)), (min(c, a), max(c, a))


def _parts(triangle: Sequence[int], middle_of: dict[Edge, int]) -> list[tuple[int, int, int]]:
    """A triangle with some of its edges halved, its direction kept."""
    for turn in range(3):
        a, b, c = (*triangle, *triangle)[turn : turn + 3]
        ab, bc, ca = (middle_of.get(edge) for edge in _edges((a, b, c)))
        if ab is not None and bc is not None and ca is not None:
            return [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        if ab is not None and bc is not None:
            return [(ab, b, bc), (a, ab, bc), (a, bc, c)]
        if ab is not None and ca is None:
            return [(a, ab, c), (ab, b, c)]
    return [(triangle[0], triangle[1], triangle[2])]


def _inside(ring: Doubles, points: Doubles) -> npt.NDArray[np.bool_]:
    polygon = ring.astype(np.float32)
    return np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), False) > 0 for x, y in points])


def _from_rim(points: Doubles, rim: Doubles) -> Doubles:
    """(n,) cm: how far points are from a closed line through the rim's points."""
    start, step = rim, np.roll(rim, -1, 0) - rim
    share = ((points[:, None] - start) * step).sum(-1) / (step**2).sum(-1)
    nearest = start + np.clip(share, 0, 1)[..., None] * step
    return np.asarray(np.linalg.norm(points[:, None] - nearest, axis=2).min(1))


def make(model: FaceModel, out: Path) -> Manifest:
    """Write the bundle that engines/emg/heat_landmarks.py reads.  model: ICT-FaceKit Light, whole."""
    table = FaceLandmarks.load().on(model)
    neutral = table.positions(model.neutral)[:LANDMARKS].astype(np.float64)
    opened = table.positions(model.vertices([], model.weights(_OPEN)))[:LANDMARKS].astype(np.float64)
    middles, triangles = halved(neutral, joined(opened), LONGEST_CM)
    points = np.concatenate([neutral, np.empty((len(middles), 3))])
    for row, (a, b) in enumerate(middles, LANDMARKS):
        points[row] = (points[a] + points[b]) / 2
    surface = SkinSurface(model)
    points = surface.nearest(points, points * [1, 0, 1]).points
    near = np.concatenate([nearness(surface, points, montage) for montage in MONTAGES], 1)
    near *= np.clip(_from_rim(points, neutral[list(OVAL)]) / _RIM_CM, 0, 1)[:, None]
    labels = [label for montage in MONTAGES for label in montage.labels]
    manifest = Manifest(
        system=SYSTEM,
        network="muscles near points between MediaPipe's landmarks",
        sizes={"landmarks": LANDMARKS, "points": len(points), "triangles": len(triangles), "labels": labels},
        inputs=(ArraySpec("landmarks", "landmark, axis", "float32", (-4096.0, 4096.0), "px", None),),
        outputs=(ArraySpec("points", "point, axis", "float32", (-4096.0, 4096.0), "px", None),),
        training=Training("nothing was learned: drawn on ICT-FaceKit Light (USC ICT)", 0, False, "MIT", None),
        versions={name: version(name) for name in ("numpy", "scipy")},
    )
    arrays = {
        "middles": middles.astype(np.uint16),
        "triangles": triangles.astype(np.uint16),
        "near": np.rint(near * 255).astype(np.uint8),
    }
    return write_bundle(out, manifest, arrays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the heat map that follows MediaPipe's landmarks.")
    parser.add_argument("--assets", type=Path, required=True, help="folder with the face model")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    options = parser.parse_args(arguments)
    try:
        manifest = make(FaceModel.load(options.assets), options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{manifest.sizes['points']} points, {manifest.sizes['triangles']} triangles\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
