"""`myomirror evaluate` of eMotion-GAN: the shape of its Tables I to IV, on people never seen.

    myomirror evaluate --data MOTION                                       ways without a network
    myomirror evaluate GAN ... FLOW-CNN E-FER --data MOTION --pictures SHEET.png --report REPORT.json

Bundles may be generators and recognisers, as many as there are: rows of an ablation become rows of the table.  Errors
are against Farneback of the frontal face, as in the paper, and against how the skin really moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console

from calibration import motion_tables
from calibration.cohort_sources import find_face_model
from calibration.counted import counted
from calibration.data.motion_set import NEUTRAL_APEX, TURNS, MotionSet
from calibration.evaluation import Request
from calibration.motion_bundles import GAN, RECOGNISER
from calibration.motion_peers import (
    Frontalised,
    HeadSubtracted,
    HeadUnturned,
    ModelDrawn,
    Movement,
    Plain,
    Similarity,
    Way,
    best_registration,
    movement,
)
from calibration.motion_score import end_point_px, picture_score
from calibration.motion_sheet import draw_motion_sheet
from calibration.planes import Picture, resized
from calibration.restoration_sheet import choose_people, write_sheet
from engines.errors import BadInput, FaceLost
from engines.face.arrays import Floats
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadFitter
from engines.face.mesh import FaceModel
from engines.loading import load
from engines.model import Model
from engines.shipped import bundle_folder
from engines.spec import Engine

FRONTAL = "frontal, the truth"
REST = "no movement"
VALIDATION_PAIRS = 24  # on which registration chooses its smoothing

Tables = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Generated:
    """A generator's bundle as a way."""

    engine: Engine
    name: str
    given: str
    has_face: bool

    def __call__(self, given: Movement) -> Frontalised:
        """Never lost: the set holds its flows."""
        flow = given.flow_still if self.given == "still" else given.flow_posed
        return self.onto(np.ascontiguousarray(flow), given.neutral)

    def onto(self, flow: Floats, neutral: Picture) -> Frontalised:
        """The flow frontalised, and what it does to a neutral face: the person's, or another's."""
        arrays: dict[str, npt.NDArray[Any]] = {"flow": flow}
        if self.has_face:
            arrays["face"] = resized(neutral, flow.shape[0])
        found = self.engine.run(arrays)
        face = np.array(found["face"]) if self.has_face else None
        return Frontalised(np.array(found["flow"], np.float32), face)


def evaluate(request: Request, console: Console) -> dict[str, Any]:
    """Evaluate, print tables, return the report.  Raises BadInput and BundleError, in one sentence."""
    with ExitStack() as stack:
        run = _Run(request, console, stack)
        run.measure()
        motion_tables.show(console, run.report)
        return run.report


