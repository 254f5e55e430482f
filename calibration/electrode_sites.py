"""Find where the electrodes of both schemes lie on the face model; writes the table of engines/face/electrode_sites.py.

A site is given on MediaPipe's flat map (FACTS 1.1): the map's triangle around it names three landmarks, whose places
on the face model are known (engines/face/landmarks.py), and the nearest point of the skin is the site.  A bipolar
channel's two electrodes lie along its muscle's fibres.  Two electrodes cannot lie in one place: where the schemes
meet, they are moved apart, a bipolar pair as one.  The left half is found, the right one is its mirror image.

    python -m calibration.electrode_sites --assets FOLDER
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.emg.montage import FRIDLUND, KURAMOTO, Channel
from engines.errors import BadInput, EngineError
from engines.face.electrode_sites import BIPOLAR_CM
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel
from engines.face.skin_surface import SkinSurface, tangents

# How a muscle's fibres run under its site, degrees from the person's left towards up, left side; read off the drawings
# of the placement guidelines (Fridlund and Cacioppo 1986) by eye.
FIBRES_DEG = {
    "medial_frontalis": 90, "lateral_frontalis": 80, "corrugator_supercilii": 15, "depressor_supercilii": 80,
    "levator_labii_superioris": 100, "orbicularis_oris": 10, "depressor_anguli_oris": 80, "mentalis": 80,
    "orbicularis_oculi": -10, "zygomaticus": 45, "masseter": 100,
}  # fmt: skip
APART_CM = 0.85  # nearest that two electrodes may lie
_NOSE_WING_CM = (1.75, -0.25, 10.6)  # tapes do not stick to its crease: electrodes keep away from it
_HOLD = 0.04  # of the way back to where it should be, per round
_ROUNDS = 400

Array = npt.NDArray[np.float64]


@dataclass
class Body:
    """What moves as one: a monopolar electrode or a bipolar pair.  offsets: (k, 2) cm, left and up along the skin."""

    labels: tuple[str, ...]
    wanted: Array
    offsets: Array
    middle: bool

    def __post_init__(self) -> None:
        """Start where it should be."""
        self.centre = self.wanted.copy()

    def points(self, surface: SkinSurface) -> Array:
        """(k, 3): where the electrodes would lie."""
        place = surface.nearest(self.centre[None], self.centre[None] * [1, 0, 1])
        left, up = tangents(place.normals[0])
        return np.asarray(place.points[0] + self.offsets @ np.stack([left, up]))


def site_on_face(channel: Channel, uvs: Array, triangles: npt.NDArray[np.int64], landmarks: Array) -> Array:
    """(3,) cm: a channel's site from the canonical face's map, uvs (468, 2) with v from the top.

    Raises BadInput when it lies beside the map.
    """
    corner = uvs[triangles]
    sides = np.stack([corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]], -1)
    two = np.linalg.solve(sides, (np.array(channel.uv) - corner[:, 0])[..., None])[..., 0]
    shares = np.column_stack([1 - two.sum(1), two])
    best = int(np.argmax(shares.min(1)))
    if shares[best].min() < -1e-6:
        raise BadInput(f"{channel.label} lies beside the face's map: its site must be on the face")
    return np.asarray(shares[best] @ landmarks[triangles[best]])


def read_map(path: Path) -> tuple[Array, npt.NDArray[np.int64]]:
    """The canonical face's map from its OBJ file: uvs (468, 2), v from the top, and triangles (898, 3)."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error}): give the folder with the canonical face model") from error
    flat = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], np.float64)
    faces = [[part.split("/")[:2] for part in line.split()[1:4]] for line in lines if line.startswith("f ")]
    pairs = np.array(faces, np.int64) - 1
    uvs = np.zeros((pairs[..., 0].max() + 1, 2))
    uvs[pairs[..., 0]] = flat[pairs[..., 1]] * [1, -1] + [0, 1]
    return uvs, pairs[..., 0]


