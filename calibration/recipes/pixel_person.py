"""A movement's map made one person's own: the population's map refined on a few frames of this person, in closed form.

A ridge that pulls towards the population (w0, b0, way0) where Eq. 6 of Akram and Khan 2020 pulls towards nothing:

    shape   delta = argmin  sum_i |d_i - way0(s_i) - delta|^2 + p |delta|^2  =  n / (n + p) mean_i (d_i - way0(s_i))
    skin    w, b  = argmin  sum_i (w x_i + b - t_i)^2 + lambda_w (w - w0)^2 + lambda_b (b - b0)^2,   per pixel, channel

d_i: the landmarks' way from neutral s_i to the target, the head's own part taken out; x_i, t_i: both pictures drawn in
the map's mean frame.  calibration/recipes/pixel_dense.py solves it.  A person's pixels hardly vary, so lambda_w is so
large that the gain stays the population's, and what is learned is the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.movement_seen import Doubles, MovementSeen
from calibration.recipes.pixel_dense import RefineSettings, predict, refine_dense
from calibration.recipes.pixel_judge import judge, mean
from calibration.recipes.pixel_pairs import FacePairs
from engines.bundle import MANIFEST, Manifest, Metric, Training, write_bundle
from engines.errors import BadInput
from engines.face.pixel_mesh import MESH, SYSTEM, PixelMesh, mesh_of, redraw, with_rim
from engines.spec import ArraySpec

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
_HALVES = ("way", "rest", "basis", "ways", "gain", "bias")  # stored as 16-bit floats


@dataclass(frozen=True)
class Shot:
    """One frame of a person: face (side, side, 3) uint8 BGR, an upright crop; landmarks_px (478, 2), px of it."""

    face: Picture
    landmarks_px: Floats

    def at(self, side: int) -> Shot:
        """The same in another size."""
        before = len(self.face)
        if side == before:
            return self
        way = cv2.INTER_AREA if side < before else cv2.INTER_LINEAR
        points = (self.landmarks_px + 0.5) * (side / before) - 0.5
        return Shot(np.asarray(cv2.resize(self.face, (side, side), interpolation=way), np.uint8), points)


@dataclass(frozen=True)
class Learned:
    """What was learned of a person.

    own: the refined map, as it is stored.  frames: how many pairs taught it.  before_db, after_db: PSNR on the face of
    the population's and of the own map, on other frames of this person; NaN where there were none.
    """

    own: PixelMesh
    frames: int
    before_db: float
    after_db: float


def pairs_of(
    neutral: Sequence[Shot], target: Sequence[Shot], population: PixelMesh, depth: Doubles | None = None
) -> FacePairs:
    """Pairs in the population's size, each target drawn as if the head had not moved since its neutral.

    neutral, target: as many of either.  depth: (468,), the canonical face's z; see MovementSeen.
    Raises BadInput when there is no pair.
    """
    if not neutral or len(neutral) != len(target):
        raise BadInput(f"a person's map needs neutral and target frames in pairs, found {len(neutral)}, {len(target)}")
    side = population.side
    rests, shown = [shot.at(side) for shot in neutral], [shot.at(side) for shot in target]
    goals = []
    for rest, shot in zip(rests, shown, strict=True):
        places, now = ((points + 0.5) / side for points in (rest.landmarks_px, shot.landmarks_px))
        head = MovementSeen(population, places, depth).head(now).astype(np.float32) * side
        goal = shot.landmarks_px.copy()
        goal[:MESH] -= head
        goal[MESH:] -= head[MESH - 1]  # the pupils go with the eyes' landmark
        goals.append(goal)
    mesh = mesh_of(np.mean(goals, axis=0))
    drawn = [redraw(s.face, with_rim(s.landmarks_px), with_rim(g), mesh) for s, g in zip(shown, goals, strict=True)]
    return FacePairs(
        ("own",) * len(rests),
        np.stack([shot.face for shot in rests]),
        np.stack(drawn),
        np.stack([shot.landmarks_px for shot in rests]).astype(np.float32),
        np.stack(goals).astype(np.float32),
    )


def learn_person(
    population: PixelMesh, pairs: FacePairs, others: FacePairs | None, settings: RefineSettings | None = None
) -> Learned:
    """Refine, and judge on frames that did not teach.  pairs, others: from `pairs_of`.

    Raises BadInput when the crops are of another size than the map's.
    """
    exact = refine_dense(population, pairs, settings)
    stored = {name: getattr(exact, name).astype(np.float16).astype(np.float32) for name in _HALVES}
    own = PixelMesh(frame=exact.frame, triangles=exact.triangles, expression=exact.expression, **stored)
    if others is None:
        return Learned(own, len(pairs.people), float("nan"), float("nan"))
    before, after = (mean(judge(predict(mesh, others), others)).psnr_face for mesh in (population, own))
    return Learned(own, len(pairs.people), before, after)


def write_person(learned: Learned, population: Path, out: Path, subject: str, synthetic: bool) -> Manifest:
    """Write a person's own map as a bundle: folder 0700, files 0600, no picture in it.

    population: the bundle that was refined, whose hash the manifest names.  subject: a pseudonym.
    """
    import hashlib

    base = hashlib.sha256((population / MANIFEST).read_bytes()).hexdigest()
    own, on = learned.own, f"other frames of the same hold of {subject}, the face"
    found = {"psnr_population": learned.before_db, "psnr": learned.after_db}
    picture = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR")
    manifest = Manifest(
        system=SYSTEM,
        network="a population's map refined on one person's frames",
        sizes={
            "size": own.side,
            "expression": own.expression,
            "points": len(own.frame),
            "frames": learned.frames,
            "subject": subject,
            "population": population.name,
            "population_manifest_sha256": base,
            **asdict(RefineSettings()),
        },
        inputs=(
            picture,
            ArraySpec("landmarks", "landmark, axis", "float32", (-1.0, 2.0), "share of the crop's side", None),
        ),
        outputs=(picture,),
        training=Training(f"live frames of {subject}, which were not kept", 1, synthetic, "the person's own", None),
        metrics={name: Metric(round(value, 3), "dB", on) for name, value in found.items() if np.isfinite(value)},
        versions={name: version(name) for name in ("numpy", "opencv-contrib-python")},
    )
    arrays = {name: getattr(own, name).astype(np.float16) for name in _HALVES}
    out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return write_bundle(out, manifest, {**arrays, "frame": own.frame, "triangles": own.triangles})
