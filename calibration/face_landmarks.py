"""Learn where MediaPipe's landmarks lie on the face model, from the London faces.

Round by round: fit the model to every photo with the table as it stands, look which point of the mesh each landmark
falls on, take the median over all photos.  Lids and lips only slide along the model's own lid and lip lines, so that
the mesh's mouth and eyes open where the photo's do; that also keeps the average person's shape from vanishing into the
table.  The first round starts from the 68 pairs of FACTS 3.

    python -m calibration.face_landmarks --data LONDON_FACES --assets FOLDER --out BUNDLE
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from calibration.data.london_faces import ATTRIBUTION, EXPRESSIONS, LICENCE, read_london_faces
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import EngineError
from engines.face.fit import Fit, Fitter
from engines.face.landmarks import COUNT, IRISES, OVAL, FaceLandmarks
from engines.face.mesh import LANDMARKS_68, MEDIAPIPE_68, FaceModel
from engines.face.raster import Raster
from engines.spec import ArraySpec

ROUNDS = 8
_CANDIDATES = 60  # triangles tried for the nearest point
_FINER = 2  # the mesh is drawn so much larger than the photo, so that thin triangles are hit

# A line on the model through some of the 68, and MediaPipe's landmarks along it
LINES = (
    # lips: outside above and below, inside above and below, from the person's right to the left
    ((48, 49, 50, 51, 52, 53, 54), (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)),
    ((48, 59, 58, 57, 56, 55, 54), (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)),
    ((60, 61, 62, 63, 64), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)),
    ((60, 67, 66, 65, 64), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)),
    # lids, from the temple to the nose: right above and below, left above and below
    ((36, 37, 38, 39), (33, 246, 161, 160, 159, 158, 157, 173, 133)),
    ((36, 41, 40, 39), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((45, 44, 43, 42), (263, 466, 388, 387, 386, 385, 384, 398, 362)),
    ((45, 46, 47, 42), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
)

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]


class Learner:
    """The model's geometry that a round needs."""

    def __init__(self, model: FaceModel) -> None:
        """model: ICT-FaceKit Light, whole."""
        self.model = model
        skin_end = model.regions["head_and_neck"][1]
        skin = np.ascontiguousarray(model.triangles[(model.triangles < skin_end).all(1)])
        balls = [_triangles_of(model, f"eyeball_{side}") for side in ("right", "left")]
        irises = np.array(IRISES).reshape(2, -1)
        self._parts = [(skin, np.arange(IRISES[0])), *zip(balls, irises, strict=True)]  # with the landmarks on them
        graph = _edge_graph(model, model.regions["face"][1])
        self._lines = [_way(graph, [LANDMARKS_68[k] for k in stops]) for stops, _ in LINES]

    def first_table(self) -> FaceLandmarks:
        """The 68 pairs alone: landmarks without a place have an infinite sd."""
        corners, weights = np.zeros((COUNT, 3), np.int32), np.zeros((COUNT, 3), np.float32)
        weights[:, 0] = 1
        sd_cm = np.full(COUNT, np.inf, np.float32)
        corners[list(MEDIAPIPE_68)] = np.array(LANDMARKS_68)[:, None]
        sd_cm[list(MEDIAPIPE_68)] = 0
        return FaceLandmarks(corners, weights, sd_cm)

    def next_table(
        self, photos: Sequence[Array], sizes: Sequence[tuple[int, int]], fits: Sequence[Fit]
    ) -> FaceLandmarks:
        """Look where the landmarks fall on the fitted meshes.  photos: landmarks (478, 2) px of each."""
        places = np.empty((len(fits), COUNT, 3))
        shares = [np.empty((len(fits), len(numbers))) for _, numbers in LINES]
        for row, (seen, size, found) in enumerate(zip(photos, sizes, fits, strict=True)):
            projected = found.camera.project(self.model.vertices(found.identity, found.expression))
            places[row] = self._hits(projected, seen, size)
            for line, share, (_, numbers) in zip(self._lines, shares, LINES, strict=True):
                share[row] = _along(projected[line, :2].astype(np.float64), seen[list(numbers)])
        corners, weights = self._nearest(np.median(places, axis=0))
        for line, share, (_, numbers) in zip(self._lines, shares, LINES, strict=True):
            middle = np.median(share, axis=0)
            middle[[0, -1]] = 0, len(line) - 1  # the ends are corners of mouth and eye
            for number, place in zip(numbers, middle, strict=True):
                first = min(int(place), len(line) - 2)
                corners[number] = line[first], line[first + 1], line[first + 1]
                weights[number] = 1 - (place - first), place - first, 0
        return FaceLandmarks(corners, weights.astype(np.float32), np.zeros(COUNT, np.float32))

    def errors_cm(self, table: FaceLandmarks, photos: Sequence[Array], fits: Sequence[Fit]) -> Array:
        """(photo, 478, 2): landmarks minus the table's points on the fitted meshes, in cm of the model."""
        found = []
        for seen, one in zip(photos, fits, strict=True):
            projected = one.camera.project(self.model.vertices(one.identity, one.expression))
            found.append((seen - table.positions(projected[:, :2])) / one.camera.scale)
        return np.array(found)

    def _hits(self, projected: npt.NDArray[np.float32], seen: Array, size: tuple[int, int]) -> Array:
        """(478, 3): places on the neutral mesh that are seen at the landmarks, irises on their eyeballs."""
        where = np.empty((COUNT, 3))
        for triangles, numbers in self._parts:
            raster = Raster(size[0] * _FINER, size[1] * _FINER)
            raster.draw(np.ascontiguousarray(projected * np.float32(_FINER)), triangles)
            hit = triangles[_seen_at(raster.triangle, seen[numbers] * _FINER)]
            share = _barycentric(projected[hit][:, :, :2].astype(np.float64), seen[numbers])
            where[numbers] = np.einsum("lc,lcx->lx", share, self.model.neutral[hit])
        return where

    def _nearest(self, places: Array) -> tuple[Indices, Array]:
        """Points of the surface nearest to places (478, 3) in space: corners (478, 3) and weights (478, 3)."""
        corners, weights = np.zeros((COUNT, 3), np.int32), np.zeros((COUNT, 3))
        for triangles, numbers in self._parts:
            points = self.model.neutral[triangles].astype(np.float64)
            _, near = cKDTree(points.mean(1)).query(places[numbers], _CANDIDATES)
            for number, candidates in zip(numbers, near, strict=True):
                place = np.broadcast_to(places[number], (_CANDIDATES, 3))
                share = _barycentric(points[candidates], place)
                gap = ((np.einsum("nc,ncx->nx", share, points[candidates]) - place) ** 2).sum(1)
                best = int(np.argmin(gap))
                corners[number], weights[number] = triangles[candidates[best]], share[best]
        return corners, weights


