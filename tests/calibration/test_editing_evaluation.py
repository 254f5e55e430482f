"""`myomirror evaluate` of expression editors: table, report, sheet, and what it refuses."""

import io
import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration import editing_evaluation  # noqa: E402
from calibration.editing import Edits  # noqa: E402
from calibration.editor_bundle import editor_manifest  # noqa: E402
from calibration.evaluation import Request, as_json, evaluation_of  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Training  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.networks.cascade_editor import CascadeEditor, EditorSizes, initialise_editor  # noqa: E402

SIZES = EditorSizes(40, 1, (), 2, 0, between=4)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editors")
    for name, sizes in (("one", SIZES), ("larger", replace(SIZES, size=64))):
        network = CascadeEditor(sizes)
        initialise_editor(network, 1)
        about = Training("drawn faces", 4, True, "CC0", 1)
        write_network_bundle(folder / name, editor_manifest(sizes, about, {}), network.state_dict(), with_onnx=False)
    return folder


def test_table_report_and_sheet(bundles, smileys, tmp_path, monkeypatch):
    monkeypatch.setattr(editing_evaluation, "STEPS", 3)
    monkeypatch.setattr(editing_evaluation.assets, "find", lambda name: None)  # drawn faces are no faces to MediaPipe
    request = Request((bundles / "one",), smileys, pictures=tmp_path / "sheet.png", most=6, backend="torch")
    assert evaluation_of(request) is editing_evaluation.evaluate
    out = io.StringIO()
    report = editing_evaluation.evaluate(request, Console(file=out, width=150))
    assert list(report["table"]) == ["the input itself", "Pixel-RR", "one"]
    for row in report["table"].values():
        assert set(row) == {"accuracy_real", "accuracy_made", "accuracy_both", "psnr", "frechet"}
    assert report["data"]["truth"] == "6 edits against the same sitting"
    assert report["bundles"]["one"]["training"]["data"] == "drawn faces"
    json.loads(as_json(report))
    text = out.getvalue()
    for words in ("synthetic people, nobody was recorded", "Pixel-RR", "R + G", "no FID", "Note: MediaPipe"):
        assert words in text
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 40 + 8 * 166 - 6
    assert sheet.std() > 10


def test_without_a_face_model_identity_is_left_out_and_said(monkeypatch):
    class NobodyHome:
        def __init__(self, model):
            self.model = model

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self, picture):
            return None

    def missing(given):
        raise BadInput("there is none")

    monkeypatch.setattr(editing_evaluation.assets, "find", lambda name: Path(name))
    monkeypatch.setattr(editing_evaluation.assets, "verify", lambda name: Path(name))
    monkeypatch.setattr(editing_evaluation, "ExpressionReader", NobodyHome)
    monkeypatch.setattr(editing_evaluation, "find_face_model", missing)
    faces, nothing = np.zeros((1, 40, 40, 3), np.uint8), np.zeros((1, 52), np.float32)
    edits = Edits(faces, nothing, nothing, np.zeros(1, np.int64), faces, ("sitting",), ("ann",))
    notes = []
    with ExitStack() as stack:
        read = editing_evaluation._reading(edits, stack, notes)
        assert read.measure(faces) == {}
    assert notes == [editing_evaluation.NO_FACE_MODEL]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bundles": ("one", "one")}, "the bundle one is named twice"),
        ({"bundles": ("one", "larger")}, "40 and 64 px: evaluate one size at a time"),
        ({"bundles": ("larger",)}, "works on 64 px and the faces in"),
        ({"data": "/nowhere"}, "is no set of faces"),
        ({"folds": True}, "leave --folds out"),
    ],
)
def test_what_cannot_work_is_one_sentence(bundles, smileys, tmp_path, change, sentence):
    names = change.get("bundles", ("one",))
    request = Request(
        tuple(bundles / name for name in names),
        type(smileys)(change.get("data", smileys)),
        folds=tmp_path if "folds" in change else None,
        backend="torch",
    )
    with pytest.raises(BadInput, match=sentence):
        editing_evaluation.evaluate(request, Console(file=io.StringIO()))
