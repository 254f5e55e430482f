"""Learns how both sides of a turned face move, and says how well, on people that it has not learned from.

    python -m calibration.motion_symmetry --out BUNDLE [--looks 200] [--seed 5] [--report FILE.json]

Synthetic people move one side more than the other with the head turned anyhow (calibration/motion_looks.py).  What a
station would see of it goes in, how far the skin moved comes out (calibration/symmetry_training.py).  People held out
do five movements, each from the front and turned by fixed angles: what is told of them stands in `judge`.
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
from calibration.symmetry_training import SymmetryTraining, learn
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import BadInput, EngineError, FaceLost
from engines.face.arrays import Floats
from engines.face.blendshapes import BLENDSHAPES
from engines.face.crop import crop_from_landmarks, warp
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadFitter
from engines.face.mesh import FaceModel, expression_from_arkit52
from engines.face.pose import HeadPose
from engines.face.rigid_flow import RigidHead
from engines.face.symmetry import LEAST_CM, REGIONS, SYSTEM, SideNetwork, SymmetryReader, amount_cm, features, observed
from engines.spec import ArraySpec
from rt.assets import FACE_LANDMARKER, verify

SIZE, CROP_SCALE = 192, 1.7  # as rt/stages/motion.py cuts
ANGLES = ((0, 0), (-10, 0), (10, 0), (-20, 0), (20, 0), (-30, 0), (30, 0), (0, -15), (0, 15))  # yaw, pitch
JUDGED = ("smile", "open smile", "brows up", "eyes shut", "brows down")
HELD_OUT_EVERY = 7  # of the photos, sorted by name
_MOST_YAW, _MOST_PITCH = 34.0, 18.0
_UNMOVED = 4  # looks of a turned face at rest, per person
_FLOOR = 1e-6
_REST_CM = LEAST_CM / 2

Asked = Sequence[tuple[str, npt.NDArray[np.float32], HeadPose]]


class Sample(NamedTuple):
    """One look, as it is learned from and judged by.

    moment: looks of the same person and movement at other angles have the same.  seen: (side, feature) float32, right
    before left.  moved_cm: (side, region) float32, how far the skin moved.
    """

    person: str
    moment: int
    yaw_deg: float
    pitch_deg: float
    seen: Floats
    moved_cm: Floats


class Observer:
    """Sees looks as a station does."""

    def __init__(self, model: FaceModel) -> None:
        self._fitter = HeadFitter(model)
        self._meter = FlowMeter(SIZE, SIZE)

    def samples(
        self, studio: LookStudio, name: str, asked: Asked, moments: Sequence[int], rng: np.random.Generator
    ) -> list[Sample]:
        """One person's, drawn by a studio; looks in which no turn is found are left out."""
        rest = HeadPose(*(float(x) for x in rng.normal(0, (2, 2, 1.5)).clip(-4, 4)))
        first = ("rest", np.zeros(len(BLENDSHAPES), np.float32), rest)
        sitting = studio.sitting(name, [first, *asked], rest, chance_light(rng))
        neutral = self.at_rest(next(sitting))
        number = {(one[0], one[1].tobytes(), one[2]): moment for one, moment in zip(asked, moments, strict=True)}
        found = []
        for look in sitting:
            moment = number[look.movement, look.expression.tobytes(), look.pose]
            try:
                found.append(self.sample(neutral, look, moment))
            except FaceLost:
                continue
        return found

    def at_rest(self, look: Look) -> AtRest:
        """What a neutral look is remembered by.  Raises FaceLost when its landmarks are no face's."""
        marks, picture = _cut(look)
        return AtRest(RigidHead(self._fitter, marks, SIZE), picture, look.blendshapes)

    def sample(self, neutral: AtRest, look: Look, moment: int) -> Sample:
        """One look, beside the neutral one.  Raises FaceLost when no turn is found."""
        marks, picture = _cut(look)
        found = neutral.head.movement(marks)
        flow = self._meter.measure(neutral.picture, neutral.head.unturned(picture, found.turn)).flow
        seen = observed(neutral.head, found, flow, look.blendshapes - neutral.blendshapes)
        way = np.tensordot(expression_from_arkit52(look.expression), self._fitter.moves_cm, 1)
        moved = [amount_cm(np.stack([way[region.own(side)] for side in (0, 1)])) for region in REGIONS]
        return Sample(
            *(look.person, moment, look.pose.yaw_deg, look.pose.pitch_deg),
            np.stack([features(seen, side) for side in (0, 1)]).astype(np.float32),
            np.stack(moved, 1).astype(np.float32),
        )