def bodies(model: FaceModel, canonical: Path) -> list[Body]:
    """Everything on the left half and the midline, where it should be."""
    uvs, triangles = read_map(canonical)
    landmarks = FaceLandmarks.load().on(model).positions(model.neutral).astype(np.float64)
    found = []
    assert KURAMOTO.reference is not None
    for channel in (*FRIDLUND.channels, *KURAMOTO.channels, KURAMOTO.reference):
        if channel.side == "right":
            continue
        wanted = site_on_face(channel, uvs, triangles, landmarks)
        middle = channel.side == "midline"
        wanted *= [0.0 if middle else 1.0, 1, 1]
        labels: tuple[str, ...] = (channel.label,)
        offsets = np.zeros((1, 2))
        if channel in FRIDLUND.channels:
            angle = np.deg2rad(FIBRES_DEG[channel.muscle])
            labels = (f"{channel.label}a", f"{channel.label}b")  # b further left, or up
            offsets = np.array([[-0.5], [0.5]]) * BIPOLAR_CM * [np.cos(angle), np.sin(angle)]
        found.append(Body(labels, wanted, offsets, middle))
    return found


def move_apart(surface: SkinSurface, every: Sequence[Body]) -> None:
    """Push electrodes apart that lie nearer than APART_CM, also across the midline, and hold them near their sites."""
    owner = np.concatenate([np.full(len(body.offsets), i) for i, body in enumerate(every)])
    for _ in range(_ROUNDS):
        points = np.concatenate([body.points(surface) for body in every])
        mirrored = points * [-1, 1, 1]
        push = np.zeros((len(every), 3))
        for i, point in enumerate(points):
            wing = point - np.array(_NOSE_WING_CM)
            distance = float(np.linalg.norm(wing))
            if distance < APART_CM:
                push[owner[i]] += wing / distance * (APART_CM - distance)
            for others, same in ((points, owner == owner[i]), (mirrored, np.full(len(points), every[owner[i]].middle))):
                apart = point - others
                distance = np.linalg.norm(apart, axis=1)
                near = (distance < APART_CM) & ~same & (distance > 1e-6)
                push[owner[i]] += (apart[near] * ((APART_CM - distance[near]) / distance[near])[:, None]).sum(0) * 0.25
        for body, way in zip(every, push, strict=True):
            moved = body.centre + way + _HOLD * (body.wanted - body.centre)
            moved[0] = 0.0 if body.middle else moved[0]
            body.centre = surface.nearest(moved[None], moved[None] * [1, 0, 1]).points[0]
            body.centre[0] = 0.0 if body.middle else body.centre[0]


def table(surface: SkinSurface, every: Sequence[Body]) -> dict[str, tuple[tuple[int, int, int], tuple[float, float]]]:
    """Label -> (three vertices, weights of the first two), both halves, in the montages' order."""
    rows: dict[str, tuple[tuple[int, int, int], tuple[float, float]]] = {}
    for body in every:
        for label, point in zip(body.labels, body.points(surface), strict=True):
            sides = [(label, 1.0)] if body.middle else [(_right(label), -1.0), (label, 1.0)]
            for name, sign in sides:
                spot = point * [sign, 1, 1]
                place = surface.nearest(spot[None], spot[None] * [1, 0, 1])
                corners, weights = place.corners[0].tolist(), place.weights[0].tolist()
                rows[name] = (corners[0], corners[1], corners[2]), (round(weights[0], 3), round(weights[1], 3))
    return dict(sorted(rows.items(), key=lambda row: (row[0][0], int(row[0][1:].rstrip("ab")), row[0])))


def _right(label: str) -> str:
    """The mirrored label: F20a -> F19a."""
    digits = label[1:].rstrip("ab")
    return f"{label[0]}{int(digits) - 1}{label[1 + len(digits) :]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and how far electrodes were moved apart."""
    parser = argparse.ArgumentParser(prog="python -m calibration.electrode_sites", description=__doc__)
    parser.add_argument("--assets", type=Path, required=True, help="folder with the two face models")
    options = parser.parse_args(arguments)
    try:
        model = FaceModel.load(options.assets)
        every = bodies(model, options.assets / "canonical_face_model.obj")
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    surface = SkinSurface(model)
    move_apart(surface, every)
    for label, (corners, weights) in table(surface, every).items():
        sys.stdout.write(f'    "{label}": ({corners}, {weights}),\n')
    for body in every:
        moved = float(np.linalg.norm(body.centre - body.wanted)) * 10
        sys.stderr.write(f"{'/'.join(body.labels)}: {moved:.1f} mm from its site\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
