"""The command as people type it: tables, report, pictures; what it refuses."""

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from calibration.data.face_set import FaceRow, FaceSetWriter
from engines.bundle import Manifest, Training
from engines.spec import ArraySpec
from rt import assets, cli

SIDE = 32
FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3))
EDIT = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (SIDE, SIDE))
OURS = Manifest(
    system="mc_cyclegan",
    network="attentive_generator",
    sizes={"ngf": 4, "blocks": 0, "in_channels": 3, "out_channels": 3},
    inputs=(FACE,),
    outputs=(FACE, EDIT, replace(FACE, name="colour")),
    training=Training("nothing", 0, True, "CC0", 0),
)
FAITHFUL = replace(OURS, network="resnet_generator", outputs=(FACE,))


def write(path, manifest):
    """A bundle whose edit mask is 0 everywhere: it changes nothing.  Without an edit mask it shows grey."""
    pytest.importorskip("torch")
    from engines.assembly import bare_network
    from engines.building import write_network_bundle

    state = bare_network(manifest).network.state_dict()
    head = {name: value for name, value in state.items() if name.startswith("head")}
    for value in head.values():
        value.zero_()
    bias = next(value for name, value in head.items() if name.endswith("bias"))
    bias[3:] = -30
    write_network_bundle(path, manifest, state, with_onnx=False)
    return path


def write_faces(folder, paired=True):
    rng = np.random.default_rng(0)
    about = {"synthetic": paired, "origin": "noise", "licence": "CC0", "seed": 0}
    with FaceSetWriter(folder, 36, 18, 18, paired, about) as faces:
        for i in range(18):
            split = {1: "test", 2: "validation"}.get(i % 6, "train")
            row = FaceRow(f"p{i % 6}", "cohort" if paired else "mmm", f"{i % 6 + 1:03d}", i, split)
            clean = cv2.GaussianBlur(rng.integers(0, 256, (36, 36, 3), np.uint8), (0, 0), 2)
            mask = np.zeros((36, 36), np.uint8)
            mask[12:20, 12:20] = 255
            faces.add(row, np.where(mask[..., None], 250, clean).astype(np.uint8), clean, mask if paired else None)
    return folder


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """bundles/ours, bundles/faithful, folds/fold_1, folds/fold_2, faces, real, map (a bundle without a network)."""
    folder = tmp_path_factory.mktemp("evaluate")
    write(folder / "bundles" / "ours", OURS)
    write(folder / "bundles" / "faithful", FAITHFUL)
    for fold in (1, 2):
        write(folder / "folds" / f"fold_{fold}", OURS)
    write(folder / "large", replace(OURS, **{side: _larger(getattr(OURS, side)) for side in ("inputs", "outputs")}))
    write_faces(folder / "faces")
    write_faces(folder / "real", paired=False)
    (folder / "empty").mkdir()
    return folder


def _larger(specs):
    return tuple(replace(spec, shape=(64, 64, *spec.shape[2:])) for spec in specs)


@pytest.fixture
def evaluate(there, monkeypatch, capfd):
    monkeypatch.chdir(there)
    monkeypatch.setattr(assets, "find", lambda name: None)  # no MediaPipe: seconds

    def run(arguments):
        monkeypatch.setattr(sys, "argv", ["myomirror", "evaluate", *arguments.split(), "--backend", "torch"])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, *capfd.readouterr()

    return run


def test_tables_report_and_pictures(evaluate, there):
    code, out, err = evaluate(
        "bundles/ours bundles/faithful --data faces --report r.json --pictures p.png --folds folds"
    )
    assert (code, err) == (0, "")
    report = json.loads((there / "r.json").read_text())
    tables = report["tables"]
    assert set(tables) == {"people never seen", "people seen in training", "altered colours"}
    seen, trained = tables["people never seen"], tables["people seen in training"]
    # A network that edits nowhere is the picture with electrodes, in every measure
    assert seen["ours"] == seen["attached"]
    assert seen["faithful"]["psnr_untouched"]["mean"] < 30
    assert seen["Telea, true mask"]["psnr_covered"]["mean"] > seen["attached"]["psnr_covered"]["mean"] + 3
    assert seen["ours"]["gmsd"]["pictures"] == 3
    assert trained["ours"]["gmsd"]["pictures"] == 12
    assert set(report["six_fold"]) == {"False", "True"}
    assert report["six_fold"]["False"]["gmsd"]["pictures"] == 6
    assert report["bundles"]["ours"]["edit_mask"] is True
    assert report["bundles"]["ours"]["backend"] == "torch"
    assert {one["bundle"] for one in report["reach"]} == {"ours", "faithful"}
    assert any("2 of the 6 folds" in note for note in report["notes"])
    assert any("not installed" in note for note in report["notes"])
    for words in ("People never seen", "kinds of skin", "Trained on the person?", "Six folds", "MISSED", "no FID"):
        assert words in out
    assert cv2.imread(str(there / "p.png")).shape[0] > 100


def test_the_same_again_is_the_same(evaluate, there):
    for name in ("a", "b"):
        assert evaluate(f"bundles/ours --data faces --most 2 --report {name}.json")[0] == 0
    a, b = ((there / f"{name}.json").read_text() for name in ("a", "b"))
    assert a == b


def test_recordings_of_people_say_what_cannot_be_given(evaluate, there):
    code, out, _ = evaluate("bundles/ours --data real --report real.json")
    assert code == 0
    assert "nobody knows what is behind their electrodes" in " ".join(out.split())
    report = json.loads((there / "real.json").read_text())
    assert set(report["tables"]) == {"recordings"}
    rows = report["tables"]["recordings"]
    assert {name: list(row) for name, row in rows.items()} == {
        name: ["frechet"] for name in ("without", "attached", "ours")
    }
    assert rows["ours"] == rows["attached"]
    assert report["reach"] == []


REFUSED = {
    "no data": ("bundles/ours", "--data"),
    "no bundle": ("--data faces", "name a bundle"),
    "bundle that is none": ("empty --data faces", "no bundle"),
    "data that is none": ("bundles/ours --data empty", "neither a set of faces"),
    "another size than the data": ("large --data faces", "works on 64 px and the faces in faces are 36 px"),
    "two sizes": ("large bundles/ours --data faces", "32 and 64 px"),
    "the same bundle twice": ("bundles/ours bundles/ours --data faces", "named twice"),
    "no folds": ("--folds empty --data faces", "fold_0"),
    "report nowhere": ("bundles/ours --data faces --report no/r.json", "cannot be written"),
    "pictures of another kind": ("bundles/ours --data faces --pictures p.gif", "cannot be written"),
    "unknown cut": ("bundles/ours --data faces --cut half", "middle or whole"),
    "no pictures": ("bundles/ours --data faces --most 0", "1 or more"),
    "no classifier": ("bundles/ours --data faces --classifier nobody:knows", "cannot be imported"),
    "another system": ("pixel-smile --data faces", "pixel_rr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_one_sentence(evaluate, name):
    arguments, said = REFUSED[name]
    code, out, err = evaluate(arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err