def _triangles_of(model: FaceModel, region: str) -> Indices:
    first, last = model.regions[region]
    return np.ascontiguousarray(model.triangles[((model.triangles >= first) & (model.triangles < last)).all(1)])


def _edge_graph(model: FaceModel, vertices: int) -> csr_matrix:
    """Edges of the first vertices' triangles, cm long."""
    edges = np.concatenate([model.triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    edges = edges[(edges < vertices).all(1)]
    length = np.linalg.norm(model.neutral[edges[:, 0]] - model.neutral[edges[:, 1]], axis=1)
    return csr_matrix((length, (edges[:, 0], edges[:, 1])), (vertices, vertices))


def _way(graph: csr_matrix, stops: Sequence[int]) -> npt.NDArray[np.int64]:
    """The shortest way along edges through all stops, as vertices."""
    way = [stops[0]]
    for start, end in pairwise(stops):
        _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        leg = [end]
        while leg[-1] != start:
            leg.append(int(before[leg[-1]]))
        way += leg[-2::-1]
    return np.array(way)


def _along(line: Array, points: Array) -> Array:
    """(p,): which place on a line of n points, 0..n - 1, is nearest to each of the points."""
    start, step = line[:-1], np.diff(line, axis=0)
    share = ((points[:, None] - start) * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-12)
    share = np.clip(share, 0, 1)
    gap = ((points[:, None] - start - share[..., None] * step) ** 2).sum(-1)
    nearest = gap.argmin(1)
    return np.asarray(nearest + share[np.arange(len(points)), nearest])


def _seen_at(triangle: Indices, points: Array) -> npt.NDArray[np.int64]:
    """Which triangle is seen at each point, or nearest to it."""
    last = np.array(triangle.shape) - 1
    y, x = np.clip(np.rint(points[:, ::-1]), 0, last).astype(int).T
    if (triangle[y, x] < 0).any():
        _, (rows, columns) = distance_transform_edt(triangle < 0, return_indices=True)
        y, x = rows[y, x], columns[y, x]
    return np.asarray(triangle[y, x], np.int64)


def _barycentric(corners: Array, points: Array) -> Array:
    """(n, 3) weights of triangles (n, 3, D) for points (n, D), or of a point near it where one lies outside."""
    edges = corners[:, 1:] - corners[:, :1]
    offset = points - corners[:, 0]
    gram = edges @ edges.transpose(0, 2, 1) + 1e-12 * np.eye(2)
    two = np.linalg.solve(gram, (edges @ offset[:, :, None]))[:, :, 0]
    share = np.clip(np.column_stack([1 - two.sum(1), two]), 0, None)
    return np.asarray(share / share.sum(1, keepdims=True))


def learn(model: FaceModel, photos: Sequence[Array], sizes: Sequence[tuple[int, int]]) -> tuple[FaceLandmarks, Array]:
    """Learn the table from photos' landmarks (478, 2) px.

    Returns the table and its errors (photo, 478, 2), cm.
    """
    learner = Learner(model)
    table = learner.first_table()
    for _ in range(ROUNDS):
        fitter = Fitter(model, landmarks=table)
        fits = [fitter.fit(seen, size) for seen, size in zip(photos, sizes, strict=True)]
        table = learner.next_table(photos, sizes, fits)
    fitter = Fitter(model, landmarks=table)
    fits = [fitter.fit(seen, size) for seen, size in zip(photos, sizes, strict=True)]
    errors_cm = learner.errors_cm(table, photos, fits)
    sd_cm = np.sqrt((errors_cm**2).mean((0, 2))).astype(np.float32)
    return FaceLandmarks(table.corners, table.weights, sd_cm), errors_cm


def write(table: FaceLandmarks, errors_cm: Array, people: int, out: Path) -> Manifest:
    """Write the bundle that engines/face/landmarks.py reads."""
    off_mm = 10 * np.sqrt((errors_cm**2).sum(2))
    skin = np.setdiff1d(np.arange(COUNT), [*OVAL, *IRISES])
    where = "the photos it was learned from"
    manifest = Manifest(
        system="face_landmarks",
        network="points on the triangles of ICT-FaceKit Light",
        sizes={"landmarks": COUNT, "rounds": ROUNDS},
        inputs=(ArraySpec("vertices", "vertex, axis", "float32", (-40.0, 40.0), "cm", None),),
        outputs=(ArraySpec("landmarks", "landmark, axis", "float32", (-40.0, 40.0), "cm", None),),
        training=Training(f"landmarks of the {ATTRIBUTION}", people, False, LICENCE, None),
        metrics={
            "rms_skin": Metric(round(float(np.sqrt((off_mm[:, skin] ** 2).mean())), 3), "mm", where),
            "rms_oval": Metric(round(float(np.sqrt((off_mm[:, list(OVAL)] ** 2).mean())), 3), "mm", where),
        },
        versions={name: version(name) for name in ("numpy", "scipy", "mediapipe")},
    )
    return write_bundle(out, manifest, {"corners": table.corners, "weights": table.weights, "sd_cm": table.sd_cm})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Learn where MediaPipe's landmarks lie on the face model.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the London faces")
    parser.add_argument(
        "--assets", type=Path, required=True, help="folder with face_landmarker.task and the face model"
    )
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    options = parser.parse_args(arguments)
    try:
        model = FaceModel.load(options.assets)
        photos, sizes, people = [], [], 0
        for person in read_london_faces(options.data, options.assets / "face_landmarker.task"):
            people += 1
            for name in EXPRESSIONS:
                photos.append(person.landmarks_px[name].astype(np.float64))
                sizes.append(person.photos[name].shape[:2])
        manifest = write(*learn(model, photos, sizes), people, options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\n".join(f"{k}: {v.value} {v.unit}" for k, v in manifest.metrics.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
