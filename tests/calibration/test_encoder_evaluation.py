"""EIFER's first phase judged as people type it: on faces whose truth is known, with bundles whose answers are too."""

import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.encoder_bundle import encoder_manifest  # noqa: E402
from calibration.encoder_reach import reach  # noqa: E402
from calibration.encoder_sheet import TILE, draw_sheet  # noqa: E402
from calibration.face_bundle import face_spec  # noqa: E402
from calibration.face_readers import Said, half_sides  # noqa: E402
from calibration.reading_scores import CLEAN, COVERED, MEDIAPIPE, FaceSurfaces, score_readings  # noqa: E402
from calibration.reconstruction import N_N, N_S, most_similar, score_pictures  # noqa: E402
from calibration.restoration import Number  # noqa: E402
from calibration.true_faces import true_stills  # noqa: E402
from engines.bundle import Manifest, Training  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.face.crop_camera import six_from_matrix  # noqa: E402
from engines.face.crop_geometry import CropGeometry  # noqa: E402
from engines.face.mesh import FaceModel  # noqa: E402
from rt import assets, cli  # noqa: E402

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
NOBODY = Training("nothing", 0, True, "CC0", 0)


@pytest.fixture(scope="module")
def faces_folder(grey_faces, tmp_path_factory):
    """The grey faces, with two of the four people in the split test, one picture of a photo among them."""
    folder = tmp_path_factory.mktemp("judged") / "faces"
    shutil.copytree(grey_faces, folder)
    about = json.loads((folder / "faces.json").read_text())
    for kind in ("covered", "clean"):
        for row in about[kind]:
            row[-1] = "test" if row[0] in ("p2", "p3") else "train"
        about[kind][-1][1] = "london"
    (folder / "faces.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def model(faces_folder):
    return FaceModel.load(MODEL)


@pytest.fixture(scope="module")
def unseen(faces_folder, model):
    return true_stills(FaceSet.open(faces_folder).select("test"), model, 100)


class Knowing:
    """Says the truth about the faces it knows, `off` beside it; it knows them by their pictures."""

    def __init__(self, name, faces, shapes, off=0.0, blind=False):
        self.name, self.size, self.off, self.blind = name, 40, off, blind
        self.faces = {picture.tobytes(): face for face in faces for picture in (face.clean, face.covered)}
        self.shapes, self.asked = shapes, 0

    def read(self, picture):
        face = self.faces[picture.tobytes()]
        if self.blind and picture.tobytes() == face.covered.tobytes():
            return Said(np.zeros(52, np.float32), *self._rest(face))
        return Said((face.expression + self.off).astype(np.float32), *self._rest(face))

    def _rest(self, face):
        six = six_from_matrix(face.crop_from_model[:2], len(face.covered))
        return self.shapes[face.person], six[:3], six[3:], half_sides(face.landmarks_px, 40)


@pytest.fixture(scope="module")
def shapes(faces_folder):
    faces = FaceSet.open(faces_folder)
    return {
        row.person: np.array(faces.truth.identity[at]) for row, at in zip(faces.clean_rows, faces.clean_at, strict=True)
    }


def test_photos_are_left_out_and_the_truth_lies_on_the_picture(unseen, model):
    assert len(unseen) == 7
    face, geometry = unseen[0], CropGeometry(model, 40)
    vertices = face.rest_cm + FaceSurfaces(model).moved_cm(face.expression)
    projected = vertices @ face.crop_from_model[:, :3].T + face.crop_from_model[:, 3]
    grey = face.clean.max(2) > 62  # the face on its grey wall
    inside = projected[:, :2].round().astype(int).clip(0, 39)
    assert grey[inside[:, 1], inside[:, 0]].mean() > 0.9
    assert half_sides(face.landmarks_px, 40).shape == (468, 2)
    assert geometry.size == 40


def test_scores_are_what_was_put_in(unseen, model, shapes):
    surfaces = FaceSurfaces(model)
    readers = [
        Knowing("knows", unseen, shapes),
        Knowing("off", unseen, shapes, 0.25),
        Knowing("blind", unseen, shapes, blind=True),
    ]
    found = score_readings(unseen, readers, {}, None, surfaces)
    assert set(found) == {CLEAN, COVERED}
    for kind in (CLEAN, COVERED):
        knows = found[kind]["knows"]
        assert all(knows[name].mean == pytest.approx(0, abs=2e-3) for name in knows if name != "face_found"), knows
        assert knows["face_found"].mean == 1
        assert found[kind]["off"]["expression"].mean == pytest.approx(0.25, abs=1e-4)
        assert found[kind]["off"]["expression_mm"].mean > 1
    blind, truth = found[COVERED]["blind"], np.array([face.expression for face in unseen])
    assert blind["expression"].mean == pytest.approx(truth[:, 1:].mean(), abs=1e-4)
    assert blind["geometry_mm"].mean > 0.1
    assert found[CLEAN]["blind"]["expression"].mean == pytest.approx(0, abs=1e-4)
    assert "landmarks_same" not in blind  # nobody stands beside it
    unsteady = {"p2": shapes["p2"], "p3": shapes["p3"]}
    reader = Knowing("sways", unseen, unsteady)
    reader.shapes = {person: shape * (1 + place) for place, (person, shape) in enumerate(unsteady.items())}
    assert score_readings(unseen, [reader], {}, None, surfaces)[CLEAN]["sways"]["identity_mm"].mean < 1e-3


def test_encoders_also_read_what_was_restored(unseen, model, shapes):
    clean_of = {face.covered.tobytes(): face.clean for face in unseen}
    restorers = {"perfect": lambda picture: clean_of[picture.tobytes()]}
    found = score_readings(unseen, [Knowing("blind", unseen, shapes, blind=True)], restorers, None, FaceSurfaces(model))
    assert found["restored by perfect"]["blind"]["expression"].mean == pytest.approx(0, abs=1e-4)


def row(expression, landmarks=1.0):
    return {"expression": Number(expression, None, 9), "landmarks_same": Number(landmarks, None, 9)}


def test_what_is_to_be_reached():
    kinds = {
        CLEAN: {"n": row(0.02), "s": row(0.03), MEDIAPIPE: row(0.04)},
        COVERED: {"n": row(0.1, 3.0), "s": row(0.05, 1.5), MEDIAPIPE: row(0.2, 2.0)},
        "restored by r": {"n": row(0.04), "s": row(0.05), MEDIAPIPE: row(0.1)},
    }
    found = {
        (one["bundle"], one["what"]): (round(one["measured"], 3), one["reached"]) for one in reach(kinds, ["n", "s"])
    }
    assert found == {
        ("s", "expression error under electrodes, of n's"): (0.5, True),
        ("s", "the same, of n's on faces restored by r"): (1.25, False),
        ("n", "landmarks under electrodes, of MediaPipe's error"): (1.5, False),
        ("s", "landmarks under electrodes, of MediaPipe's error"): (0.75, True),
    }


def test_the_most_similar_other_moment_is_the_same_persons(unseen):
    for place, (face, other) in enumerate(zip(unseen, most_similar(unseen), strict=True)):
        assert other != place
        assert unseen[other].person == face.person
        away = [
            np.abs(o.expression - face.expression).sum()
            for i, o in enumerate(unseen)
            if i != place and o.person == face.person
        ]
        assert np.abs(unseen[other].expression - face.expression).sum() == min(away)
    assert most_similar(unseen[:1]) == [None]


def test_limits_of_reconstruction(unseen):
    found = score_pictures(unseen, {"perfect": lambda face: face.clean}, 40)
    assert list(found) == [N_N, N_S, "perfect"]
    assert found["perfect"]["ssim_face"].mean == pytest.approx(1)
    assert found[N_S]["psnr_face"].mean < found["perfect"]["psnr_face"].mean
    assert 0 < found[N_N]["ssim_face"].mean < 1


def test_the_sheet_shows_the_true_surface_as_the_picture_has_it(unseen, model, shapes):
    reader = Knowing("knows", unseen, shapes)
    geometry = CropGeometry(model, TILE)
    sheet = draw_sheet(unseen[:1], [reader], {}, {}, None, FaceSurfaces(model), geometry)
    columns = [sheet[64 : 64 + TILE, 20 + k * (TILE + 6) : 20 + k * (TILE + 6) + TILE] for k in range(6)]
    truth, clean, covered = columns[2:5]
    # the encoder's identity is the set's own, so its surface is the truth's up to rounding
    assert (truth != 255).any(2).mean() > 0.1
    assert ((truth != 255).any(2) != (clean != 255).any(2)).mean() < 0.01
    np.testing.assert_array_equal(clean, covered)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Folder with e-n and e-s (32 px, untrained), e-s-generator, restore (which changes nothing)."""
    from engines.assembly import bare_network
    from engines.building import write_network_bundle
    from engines.networks.face_encoder import EncoderSizes, FaceEncoder, initialise_encoder
    from engines.networks.resnet_generator import GeneratorSizes, ResnetGenerator

    folder = tmp_path_factory.mktemp("bundles")
    for seed, (name, arrangement) in enumerate((("e-n", "three"), ("e-s", "shared"))):
        sizes = EncoderSizes(shapes=5, arrangement=arrangement, width=0.1)
        network = FaceEncoder(sizes)
        initialise_encoder(network, seed)
        write_network_bundle(
            folder / name, encoder_manifest(sizes, 32, NOBODY, {}), network.state_dict(), with_onnx=False
        )
    sizes = {"ngf": 4, "blocks": 0, "in_channels": 6, "out_channels": 3}
    inputs = (face_spec("geometry", 32), face_spec("masked", 32))
    generator = Manifest("eifer", "resnet_generator", sizes, inputs, (face_spec("face", 32),), NOBODY)
    state = ResnetGenerator(GeneratorSizes(**sizes)).state_dict()
    write_network_bundle(folder / "e-s-generator", generator, state, with_onnx=False)
    restore = Manifest(
        "mc_cyclegan",
        "resnet_generator",
        {**sizes, "in_channels": 3},
        (face_spec("face", 32),),
        (face_spec("face", 32),),
        NOBODY,
    )
    write_network_bundle(folder / "restore", restore, bare_network(restore).network.state_dict(), with_onnx=False)
    return folder


@pytest.fixture
def evaluate(bundles, monkeypatch, capfd):
    monkeypatch.chdir(bundles)
    found = assets.find
    monkeypatch.setattr(assets, "find", lambda name: None if name == assets.FACE_LANDMARKER else found(name))

    def run(arguments):
        monkeypatch.setattr(sys, "argv", ["myomirror", "evaluate", *arguments.split(), "--backend", "torch"])
        try:
            cli.main()
            code = 0
        except SystemExit as caught:
            code = caught.code or 0
        return code, *capfd.readouterr()

    return run


def test_tables_report_and_pictures(evaluate, bundles, faces_folder):
    everything = f"e-n e-s e-s-generator restore --data {faces_folder} --report r.json --pictures p.png"
    code, out, err = evaluate(everything)
    assert (code, err) == (0, "")
    report = json.loads((bundles / "r.json").read_text())
    assert set(report["readings"]) == {"people never seen", "people seen in training"}
    unseen = report["readings"]["people never seen"]
    assert set(unseen) == {CLEAN, COVERED, "restored by restore"}
    assert set(unseen[COVERED]) == {"e-n", "e-s"}
    assert set(report["reconstruction"]) == {N_N, N_S, "restore", "EIFER, e-s"}
    assert unseen[CLEAN]["e-n"]["expression"]["pictures"] == 7
    assert {one["bundle"] for one in report["reach"]} == {"e-s"}
    assert report["bundles"]["e-s-generator"]["backend"] == "torch"
    for words in ("People never seen: 7 pictures", "Reconstruction, 32 px", "MISSED", "no FID", "photos as they are"):
        assert words in out, words
    assert cv2.imread(str(bundles / "p.png")).shape[1] == 40 + 13 * (TILE + 6) - 6
    assert evaluate(everything.replace("r.json", "again.json"))[0] == 0
    assert (bundles / "again.json").read_text() == (bundles / "r.json").read_text()


def test_rows_whose_bundle_is_not_given_are_absent(evaluate, bundles, faces_folder):
    assert evaluate(f"e-n --data {faces_folder} --most 3 --report one.json")[0] == 0
    report = json.loads((bundles / "one.json").read_text())
    assert set(report["readings"]["people never seen"]) == {CLEAN, COVERED}
    assert report["reconstruction"] == {}
    assert report["reach"] == []


REFUSED = {
    "a generator alone": ("e-s-generator restore", "name a face encoder"),
    "a generator without its encoder": ("e-n e-s-generator", "needs its encoder e-s"),
    "the same twice": ("e-n e-n", "named twice"),
    "folds": ("e-n --folds .", "holds no bundles fold_0"),
    "a classifier": ("e-n --classifier a:b", "leave out --folds and --classifier"),
    "another system": ("e-n pixel-smile", "pixel_rr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_one_sentence(evaluate, faces_folder, name):
    arguments, said = REFUSED[name]
    code, out, err = evaluate(f"{arguments} --data {faces_folder}")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err


def test_sets_without_truth_and_data_that_is_none(evaluate, oval_faces, tmp_path):
    for data, said in ((oval_faces, "does not know its faces' parameters"), (tmp_path, "neither a set of faces")):
        code, _, err = evaluate(f"e-n --data {data}")
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err


def test_a_set_of_photos_only(faces_folder, model):
    with pytest.raises(BadInput, match="holds photos only"):
        faces = FaceSet.open(faces_folder).select("test")
        keep = [i for i, row in enumerate(faces.clean_rows) if row.source == "london"]
        from dataclasses import replace

        rows = {f"{kind}_rows": tuple(getattr(faces, f"{kind}_rows")[i] for i in keep) for kind in ("clean", "covered")}
        places = {f"{kind}_at": getattr(faces, f"{kind}_at")[keep] for kind in ("clean", "covered")}
        true_stills(replace(faces, **rows, **places), model, 5)