class AtRest(NamedTuple):
    """A neutral look: the head, its crop, its blendshapes."""

    head: RigidHead
    picture: npt.NDArray[np.uint8]
    blendshapes: Floats


def _cut(look: Look) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """The crop of a look, and its landmarks in it."""
    crop = crop_from_landmarks(look.landmarks_px, SIZE, CROP_SCALE)
    marks = (look.landmarks_px @ crop[:, :2].T + crop[:, 2]).astype(np.float32)
    return marks, warp(look.picture, crop, np.empty((SIZE, SIZE, 3), np.uint8))


def judge(network: SideNetwork, samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, float]]]:
    """How well a network reads: region -> angle -> numbers.

    looks: those in which the region really moves LEAST_CM or more, and was seen from the front, too.  silent: share of
    them that a station would say nothing about.  frontal, truth: mean errors of asymmetry in the others, percentage
    points off what is read from the front, and off what the face did.  moved: error of how far the region moves, both
    sides together, as a share of it.  invented: share of the looks with the region at rest in which it is said to move.
    """
    report: dict[str, dict[str, dict[str, float]]] = {}
    said = np.stack([network(sample.seen) for sample in samples])  # (look, side, region)
    true = np.stack([sample.moved_cm for sample in samples])
    front = {sample.moment: i for i, sample in enumerate(samples) if (sample.yaw_deg, sample.pitch_deg) == (0, 0)}
    angles = np.array([_name(sample) for sample in samples])
    from_front = np.array([front.get(sample.moment, -1) for sample in samples])
    for k, region in enumerate(REGIONS):
        moved, really = said[..., k].sum(1), true[..., k].sum(1)
        read, truth = _asymmetry(said[..., k]), _asymmetry(true[..., k])
        told = (moved >= LEAST_CM) & (moved[from_front] >= LEAST_CM)
        rows = report.setdefault(region.name, {})
        for angle in dict.fromkeys(angles.tolist()):
            moves = (angles == angle) & (really >= LEAST_CM) & (from_front >= 0)
            rests = (angles == angle) & (really < _REST_CM)
            if not (moves & told).any():
                continue
            rows[angle] = {
                "frontal": _mean(np.abs(read - read[from_front])[moves & told]),
                "truth": _mean(np.abs(read - truth)[moves & told]),
                "moved": _mean((np.abs(moved - really) / np.maximum(really, LEAST_CM))[moves]),
                "silent": _mean(~told[moves]),
                "invented": _mean(moved[rests] >= LEAST_CM) if rests.any() else 0.0,
                "looks": int(moves.sum()),
            }
    return report


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean())


def _asymmetry(moved: Floats) -> Floats:
    """(look, side) -> (look,)"""
    return np.asarray(100 * (moved[:, 0] - moved[:, 1]) / np.maximum(moved.sum(1), _FLOOR))


def _name(sample: Sample) -> str:
    if sample.pitch_deg:
        return f"pitch {abs(sample.pitch_deg):.0f}"
    return f"yaw {abs(sample.yaw_deg):.0f}"


@dataclass(frozen=True)
class Made:
    """Samples to learn from and of people held out.  people: who teach."""

    teaching: list[Sample]
    held_out: list[Sample]
    people: int

    def learn(self, seed: int, say: Callable[[str], None]) -> SideNetwork:
        """What they teach.  Raises BadInput when there are none."""
        if not self.teaching:
            raise BadInput("symmetry is learned from looks of people: there are none")
        seen = np.stack([sample.seen for sample in self.teaching])
        return learn(seen, np.stack([sample.moved_cm for sample in self.teaching]), SymmetryTraining(), seed, say)


