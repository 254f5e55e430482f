"""`myomirror evaluate` of expression editors: Tables 1 to 3 of Cascade EF-GAN on people never seen, and its Figure 7.

    myomirror evaluate BUNDLE ... --data FACES --pictures SHEET.png --report REPORT.json

Every bundle edits the same faces to the same expressions; the judge of Table 1 learns from the set's training people.
Beside them: the input itself, and, where the set shows sittings, Pixel-RR.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import metadata
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from calibration.cohort_sources import find_face_model
from calibration.data.face_set import FaceSet
from calibration.editing import ByEngine, Editor, Edits
from calibration.editing_identity import IDENTITY, UNITS, EditsRead
from calibration.editing_peers import Copied, PixelMaps
from calibration.editing_score import COLUMNS, Exam, Judging, said_of_truth, score, set_exam
from calibration.editing_sheet import choose_rows, draw_continuous
from calibration.editor_bundle import read_editor
from calibration.evaluation import Request
from calibration.expression_faces import LabelledFaces
from calibration.metrics import features
from calibration.metrics.expression import ExpressionReader
from calibration.restoration_samples import check_size
from calibration.restoration_sheet import write_sheet
from engines.errors import BadInput
from engines.face.fit import Fitter
from engines.face.mesh import FaceModel
from engines.loading import load
from engines.model import Model
from rt import assets

STEPS = 600  # of the classifiers
_COLUMNS = {
    **COLUMNS,
    UNITS: ("action units ↓", "FACS intensity", 2),
    IDENTITY: ("identity ↓", "standard deviations of people", 2),
}
NO_LANDMARKER = "MediaPipe's face model is not installed, so action units are not read: run myomirror assets fetch"
NO_FACE_MODEL = "the face model is not among the assets, so nobody's identity is read: README.md says where it is from"
CAPTION = (
    "Of people never seen. R: a classifier taught by real pictures of training people, on real pictures. G: the same "
    "on edited ones. R + G: taught by real and edited ones, on real ones. Accuracies are means over expressions. "
    "Frechet distance on own features (no FID). Action units: mean absolute difference (0 to 5) between what MediaPipe "
    "reads off the edit and off the true picture."
)


def evaluate(request: Request, console: Console) -> dict[str, Any]:
    """Evaluate, print the table, return the report.  Raises BadInput and BundleError, in one sentence."""
    if request.folds is not None:
        raise BadInput("expression editors are evaluated bundle by bundle: leave --folds out")
    faces = FaceSet.open(request.data)
    with ExitStack() as stack:
        editors, about, size = _opened(request, stack)
        for name in about:
            check_size(faces, size, name)
        parts = {row.split for row in faces.clean_rows}
        if not {"train", "test"} <= parts:
            raise BadInput(f"{request.data} has nobody in the splits train and test: make a set with more people")
        train, unseen = (LabelledFaces.of(faces.select(split)) for split in ("train", "test"))
        with console.status("Training the judge ..."):
            exam = set_exam(train, unseen, size, Judging(STEPS, request.most, request.seed))
        peers: list[Editor] = [Copied()]
        if (maps := PixelMaps.fitted(train, size)) is not None:
            peers.append(maps)
        notes = [] if exam.judge is not None else ["too few pictures show a named expression: nothing was classified"]
        read = _reading(exam.edits, stack, notes)
        table = {} if read is None else read.to_compare()
        for editor in (*peers, *editors):
            with console.status(f"Measuring: {editor.name} ..."):
                table[editor.name] = _measured(editor, exam, read)
    report = {
        "what": "expression editing",
        "bundles": about,
        "data": {
            **{"folder": str(faces.folder), "kind": "stills", "synthetic": faces.synthetic, "origin": faces.origin},
            **{"licence": faces.licence, "size": size, "people": len(set(unseen.people))},
            **{"edits": len(exam.edits.faces), "truth": said_of_truth(exam.edits)},
        },
        "frechet_features": f"{features.NAME}, {features.COUNT} of them; not FID",
        "classifier": {"steps": STEPS, "seed": request.seed},
        "table": table,
        "notes": notes,
        "versions": {name: metadata.version(name) for name in ("numpy", "torch", "mediapipe")},
    }
    if request.pictures is not None:
        _draw(request, exam.edits)
    _show(console, report)
    return report


def _opened(request: Request, stack: ExitStack) -> tuple[list[ByEngine], dict[str, Any], int]:
    editors: list[ByEngine] = []
    about: dict[str, Any] = {}
    for path in request.bundles:
        model = Model.read(path)
        manifest = model.bundle.manifest
        if model.name in about:
            raise BadInput(f"the bundle {model.name} is named twice: name each once, or rename its folder")
        engine = load(model, backend=request.backend, precision=request.precision)
        stack.callback(engine.close)
        editors.append(ByEngine(engine, str(manifest.sizes["profile"]), model.name))
        about[model.name] = {
            "sizes": manifest.sizes,
            "backend": engine.backend,
            "precision": engine.precision,
            "training": vars(manifest.training),
            "sha256": manifest.sha256,
        }
    sizes = sorted({int(one["sizes"]["size"]) for one in about.values()})
    if len(sizes) != 1:
        raise BadInput(f"the bundles work on {' and '.join(map(str, sizes))} px: evaluate one size at a time")
    return editors, about, sizes[0]


def _reading(edits: Edits, stack: ExitStack, notes: list[str]) -> EditsRead | None:
    """None, with a note, where MediaPipe's model is not there."""
    if assets.find(assets.FACE_LANDMARKER) is None:
        notes.append(NO_LANDMARKER)
        return None
    reader = stack.enter_context(ExpressionReader(assets.verify(assets.FACE_LANDMARKER)))
    try:
        fitter = Fitter(FaceModel.load(find_face_model(None)))
    except BadInput:
        notes.append(NO_FACE_MODEL)
        fitter = None
    return EditsRead(edits, reader, fitter)


def _measured(editor: Editor, exam: Exam, read: EditsRead | None) -> dict[str, float]:
    edits = exam.edits
    made = editor.edit(edits.faces, edits.source, edits.target)
    return score(editor, exam, made) | ({} if read is None else read.measure(made))


def _draw(request: Request, edits: Edits) -> None:
    assert request.pictures is not None
    sheets = []
    for path in request.bundles:
        editor, _ = read_editor(path)
        sheets.append(draw_continuous(editor.eval(), choose_rows(edits), f"Continuous editing: {path.name}"))
    write_sheet(request.pictures, np.concatenate(sheets))


def _show(console: Console, report: dict[str, Any]) -> None:
    data = report["data"]
    kind = "synthetic people, nobody was recorded" if data["synthetic"] else "pictures of people"
    console.print(f"Expression editing on {data['folder']}: {kind}, {data['size']} px", highlight=False)
    console.print(f"{data['people']} people never seen, {data['edits']} edits; {data['truth']}", highlight=False)
    shown = [name for name in _COLUMNS if any(name in row for row in report["table"].values())]
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in shown:
        heading, unit, _ = _COLUMNS[name]
        table.add_column(f"{heading} {unit}" if unit in ("dB", "%") else heading, justify="right")
    for name, row in report["table"].items():
        cells = [f"{row[column]:.{_COLUMNS[column][2]}f}" if column in row else "-" for column in shown]
        table.add_row(Text(name), *cells)
    console.print()
    console.print(table, highlight=False)
    console.print(CAPTION, style="dim", highlight=False)
    for note in report["notes"]:
        console.print(f"Note: {note}.", style="dim", highlight=False)
