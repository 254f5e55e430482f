"""`myomirror evaluate` for EIFER's first phase: Table 1, and Figure 4 and section E.2 in numbers.

    myomirror evaluate E_N E_S [E_S-generator] [restore-cpu] --data FACES_OR_COHORT

The first encoder is E^N, with which the others are compared.  A generator belongs to the encoder whose name it bears;
bundles that remove electrodes stand beside EIFER, and every encoder also reads the faces that they restored.  A row
whose bundle is not given is absent.  Everything is against the truth, so on made faces only: people never seen (the
split test), and people seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from importlib import metadata
from typing import Any

from rich.console import Console

from calibration import encoder_tables
from calibration.cohort_sources import find_face_model
from calibration.counted import counted
from calibration.data.face_set import ABOUT, FaceSet, Split
from calibration.data.mmm import Recordings
from calibration.data.mmm_layout import INDEX
from calibration.encoder_reach import reach
from calibration.encoder_sheet import PEOPLE, TILE, draw_sheet
from calibration.evaluation import Request
from calibration.face_readers import Reconstruction
from calibration.judged_bundles import open_bundles
from calibration.metrics import features
from calibration.metrics.expression import ExpressionReader
from calibration.reading_scores import FaceSurfaces, Restore, score_readings
from calibration.recipe import chance
from calibration.reconstruction import Remake, score_pictures
from calibration.restoration_clips import choose_clips
from calibration.restoration_samples import check_size
from calibration.restoration_sheet import write_sheet
from calibration.true_faces import TrueFace, true_clips, true_stills
from engines.errors import BadInput
from engines.face.crop_geometry import CropGeometry
from engines.face.mesh import FaceModel
from rt import assets

UNSEEN, SEEN = "people never seen", "people seen in training"
_SPLITS: dict[str, Split] = {UNSEEN: "test", SEEN: "train"}
_CLIP_PX = 256  # of a crop of a clip at least, which is what MediaPipe looks at; networks get it smaller
NO_LANDMARKER = (
    "MediaPipe's face model is not installed, so nobody stands beside the encoders: run myomirror assets fetch"
)

Faces = dict[str, list[TrueFace]]  # by who they are


def evaluate(request: Request, console: Console) -> dict[str, Any]:
    """Evaluate, print tables, return the report.  Raises BadInput and BundleError, in one sentence."""
    if request.folds is not None or request.classifier is not None:
        raise BadInput("encoders are judged against the truth: leave out --folds and --classifier")
    with ExitStack() as stack:
        run = _Run(request, console, stack)
        faces = run.faces()
        if not faces.get(UNSEEN):
            raise BadInput(f"{request.data} has nobody in the split test: make a set with more people")
        run.readings(faces)
        run.reconstruction(faces[UNSEEN])
        run.sheet(faces[UNSEEN])
        encoder_tables.show(console, run.report)
        return run.report


class _Run:
    """One evaluation: what is open, and the report that grows."""

    def __init__(self, request: Request, console: Console, stack: ExitStack) -> None:
        self.request, self.console = request, console
        self.model = FaceModel.load(find_face_model(None))
        self.surfaces = FaceSurfaces(self.model)
        self.bundles = open_bundles(request.bundles, self.model, request.backend, request.precision, stack)
        self.landmarker = assets.verify(assets.FACE_LANDMARKER) if assets.find(assets.FACE_LANDMARKER) else None
        self.reader = None if self.landmarker is None else stack.enter_context(ExpressionReader(self.landmarker))
        self.notes = [NO_LANDMARKER] if self.reader is None else []
        packages = ("numpy", "opencv-contrib-python", "mediapipe")
        self.report: dict[str, Any] = {
            "what": "face encoders",
            "bundles": self.bundles.about,
            "notes": self.notes,
            "frechet_features": f"{features.NAME}, {features.COUNT} of them, grey levels squared; not FID",
            "versions": {name: metadata.version(name) for name in packages},
        }

    def faces(self) -> Faces:
        """The faces of both splits.  Raises BadInput."""
        data = self.request.data
        if (data / ABOUT).is_file():
            return self._stills(FaceSet.open(data))
        if (data / INDEX).is_file():
            return self._clips(Recordings.open(data))
        raise BadInput(f"{data} is neither a set of faces ({ABOUT}) nor recordings ({INDEX}): give one")

    def readings(self, faces: Faces) -> None:
        """How everybody reads them."""
        tables = self.report["readings"] = {}
        encoders, restorers = self.bundles.encoders, self.bundles.restorers
        for who, own in faces.items():
            with counted(self.console, f"Reading: {who}", len(own)) as step:
                tables[who] = score_readings(own, encoders, restorers, self.reader, self.surfaces, step)
        self.report["reach"] = reach(tables[UNSEEN], [encoder.name for encoder in encoders])

    def reconstruction(self, faces: Sequence[TrueFace]) -> None:
        """What becomes of the pictures, at the size of the smallest network that makes some."""
        self.report["reconstruction"] = {}
        size = self.bundles.picture_size
        if size is None:
            return
        ways: dict[str, Remake] = {name: _remaking(restore) for name, restore in self.bundles.restorers.items()}
        ways |= {f"EIFER, {one.name}": self._remake(one) for one in self.bundles.reconstructions}
        self.report["data"]["picture_size"] = size
        with counted(self.console, "Reconstruction", len(faces)) as step:
            self.report["reconstruction"] = score_pictures(faces, ways, size, step)

    def sheet(self, faces: Sequence[TrueFace]) -> None:
        """The page to look at, when it was asked for: each person's strongest moment."""
        if self.request.pictures is None:
            return
        first: dict[str, TrueFace] = {}
        for face in sorted(faces, key=lambda face: -float(face.expression.sum())):
            first.setdefault(face.person, face)
        made = {one.name: self._remake(one) for one in self.bundles.reconstructions}
        shown, tile = list(first.values())[:PEOPLE], CropGeometry(self.model, TILE)
        given = self.bundles.encoders, self.bundles.restorers, made, self.reader, self.surfaces, tile
        write_sheet(self.request.pictures, draw_sheet(shown, *given))

    def _stills(self, faces: FaceSet) -> Faces:
        for name, size in self.bundles.sizes.items():
            check_size(faces, size, name)
        self.report["data"] = {
            **{"folder": str(faces.folder), "kind": "stills", "synthetic": faces.synthetic, "origin": faces.origin},
            **{"licence": faces.licence, "size": faces.size},
        }
        self.notes.append("photos as they are were left out: what they show is known to nobody")
        there = {row.split for row in faces.clean_rows}
        return {
            who: true_stills(faces.select(split), self.model, self.request.most)
            for who, split in _SPLITS.items()
            if split in there
        }

    def _clips(self, recordings: Recordings) -> Faces:
        if self.landmarker is None:
            raise BadInput("clips cannot be evaluated without MediaPipe's face model: run myomirror assets fetch")
        if not recordings.synthetic:
            raise BadInput(
                f"{recordings.folder} holds recordings of people, whose expressions nobody knows: give a cohort or a "
                f"set of made faces"
            )
        size = max(_CLIP_PX, *self.bundles.sizes.values())
        about = {"folder": str(recordings.folder), "kind": "clips", "synthetic": True, "size": size}
        self.report["data"] = about
        found = {}
        for who, split in _SPLITS.items():
            if people := recordings.people_of(split):
                most = self.request.clips if who == UNSEEN else max(1, self.request.clips // 3)
                clips = choose_clips(recordings, people, most)
                with counted(self.console, f"Clips: {who}", len(clips)) as step:
                    found[who] = true_clips(recordings, clips, self.model, size, self.landmarker, step)
        return {who: faces for who, faces in found.items() if faces}

    def _remake(self, one: Reconstruction) -> Remake:
        """The same pixels are shown in every run."""
        return lambda face: one.picture(face.covered, chance(self.request.seed, "pixels", face.person))


def _remaking(restore: Restore) -> Remake:
    return lambda face: restore(face.covered)