def make(sources: Sources, landmarker: Path, looks: int, seed: int, say: Callable[[str], None]) -> Made:
    """Draw everybody and look at them.  looks: per person that teaches.  say: one line per person."""
    names = sorted(sources.photos.landmarks_px)
    others = names[::HELD_OUT_EVERY]
    teachers = [name for name in names if name not in others]
    rng = np.random.default_rng(seed)
    made = Made([], [], len(teachers))
    cv2.setNumThreads(1)
    with ExpressionReader(landmarker) as reader:
        studio = LookStudio(sources, landmarker, reader, seed)
        observer = Observer(studio.model)
        for name in (*others, *teachers):
            judged = name in others
            asked, moments = _judged(rng, len(made.held_out)) if judged else _anything(rng, looks)
            samples = observer.samples(studio, name, asked, moments, rng)
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


def write(network: SideNetwork, made: Made, seed: int, out: Path) -> Manifest:
    """Write the bundle that engines/face/symmetry.py reads."""
    report = judge(network, made.held_out)
    where = f"{len({s.person for s in made.held_out})} synthetic people held out, head turned by 20 degrees"
    metrics = {
        f"{region}_{what}": Metric(round(rows["yaw 20"][what], 2), "percentage points", where)
        for region, rows in report.items()
        for what in ("frontal", "truth")
        if "yaw 20" in rows
    }
    arrays = {"mean": network.mean, "scale": network.scale}
    for place, (weights, bias) in enumerate(network.layers):
        arrays |= {f"{place}.weights": weights, f"{place}.bias": bias}
    manifest = Manifest(
        system=SYSTEM,
        network="both sides in turn through dense layers",
        sizes={"hidden": [len(bias) for _, bias in network.layers[:-1]], "size": SIZE, "looks": len(made.teaching)},
        inputs=(
            ArraySpec("landmarks", "landmark, axis", "float32", (0.0, float(SIZE)), "px", None, (478, 2)),
            ArraySpec("flow", "height, width, axis", "float32", (-64.0, 64.0), "px", None, (SIZE, SIZE, 2)),
            ArraySpec("blendshapes", "parameter", "float32", (-1.0, 1.0), "1", None, (len(BLENDSHAPES),)),
        ),
        outputs=(ArraySpec("moved", "region, side", "float32", (0.0, 10.0), "cm", None, (len(REGIONS), 2)),),
        training=Training(f"{CREDIT}; animated by MyoMirror", made.people, True, "CC BY 4.0, as the photos", seed),
        metrics=metrics,
        versions={name: version(name) for name in ("numpy", "opencv-contrib-python", "mediapipe", "torch")},
    )
    return write_bundle(out, manifest, arrays)


def show(report: dict[str, dict[str, dict[str, float]]]) -> Iterable[str]:
    """Lines of a table, as `judge` says them."""
    for region, rows in report.items():
        for angle, row in rows.items():
            told = f"{row['frontal']:5.1f} from the frontal view, {row['truth']:5.1f} from the truth"
            amounts = f"{row['moved']:4.0%} in how far, {row['silent']:3.0%} silent, {row['invented']:3.0%} invented"
            yield f"{region:7s} {angle:9s} {told}; {amounts}  ({row['looks']:.0f} looks)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Learn and judge the symmetry of turned faces.")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--looks", type=int, default=200, help="per person that teaches")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--report", type=Path, help="write the table as JSON")
    options = parser.parse_args(arguments)
    try:
        landmarker = verify(FACE_LANDMARKER)
        sources = Sources(find_faces(photo_folder(None), landmarker), find_face_model(None))
        made = make(sources, landmarker, options.looks, options.seed, _say)
        network = made.learn(options.seed, _say)
        SymmetryReader(network)
        write(network, made, options.seed, options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report: dict[str, Any] = judge(network, made.held_out)
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
