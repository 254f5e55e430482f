"""`myomirror evaluate` of bundles that remove electrodes: on stills with truth, clips with truth, or recordings.

Stills and clips of a made set: people never seen, people seen in training, and the former before other cameras, each
with the same peers; clips also at the frame's own size, with flicker and emotions.  Six folds where bundles are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from calibration import restoration_real, restoration_tables
from calibration.cohort_plan import FOLDS
from calibration.counted import counted
from calibration.data.face_set import ABOUT, FaceSet
from calibration.data.mmm import Recordings
from calibration.data.mmm_layout import INDEX
from calibration.emotion_classifier import find_classifier
from calibration.evaluation import Request
from calibration.metrics import features
from calibration.metrics.expression import ExpressionReader
from calibration.peers import METHODS, Inpainting, best_inpainting
from calibration.restoration import Attached, Inpainted, Removed, Row, Sample, Way, score, table_of
from calibration.restoration_clips import ClipMeter, choose_clips, recognised
from calibration.restoration_reach import reach
from calibration.restoration_samples import before_other_cameras, check_size, spread, still_samples
from calibration.restoration_sheet import choose_people, draw_sheet, write_sheet
from calibration.taught import knows_split
from engines.bundle import Training
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.restorer import Restorer, fitting
from engines.loading import load
from engines.model import Model
from engines.shipped import bundle_folder
from rt import assets

VALIDATION_PICTURES = 24  # on which the peers' numbers are chosen
PLAIN, SEEN, ALTERED, NATIVE = "people never seen", "people seen in training", "altered colours", "frames"
_SPLIT_OF = {PLAIN: "test", SEEN: "train"}

Tables = dict[str, dict[str, Row]]
NO_CLASSIFIER = "no emotions were classified: give your own network with --classifier MODULE:FUNCTION"
NO_LANDMARKER = (
    "MediaPipe's face model is not installed, so expressions are not read and the face is an average oval: "
    "run myomirror assets fetch"
)


def evaluate(request: Request, console: Console) -> dict[str, Any]:
    """Evaluate, print tables, return the report.  Raises BadInput and BundleError, in one sentence."""
    with ExitStack() as stack:
        run = _Run(request, console, stack)
        if (request.data / ABOUT).is_file():
            run.stills(FaceSet.open(request.data))
        elif (request.data / INDEX).is_file():
            run.recordings(Recordings.open(request.data))
        else:
            raise BadInput(f"{request.data} is neither a set of faces ({ABOUT}) nor recordings ({INDEX}): give one")
        run.report["reach"] = reach(run.report)
        restoration_tables.show(console, run.report)
        return run.report


class _Run:
    """One evaluation: what is open, and the report that grows."""

    def __init__(self, request: Request, console: Console, stack: ExitStack) -> None:
        self.request, self.console, self._stack = request, console, stack
        self.classifier = find_classifier(request.classifier) if request.classifier else None
        self._taught: dict[str, Training] = {}
        self.removed, self.bundles = self._open(request.bundles)
        folds, self.fold_bundles = self._open([path for _, path in request.fold_bundles])
        self.folds = dict(zip((fold for fold, _ in request.fold_bundles), folds, strict=True))
        self.size = self._one_size()
        self.notes: list[str] = [] if self.classifier else [NO_CLASSIFIER]
        self.landmarker = assets.verify(assets.FACE_LANDMARKER) if assets.find(assets.FACE_LANDMARKER) else None
        self.reader = None if self.landmarker is None else stack.enter_context(ExpressionReader(self.landmarker))
        if self.reader is None:
            self.notes.append(NO_LANDMARKER)
        self.report: dict[str, Any] = {
            "what": "electrode removal",
            "bundles": {**self.bundles, **self.fold_bundles},
            "frechet_features": f"{features.NAME}, {features.COUNT} of them, grey levels squared; not FID",
            "tables": {},
            "notes": self.notes,
            "versions": {name: metadata.version(name) for name in ("numpy", "opencv-contrib-python", "mediapipe")},
        }

    def _open(self, paths: Sequence[Path]) -> tuple[list[Removed], dict[str, dict[str, Any]]]:
        """Engines, and what the report says of each bundle."""
        ways: list[Removed] = []
        about: dict[str, dict[str, Any]] = {}
        for path in paths:
            model = Model.read(path)
            folder = bundle_folder(path).resolve()
            manifest = model.bundle.manifest
            fit = fitting(manifest, model.name, "", FRIDLUND.name)
            engine = load(model, backend=self.request.backend, precision=self.request.precision)
            restorer = Restorer(engine)
            self._stack.callback(restorer.close)
            name = model.name if model.name not in about else f"{folder.parent.name}/{model.name}"
            if name in about or str(folder) in {one["path"] for one in about.values()}:
                raise BadInput(f"the bundle {name} is named twice: name each once, or rename its folder")
            about[name] = {
                "path": str(folder),
                "system": manifest.system,
                "size": fit.size,
                "edit_mask": fit.has_edit,
                "backend": engine.backend,
                "precision": engine.precision,
                "training": vars(manifest.training),
                "sha256": manifest.sha256,
            }
            self._taught[name] = manifest.training
            ways.append(Removed(name, restorer, fit.has_edit))
        return ways, about

    def _one_size(self) -> int:
        sizes = sorted({int(one["size"]) for one in (*self.bundles.values(), *self.fold_bundles.values())})
        if len(sizes) > 1:
            raise BadInput(f"the bundles work on {' and '.join(map(str, sizes))} px: evaluate one size at a time")
        return sizes[0]

    def stills(self, faces: FaceSet) -> None:
        """A set of stills, made or of people."""
        for name in self.report["bundles"]:
            check_size(faces, self.size, name)
        request = self.request
        self.report["data"] = {
            **{"folder": str(faces.folder), "kind": "stills", "synthetic": faces.synthetic, "origin": faces.origin},
            **{"licence": faces.licence, "size": faces.size, "cut": f"{request.cut}, {self.size} px"},
        }
        if faces.mask is None:
            self.notes.append(restoration_real.NOT_GIVEN)
            scores = restoration_real.score_stills(faces, self.size, request.cut, request.most, self._real_ways())
            self.report["tables"] = {"recordings": table_of(scores, paired=False)}
            return
        self._ask_who_was_taught(faces.seed)
        self.notes.append("stills do not move: flicker and emotions are measured on the clips of a cohort")

        def samples(split: str, most: int) -> list[Sample]:
            part = _part(faces, split)
            return [] if part is None else self._collected(f"Reading faces: {split}", part, most)

        chosen = samples("validation", VALIDATION_PICTURES) or samples("train", VALIDATION_PICTURES)
        ways = self._ways(chosen)
        self._measure({name: samples(split, request.most) for name, split in _SPLIT_OF.items()}, ways)
        if self.folds:
            self._six_fold(self._collected("Reading faces: all", faces, 2 * request.most))

    def _ask_who_was_taught(self, seed: int) -> None:
        """Say which bundles may know the people that are called unseen here."""
        strange = [name for name, training in self._taught.items() if not knows_split(training, seed)]
        if strange:
            self.notes.append(
                f"{', '.join(strange)} learned from a set that is not of seed {seed} or does not say so: people "
                "who are called unseen here may have taught it"
            )

    def _collected(self, title: str, part: FaceSet, most: int) -> list[Sample]:
        found = []
        with counted(self.console, title, min(most, len(part.covered_rows))) as step:
            for sample in still_samples(part, self.size, self.request.cut, most, self.reader):
                found.append(sample)
                step()
        return found

    def _measure(self, sets: dict[str, list[Sample]], ways: Sequence[Way]) -> None:
        """The tables of stills or of clips' crops, and the sheet."""
        plain = sets.get(PLAIN)
        if not plain:
            raise BadInput(f"{self.request.data} has nobody in the split test: make a set with more people")
        tables: Tables = self.report["tables"]
        for name, samples in sets.items():
            if samples:
                tables[name] = self._scored(name, samples, ways)
        with self.console.status("Altering colours ..."):
            altered = list(before_other_cameras(plain, self.request.seed, self.reader))
        tables[ALTERED] = self._scored(ALTERED, altered, ways)
        if self.request.pictures is not None:
            at = choose_people(plain)
            blocks = [(PLAIN.capitalize(), [plain[i] for i in at]), (ALTERED.capitalize(), [altered[i] for i in at])]
            shown = [way for way in ways if not isinstance(way, Attached) and "Navier" not in way.name]
            write_sheet(self.request.pictures, draw_sheet(blocks, shown))

    def _scored(self, name: str, samples: Sequence[Sample], ways: Sequence[Way]) -> dict[str, Row]:
        with counted(self.console, f"Measuring: {name}", len(samples)) as step:
            return table_of(score(samples, ways, self.reader, step))

    def _ways(self, chosen: Sequence[Sample]) -> list[Way]:
        pictures = [(one.covered, one.clean, one.mask, one.regions.covered) for one in chosen]
        with self.console.status("Choosing the peers' numbers ..."):
            peers = [best_inpainting(method, pictures) for method in METHODS]
        self.report["peers"] = {peer.method: _described(peer, self.size, len(pictures)) for peer in peers}
        return [Attached(), *map(Inpainted, peers), *self.removed]

    def _real_ways(self) -> list[Way]:
        return [Attached(), *self.removed]

    def recordings(self, recordings: Recordings) -> None:
        """Clips, of a cohort or of people."""
        if self.landmarker is None or self.reader is None:
            raise BadInput("clips cannot be evaluated without MediaPipe's face model: run myomirror assets fetch")
        self.report["data"] = {
            "folder": str(recordings.folder),
            "kind": "clips",
            "synthetic": recordings.synthetic,
            "cut": f"as live: 1.4 face boxes, followed, {self.size} px",
        }
        if not recordings.synthetic:
            self._of_people(recordings, self.landmarker)
            return
        self._ask_who_was_taught(int(recordings.about.get("settings", {}).get("seed", 0)))
        people = {split: recordings.people_of(split) for split in ("test", "validation", "train")}
        folds = {pid: fold for fold in range(FOLDS) for pid in recordings.people_of(f"fold_{fold}")}
        peers = self._clips(recordings, people["validation"] or people["train"], [Attached()], 4, folds, "validation")
        ways = self._ways([peers.found.crops[i] for i in spread(len(peers.found.crops), VALIDATION_PICTURES)])
        self.notes.append(
            "with electrodes and without are two compressed films: what their compression alone costs shows in the row "
            "attached, untouched skin"
        )
        # Navier-Stokes takes seconds for a frame, and Telea is the stronger of the two
        quick = [way for way in ways if not (isinstance(way, Inpainted) and way.how.method == "navier-stokes")]
        sets = {}
        for name, split, used in ((PLAIN, "test", quick), (SEEN, "train", [Attached()])):
            if people[split]:
                most = self.request.clips if name == PLAIN else max(1, self.request.clips // 3)
                meter = self._clips(recordings, people[split], used, most, folds, split)
                sets[name] = meter.found.crops
                if name == PLAIN:
                    self._native(meter)
        self._measure(sets, ways)
        if self.folds:
            self._six_fold([sample for samples in sets.values() for sample in samples])

    def _clips(
        self,
        recordings: Recordings,
        people: Sequence[str],
        ways: Sequence[Way],
        most: int,
        folds: dict[str, int],
        split: str,
    ) -> ClipMeter:
        assert self.landmarker is not None
        assert self.reader is not None
        clips = choose_clips(recordings, people, most)
        meter = ClipMeter(self.size, ways, self.landmarker, self.classifier)
        with counted(self.console, f"Clips: {split}", len(clips)) as step:
            for clip in clips:
                meter.measure(clip, split, folds.get(clip.id.pid, 0), self.reader)
                step()
        return meter

    def _native(self, meter: ClipMeter) -> None:
        found = meter.found
        self.report["tables"][NATIVE] = table_of(found.native)
        self.report["flicker"] = {
            name: {"flicker": one.of_picture, "of_error": one.of_error, "clean_grey_levels": one.clean_grey_levels}
            for name, one in found.flicker.items()
        }
        self.report["emotions"] = {name: recognised(answers) for name, answers in found.emotions.items()}
        if found.lost:
            self.notes.append(f"in {found.lost} frames no face could be followed under the electrodes; left out")

    def _of_people(self, recordings: Recordings, landmarker: Path) -> None:
        self.notes.append(restoration_real.NOT_GIVEN)
        with counted(self.console, "Clips", 2 * self.request.clips) as step:
            scores, answers = restoration_real.score_clips(
                recordings, self.size, self.request.clips, self._real_ways(), landmarker, self.classifier, step
            )
        self.report["tables"] = {"recordings": table_of(scores, paired=False)}
        self.report["emotions"] = {name: recognised(given) for name, given in answers.items()}

    def _six_fold(self, samples: Sequence[Sample]) -> None:
        """Each fold's bundle on its own people, whom it never saw, and on others."""
        found: dict[str, list[Row]] = {"False": [], "True": []}
        for fold, way in self.folds.items():
            for trained, rows in found.items():
                part = [sample for sample in samples if (sample.fold == fold) == (trained == "False")]
                part = [part[i] for i in spread(len(part), self.request.most)]
                if part:
                    rows.append(self._scored(f"fold {fold}, trained on: {trained}", part, [way])[way.name])
        self.report["six_fold"] = {
            trained: restoration_tables.over_folds(rows) for trained, rows in found.items() if rows
        }
        if len(self.folds) < FOLDS:
            self.notes.append(f"bundles of {len(self.folds)} of the {FOLDS} folds were there")


def _part(faces: FaceSet, split: Any) -> FaceSet | None:
    there = {row.split for row in faces.covered_rows}
    return faces.select(split=split) if split in there else None


def _described(peer: Inpainting, size: int, pictures: int) -> dict[str, Any]:
    return {
        "dilation_px": round(peer.dilation * size),
        "radius_px": round(peer.radius * size, 1),
        "chosen_on": f"{pictures} validation pictures, best PSNR in covered skin",
    }