class _Run:
    """One evaluation: what is open, and the report that grows."""

    def __init__(self, request: Request, console: Console, stack: ExitStack) -> None:
        if request.folds is not None:
            raise BadInput(
                "ten folds are measured while they are trained, each on its own people: see the table that myomirror "
                "train emotion_gan --ablation folds writes"
            )
        self.request, self.console = request, console
        self.motion = MotionSet.open(request.data)
        self.generated: list[Generated] = []
        self.recognisers: dict[str, tuple[str, Engine]] = {}
        self.notes: list[str] = []
        self.report: dict[str, Any] = {
            "what": "expression kept, head pose removed",
            "data": {
                **{"folder": str(self.motion.folder), "synthetic": self.motion.synthetic},
                **{"origin": self.motion.origin, "licence": self.motion.licence, "size": self.motion.flow},
            },
            "bundles": {},
            "tables": {},
            "notes": self.notes,
            "versions": {name: metadata.version(name) for name in ("numpy", "opencv-contrib-python")},
        }
        for path in request.bundles:
            self._open(path, stack)
        self.pairs = self._pairs("test")
        self.report["data"] |= {"people": len(self.pairs.who), "pairs": len(self.pairs.rows)}

    def _open(self, path: Path, stack: ExitStack) -> None:
        model = Model.read(path)
        manifest = model.bundle.manifest
        if manifest.network not in (GAN, RECOGNISER):
            raise BadInput(f"{path} holds a {manifest.network}: give generators and recognisers of eMotion-GAN")
        name = model.name
        if name in self.report["bundles"]:
            raise BadInput(f"the bundle {name} is named twice: name each once, or rename its folder")
        engine = load(model, backend=self.request.backend, precision=self.request.precision)
        stack.callback(engine.close)
        shape = manifest.inputs[0].shape or (0,)
        if shape[0] != self.motion.flow:
            raise BadInput(f"{path} works on {shape[0]} px, {self.motion.folder} holds {self.motion.flow} px")
        self.report["bundles"][name] = {
            **{"path": str(bundle_folder(path).resolve()), "network": manifest.network, "sizes": manifest.sizes},
            **{"backend": engine.backend, "precision": engine.precision, "training": vars(manifest.training)},
            "sha256": manifest.sha256,
        }
        if manifest.network == RECOGNISER:
            self.recognisers[name] = (str(manifest.sizes["sees"]), engine)
        else:
            has_face = any(spec.name == "face" for spec in manifest.outputs)
            self.generated.append(Generated(engine, name, str(manifest.sizes["given"]), has_face))

    def _pairs(self, split: Any) -> MotionSet:
        return self.motion.select(split=split, kind=NEUTRAL_APEX).spread(self.request.most)

    def measure(self) -> None:
        """Everything."""
        ways = self._ways()
        scores: dict[str, list[dict[str, float]]] = {}
        answers: dict[str, dict[str, list[bool]]] = {name: {} for name in self.recognisers}
        lost = dict.fromkeys((way.name for way in ways), 0)
        with counted(self.console, "Measuring", len(self.pairs.rows)) as step:
            for place in range(len(self.pairs.rows)):
                given, truth = movement(self.pairs, place), _Truth.of(self.pairs, place)
                self._note(answers, place, FRONTAL, Frontalised(truth.flow, truth.picture))
                for way in ways:
                    try:
                        found = way(given)
                    except FaceLost:
                        lost[way.name] += 1
                        found = Plain()(given)
                    scores.setdefault(way.name, []).append(truth.score(found))
                    self._note(answers, place, way.name, found)
                rest = Frontalised(np.zeros_like(truth.flow), given.neutral)
                scores.setdefault(REST, []).append(truth.score(rest))
                step()
        self.notes += [f"{name} lost {count} faces, which count as untouched" for name, count in lost.items() if count]
        self._tabulate(scores, answers)
        if self.request.pictures is not None:
            self._draw(self.request.pictures, ways)

    def _ways(self) -> list[Way]:
        model = FaceModel.load(find_face_model(None))
        meter, fitter = FlowMeter(self.motion.size, self.motion.flow), HeadFitter(model)
        try:
            chosen_on = self.motion.select(split="validation", kind=NEUTRAL_APEX).spread(VALIDATION_PAIRS)
        except BadInput:
            chosen_on = self.motion.select(split="train", kind=NEUTRAL_APEX).spread(VALIDATION_PAIRS)
        known = []
        for place in range(len(chosen_on.rows)):
            truth = _Truth.of(chosen_on, place)
            known.append((movement(chosen_on, place), truth.flow, truth.face))
        with self.console.status("Choosing how smooth registration is ..."):
            registration = best_registration(meter, known)
        self.report["peers"] = {registration.name: {"smooth": registration.smooth, "chosen_on": len(known)}}
        peers: list[Way] = [Plain(), Similarity(meter), ModelDrawn(model, meter), registration]
        return [*peers, HeadSubtracted(fitter, meter), HeadUnturned(fitter, meter), *self.generated]

    def _note(self, answers: dict[str, dict[str, list[bool]]], place: int, way: str, found: Frontalised) -> None:
        """What every recogniser says about one result, right or wrong; pairs without an emotion are left out."""
        emotion = self.pairs.rows[place].emotion
        if emotion < 0:
            return
        for name, (sees, engine) in self.recognisers.items():
            given: npt.NDArray[Any] | None = found.flow
            if sees == "face":
                given = None if found.picture is None else resized(found.picture, self.motion.flow)
            if given is None:
                continue
            said = int(np.argmax(engine.run({sees: np.ascontiguousarray(given)})["emotion"]))
            answers[name].setdefault(way, []).append(said == emotion)

    def _tabulate(
        self, scores: Mapping[str, Sequence[Mapping[str, float]]], answers: Mapping[str, Mapping[str, list[bool]]]
    ) -> None:
        rows, people = self.pairs.rows, [row.person for row in self.pairs.rows]
        tables: Tables = self.report["tables"]
        tables["frontal view"] = {name: _summed(found, people) for name, found in scores.items()}
        tables["end-point error by turn"] = {
            name: {
                turn: _number([one["epe"] for one, row in zip(found, rows, strict=True) if row.turn == turn])
                for turn in TURNS
                if any(row.turn == turn for row in rows)
            }
            for name, found in scores.items()
        }
        shown = [row for row in rows if row.emotion >= 0]
        for recogniser, by_way in answers.items():
            tables[f"recognised by {recogniser}"] = {
                way: {"all": _number([float(right) for right in said])}
                | {
                    turn: _number([float(r) for r, row in zip(said, shown, strict=True) if row.turn == turn])
                    for turn in TURNS
                    if any(row.turn == turn for row in shown)
                }
                for way, said in by_way.items()
            }
        if (transfer := self._transferred()) is not None:
            tables["recognised on an average face"] = transfer
        self.report["reach"] = motion_tables.reach(
            self.report, [HeadUnturned.name, *(way.name for way in self.generated)]
        )
        if not self.recognisers:
            self.notes.append("nothing was recognised: give bundles of recogniser too")
        if not self.generated:
            self.notes.append("no trained generator was given: these are the ways without a network")

    def _transferred(self) -> dict[str, dict[str, Any]] | None:
        """The paper's Table III: flows put onto an average face, and what is recognised on it."""
        faces = {name: engine for name, (sees, engine) in self.recognisers.items() if sees == "face"}
        makers = [way for way in self.generated if way.has_face]
        if not faces or not makers:
            return None
        average = average_face(self.motion)
        found: dict[str, dict[str, Any]] = {}
        for way in makers:
            said: dict[str, list[float]] = {name: [] for name in faces}
            for place, row in enumerate(self.pairs.rows):
                if row.emotion < 0:
                    continue
                given = movement(self.pairs, place)
                flow = given.flow_still if way.given == "still" else given.flow_posed
                face = way.onto(np.ascontiguousarray(flow), average).picture
                assert face is not None
                for name, engine in faces.items():
                    said[name].append(float(int(np.argmax(engine.run({"face": face})["emotion"])) == row.emotion))
            found[way.name] = {name: _number(values) for name, values in said.items()}
        return found

    def _draw(self, path: Path, ways: Sequence[Way]) -> None:
        places = choose_people(self.pairs.rows)  # type: ignore[arg-type]  # rows name a person, too
        blocks = []
        for place in places:
            given, truth = movement(self.pairs, place), _Truth.of(self.pairs, place)
            found = []
            for way in ways:
                try:
                    found.append((way.name, way(given)))
                except FaceLost:
                    found.append((way.name, Frontalised(None, None)))
            row = self.pairs.rows[place]
            words = f"{row.task}, {row.turn}"
            blocks.append((words, given, Frontalised(truth.flow, truth.picture), found))
        write_sheet(path, draw_motion_sheet(blocks))


