"""Learns how both sides of a turned face move, and says how well, on people that it has not learned from.

    python -m calibration.motion_symmetry --out BUNDLE [--looks 30] [--report FILE.json]

Synthetic people move one side more than the other with the head turned anyhow (calibration/motion_looks.py).  What a
station would see of it goes in, what the skin did comes out: ridge regression, lambda on standardised features.  People
held out do five movements, each from the front and turned by fixed angles.  Two errors are told, both in percentage
points of asymmetry: against what the same reading says of the frontal picture of the same moment, and against what the
face did.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.cohort_sources import CREDIT, Sources, find_face_model, find_faces, photo_folder
from calibration.metrics.expression import ExpressionReader
from calibration.motion_looks import Look, LookStudio, chance_light, chance_look, chance_sides, one_sided
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import BadInput, EngineError, FaceLost
from engines.face.blendshapes import BLENDSHAPES
from engines.face.crop import crop_from_landmarks, warp
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadFitter
from engines.face.mesh import expression_from_arkit52
from engines.face.pose import HeadPose
from engines.face.rigid_flow import RigidHead
from engines.face.symmetry import LEAST_CM, REGIONS, SYSTEM, RegionTable, SymmetryReader, amount_cm, features, observed
from engines.spec import ArraySpec
from rt.assets import FACE_LANDMARKER, verify

SIZE, CROP_SCALE = 192, 1.7  # as rt/stages/motion.py cuts
LAMBDA = 1000.0
ANGLES = ((0, 0), (-10, 0), (10, 0), (-20, 0), (20, 0), (-30, 0), (30, 0), (0, -15), (0, 15))  # yaw, pitch
JUDGED = ("smile", "open smile", "brows up", "eyes shut", "brows down")
HELD_OUT_EVERY = 7  # of the photos, sorted by name
_MOST_YAW, _MOST_PITCH = 34.0, 18.0
_UNMOVED = 4  # looks of a turned face at rest, per person
_FLOOR = 1e-6

Doubles = npt.NDArray[np.float64]
Asked = Sequence[tuple[str, npt.NDArray[np.float32], HeadPose]]


class Sample(NamedTuple):
    """One look, as it is learned from and judged by.

    moment: looks of the same person and movement at other angles have the same.  seen: per region (2, feature),
    true_cm: per region (2, landmark, 3), the left side mirrored in both.
    """

    person: str
    moment: int
    yaw_deg: float
    pitch_deg: float
    seen: tuple[Doubles, ...]
    true_cm: tuple[Doubles, ...]


class Observer:
    """Sees looks as a station does."""

    def __init__(self, studio: LookStudio) -> None:
        self._studio, self._fitter = studio, HeadFitter(studio.model)
        self._meter = FlowMeter(SIZE, SIZE)

    def samples(self, name: str, asked: Asked, moments: Sequence[int], rng: np.random.Generator) -> list[Sample]:
        """One person's; looks in which no turn is found are left out."""
        rest = HeadPose(*(float(x) for x in rng.normal(0, (2, 2, 1.5)).clip(-4, 4)))
        first = ("rest", np.zeros(len(BLENDSHAPES), np.float32), rest)
        sitting = self._studio.sitting(name, [first, *asked], rest, chance_light(rng))
        head, neutral = self._at_rest(next(sitting))
        number = {(one[0], one[1].tobytes(), one[2]): moment for one, moment in zip(asked, moments, strict=True)}
        found = []
        for look in sitting:
            moment = number[look.movement, look.expression.tobytes(), look.pose]
            try:
                found.append(self._sample(head, neutral, look, moment))
            except FaceLost:
                continue
        return found

    def _at_rest(self, look: Look) -> tuple[RigidHead, npt.NDArray[np.uint8]]:
        marks, picture = _cut(look)
        return RigidHead(self._fitter, marks, SIZE), picture

    def _sample(self, head: RigidHead, neutral: npt.NDArray[np.uint8], look: Look, moment: int) -> Sample:
        marks, picture = _cut(look)
        found = head.movement(marks)
        flow = self._meter.measure(neutral, head.unturned(picture, found.turn)).flow
        seen = observed(head, found, flow)
        way = np.tensordot(expression_from_arkit52(look.expression), self._fitter.moves_cm, 1)
        mirror = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
        return Sample(
            *(look.person, moment, look.pose.yaw_deg, look.pose.pitch_deg),
            tuple(np.stack([features(seen, region, side) for side in (0, 1)]) for region in REGIONS),
            tuple(np.stack([way[region.own(side)] * mirror[side] for side in (0, 1)]) for region in REGIONS),
        )