@dataclass(frozen=True, eq=False)
class _Truth:
    """What one pair should become: flow and picture from the front, and where the face is."""

    flow: Floats
    skin: Floats
    picture: Picture
    face: npt.NDArray[np.float32]

    @classmethod
    def of(cls, pairs: MotionSet, place: int) -> _Truth:
        flows = [pairs.of(name, place).astype(np.float32) for name in ("flow_front", "flow_true")]
        face = pairs.of("face", place).astype(np.float32) / np.float32(255)
        picture = resized(np.array(pairs.of("after", place)), pairs.flow)
        return cls(flows[0], flows[1], picture, np.asarray(face, np.float32))

    def score(self, found: Frontalised) -> dict[str, float]:
        """Everything that can be measured of it."""
        measured = {}
        if found.flow is not None:
            measured["epe"] = end_point_px(found.flow, self.flow, self.face)
            measured["epe_picture"] = end_point_px(found.flow, self.flow)
            measured["epe_skin"] = end_point_px(found.flow, self.skin, (self.face > 0.99).astype(np.float32))
        if found.picture is not None:
            picture = resized(found.picture, self.flow.shape[0])
            measured |= picture_score(picture, self.picture, self.face)._asdict()
        return measured


def average_face(motion: MotionSet) -> Picture:
    """Nobody: the mean of the training people's faces at rest, (size, size, 3) uint8 BGR."""
    first: dict[str, int] = {}
    rest = motion.select(split="train", kind=NEUTRAL_APEX)
    for place, row in enumerate(rest.rows):
        first.setdefault(row.person, place)
    total = np.zeros((motion.size, motion.size, 3))
    for place in first.values():
        total += rest.of("before", place)
    mean = total / len(first)
    return np.asarray(cv2.convertScaleAbs(mean), np.uint8)


def _summed(found: Sequence[Mapping[str, float]], people: Sequence[str]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in found for name in one))
    return {name: _number([one[name] for one in found if name in one], people) for name in names}


def _number(values: Sequence[float], people: Sequence[str] | None = None) -> dict[str, Any]:
    """Mean over pairs, standard deviation over pairs, and over people where they are known."""
    if not values:
        return {"mean": None, "sd": None, "pairs": 0}
    number = {"mean": float(np.mean(values)), "sd": float(np.std(values)), "pairs": len(values)}
    if people is not None and len(people) == len(values):
        means = [
            np.mean([v for v, who in zip(values, people, strict=True) if who == one]) for one in sorted(set(people))
        ]
        number["sd_people"] = float(np.std(means))
    return number