def _cut(look: Look) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """The crop of a look, and its landmarks in it."""
    crop = crop_from_landmarks(look.landmarks_px, SIZE, CROP_SCALE)
    marks = (look.landmarks_px @ crop[:, :2].T + crop[:, 2]).astype(np.float32)
    return marks, warp(look.picture, crop, np.empty((SIZE, SIZE, 3), np.uint8))


def learn(samples: Sequence[Sample], strength: float = LAMBDA) -> tuple[RegionTable, ...]:
    """A table per region, both sides together.  Raises BadInput without samples."""
    if not samples:
        raise BadInput("symmetry is learned from looks of people: there are none")
    tables = []
    for k in range(len(REGIONS)):
        x = np.concatenate([sample.seen[k] for sample in samples])
        y = np.concatenate([sample.true_cm[k].reshape(2, -1) for sample in samples])
        mean, scale, offset = x.mean(0), x.std(0) + _FLOOR, y.mean(0)
        z = (x - mean) / scale
        weights = np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T @ (y - offset))
        tables.append(RegionTable(*(np.ascontiguousarray(a, np.float32) for a in (mean, scale, weights, offset))))
    return tuple(tables)


def judge(tables: Sequence[RegionTable], samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean errors: region -> angle -> against "frontal" and "truth", and how many looks.

    Looks in which the region moves less than LEAST_CM are left out.
    """
    report: dict[str, dict[str, dict[str, float]]] = {}
    for k, (region, table) in enumerate(zip(REGIONS, tables, strict=True)):
        read = [_asymmetry(_moved(table, sample.seen[k])) for sample in samples]
        truth = [amount_cm(sample.true_cm[k]) for sample in samples]
        front = {s.moment: a for s, a in zip(samples, read, strict=True) if (s.yaw_deg, s.pitch_deg) == (0, 0)}
        rows = report.setdefault(region.name, {})
        for angle in dict.fromkeys(_name(sample) for sample in samples):
            chosen = [
                (read[i], _asymmetry(truth[i]), front[s.moment])
                for i, s in enumerate(samples)
                if _name(s) == angle and truth[i].sum() >= LEAST_CM and s.moment in front
            ]
            if chosen:
                found, true, frontal = np.array(chosen).T
                errors = {"frontal": float(np.abs(found - frontal).mean()), "truth": float(np.abs(found - true).mean())}
                rows[angle] = {**errors, "looks": len(chosen)}
    return report


def _moved(table: RegionTable, seen: Doubles) -> Doubles:
    return amount_cm((((seen - table.mean) / table.scale) @ table.weights + table.offset).reshape(2, -1, 3))


def _asymmetry(moved: Doubles) -> float:
    return float(100 * (moved[0] - moved[1]) / max(float(moved.sum()), _FLOOR))


def _name(sample: Sample) -> str:
    if sample.pitch_deg:
        return f"pitch {abs(sample.pitch_deg):.0f}"
    return f"yaw {abs(sample.yaw_deg):.0f}"


@dataclass(frozen=True)
class Made:
    """Samples to learn from and of people held out."""

    teaching: list[Sample]
    held_out: list[Sample]
    people: int


def make(sources: Sources, landmarker: Path, looks: int, seed: int, say: Callable[[str], None]) -> Made:
    """Draw everybody and look at them.  looks: per person that teaches.  say: one line per person."""
    names = sorted(sources.photos.landmarks_px)
    others = names[::HELD_OUT_EVERY]
    teachers = [name for name in names if name not in others]
    rng = np.random.default_rng(seed)
    made = Made([], [], len(teachers))
    cv2.setNumThreads(1)
    with ExpressionReader(landmarker) as reader:
        observer = Observer(LookStudio(sources, landmarker, reader, seed))
        for name in (*others, *teachers):
            judged = name in others
            asked, moments = _judged(rng, len(made.held_out)) if judged else _anything(rng, looks)
            samples = observer.samples(name, asked, moments, rng)
            (made.held_out if judged else made.teaching).extend(samples)
            say(f"{name}: {len(samples)} looks{', held out' if judged else ''}")
    return made


def _anything(rng: np.random.Generator, looks: int) -> tuple[Asked, Sequence[int]]:
    asked = [chance_look(rng, _MOST_YAW, _MOST_PITCH) for _ in range(looks)]
    still = np.zeros(len(BLENDSHAPES), np.float32)
    asked += [("none", still, chance_look(rng, _MOST_YAW, _MOST_PITCH)[2]) for _ in range(min(_UNMOVED, looks))]
    return asked, range(len(asked))


def _judged(rng: np.random.Generator, first: int) -> tuple[Asked, Sequence[int]]:
    asked, moments = [], []
    for movement in JUDGED:
        expression = one_sided(movement, *chance_sides(rng))
        asked += [(movement, expression, HeadPose(float(yaw), float(pitch))) for yaw, pitch in ANGLES]
        moments += [1000 * first + len(asked)] * len(ANGLES)
    return asked, moments


def write(tables: Sequence[RegionTable], made: Made, seed: int, out: Path) -> Manifest:
    """Write the bundle that engines/face/symmetry.py reads."""
    report = judge(tables, made.held_out)
    where = f"{len({s.person for s in made.held_out})} synthetic people held out, head turned by 20 degrees"
    metrics = {
        f"{region}_{what}": Metric(round(rows["yaw 20"][what], 2), "percentage points", where)
        for region, rows in report.items()
        for what in ("frontal", "truth")
        if "yaw 20" in rows
    }
    arrays = {
        f"{region.name}.{name}": getattr(table, name)
        for region, table in zip(REGIONS, tables, strict=True)
        for name in ("mean", "scale", "weights", "offset")
    }
    manifest = Manifest(
        system=SYSTEM,
        network="ridge regression",
        sizes={"lambda": LAMBDA, "size": SIZE, "looks": len(made.teaching)},
        inputs=(ArraySpec("flow", "height, width, axis", "float32", (-64.0, 64.0), "px", None, (SIZE, SIZE, 2)),),
        outputs=(ArraySpec("moved", "region, side", "float32", (0.0, 10.0), "cm", None, (len(REGIONS), 2)),),
        training=Training(f"{CREDIT}; animated by MyoMirror", made.people, True, "CC BY 4.0, as the photos", seed),
        metrics=metrics,
        versions={name: version(name) for name in ("numpy", "opencv-contrib-python", "mediapipe")},
    )
    return write_bundle(out, manifest, arrays)


def show(report: dict[str, dict[str, dict[str, float]]]) -> Iterable[str]:
    """Lines of a table: percentage points against the frontal view, and against what the face did."""
    for region, rows in report.items():
        for angle, row in rows.items():
            told = f"{row['frontal']:5.1f} from the frontal view, {row['truth']:5.1f} from the truth"
            yield f"{region:7s} {angle:9s} {told}  ({row['looks']:.0f} looks)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Learn and judge the symmetry of turned faces.")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--looks", type=int, default=30, help="per person that teaches")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--report", type=Path, help="write the table as JSON")
    options = parser.parse_args(arguments)
    try:
        landmarker = verify(FACE_LANDMARKER)
        sources = Sources(find_faces(photo_folder(None), landmarker), find_face_model(None))
        made = make(sources, landmarker, options.looks, options.seed, lambda line: _say(line))
        tables = learn(made.teaching)
        SymmetryReader(tables)
        write(tables, made, options.seed, options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report: dict[str, Any] = judge(tables, made.held_out)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    for line in show(report):
        _say(line)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
