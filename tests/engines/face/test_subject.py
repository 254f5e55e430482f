import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput, BundleError
from engines.face import subject as rooms
from engines.face.subject import BUNDLE, EXPRESSIONS, HEIGHT, WIDTH, Subject

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "face_landmarker.task"
FACE = np.s_[150:380, 200:440]


@pytest.fixture(scope="module")
def person():
    return Subject()


def frame(person, t_s=0.0, **expression):
    return person.render(expression, t_s, np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def changed(a, b):
    """Mean absolute change per column half of the face: (picture's left, picture's right), grey levels."""
    change = np.abs(a[FACE].astype(float) - b[FACE]).mean((0, 2))
    return change[:100].mean(), change[-100:].mean()


def test_fills_and_returns_the_given_frame(person):
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert person.render({}, 0.0, out) is out
    assert out.min(axis=(1, 2)).max() > 0
    assert out.std() > 20


def test_the_same_moment_gives_the_same_picture(person):
    np.testing.assert_array_equal(frame(person, 3.2, mouthSmileLeft=0.5), frame(person, 3.2, mouthSmileLeft=0.5))
    assert (frame(person, 3.2) != frame(person, 3.2 + 1 / 30)).mean() > 0.3  # the sensor's noise moves on


def test_a_frame_does_not_remember_the_one_before(person):
    before = frame(person)
    frame(person, **dict.fromkeys(EXPRESSIONS, 1.0))
    np.testing.assert_array_equal(frame(person), before)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_moves_its_own_side(person, name):
    left_side, right_side = changed(frame(person), frame(person, **{name: 1.0}))
    if name.endswith("Left"):  # the person's left is the picture's right
        assert right_side > 3 * left_side + 0.1
    elif name.endswith("Right"):
        assert left_side > 3 * right_side + 0.1
    else:
        assert min(left_side, right_side) > 0.1


def test_more_of_an_expression_changes_more(person):
    rest = frame(person)
    amounts = [sum(changed(rest, frame(person, browOuterUpLeft=a))) for a in (0.0, 0.3, 0.6, 1.0)]
    assert amounts[0] == 0
    assert (np.diff(amounts) > 0).all()


def test_nothing_happens_outside_the_face(person):
    rest, smiling = frame(person), frame(person, mouthSmileLeft=1.0, eyeBlinkRight=1.0)
    np.testing.assert_array_equal(rest[:60], smiling[:60])
    np.testing.assert_array_equal(rest[:, :140], smiling[:, :140])


def slow_sample(picture, u, v):
    x, y = int(u), int(v)
    fx, fy = u - x, v - y
    p = picture.astype(float)
    top, bottom = ((1 - fx) * p[r, x] + fx * p[r, x + 1] for r in (y, y + 1))
    return (1 - fy) * top + fy * bottom


def test_sampling_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    neutral, smiling = rng.integers(0, 256, (2, HEIGHT, WIDTH, 3)).astype(np.uint8)
    field = rng.uniform(-6, 6, (20, 30, 2)).astype(np.float32)
    left = np.linspace(0, 1, 30).astype(np.float32)
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    packed = rooms._pack(neutral), rooms._pack(smiling)
    rooms._sample(*packed, field, left, np.float32(0.8), np.float32(0.3), 100, 200, out)
    for y in range(20):
        for x in range(30):
            u, v = 200 + x + field[y, x, 0], 100 + y + field[y, x, 1]
            share = left[x] * 0.8 + (1 - left[x]) * 0.3
            wanted = (1 - share) * slow_sample(neutral, u, v) + share * slow_sample(smiling, u, v)
            assert np.abs(out[100 + y, 200 + x] - wanted).max() <= 4


def test_fields_that_point_outside_stay_in_the_picture():
    picture = rooms._pack(np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
    out = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for far in (-5000.0, 5000.0):
        field = np.full((4, 4, 2), far, np.float32)
        rooms._sample(picture, picture, field, np.ones(4, np.float32), np.float32(1), np.float32(1), 0, 0, out)
        assert (out[:4, :4] == 9).all()


@pytest.mark.parametrize("bad", [{"smile": 0.5}, {"eyeBlinkLeft": 1.2}, {"eyeBlinkLeft": float("nan")}])
def test_unknown_names_and_values_are_refused(person, bad):
    with pytest.raises(BadInput, match="cannot be drawn"):
        frame(person, **bad)


@pytest.mark.parametrize(
    "out", [np.zeros((480, 640), np.uint8), np.zeros((640, 480, 3), np.uint8), np.zeros((480, 640, 3))]
)
def test_a_frame_of_another_kind_is_refused(person, out):
    with pytest.raises(BadInput, match="480, 640, 3"):
        person.render({}, 0.0, out)


def test_the_bundle_is_small_and_says_where_it_comes_from():
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 400_000
    manifest = (BUNDLE / "manifest.json").read_text()
    assert "10.6084/m9.figshare.5047666" in manifest
    assert "CC BY 4.0" in manifest


def test_a_damaged_bundle_is_refused(tmp_path):
    shutil.copytree(BUNDLE, tmp_path / "b")
    weights = tmp_path / "b" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(BundleError, match="cut short"):
        Subject(tmp_path / "b")


@pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
def test_mediapipe_finds_the_face_and_reads_the_expression(person):
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(MODEL)), output_face_blendshapes=True
    )

    def read(landmarker, t_s, **expression):
        picture = frame(person, t_s, **expression)[:, :, ::-1].copy()
        scores = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)).face_blendshapes[0]
        return {score.category_name: score.score for score in scores}

    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        smiles = [
            np.mean(
                [read(landmarker, k, mouthSmileLeft=a, mouthSmileRight=a)[f"mouthSmile{s}"] for s in ("Left", "Right")]
            )
            for k, a in enumerate((0.0, 0.35, 0.7, 1.0))
        ]
        assert (np.diff(smiles) > 0.05).all()
        assert smiles[0] < 0.1
        assert smiles[-1] > 0.6
        one_sided = read(landmarker, 9.0, mouthSmileLeft=1.0)
        assert one_sided["mouthSmileLeft"] > one_sided["mouthSmileRight"] + 0.15
        assert read(landmarker, 5.0, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)["eyeBlinkLeft"] > 0.45
        assert read(landmarker, 6.0, browInnerUp=1.0, browOuterUpLeft=1.0, browOuterUpRight=1.0)["browInnerUp"] > 0.35


@pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
def test_its_own_landmarks_are_where_the_landmarker_sees_them(person):
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    aligning = [33, 133, 263, 362, 1, 152, 10]  # eye corners, nose tip, chin, forehead
    with vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(MODEL)))
    ) as landmarker:
        for t_s, expression in ((0.0, {}), (3.7, {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.9})):
            picture = frame(person, t_s, **expression)[:, :, ::-1].copy()
            found = landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)).face_landmarks[0]
            seen = np.array([(point.x * 640, point.y * 480) for point in found])
            told = person.landmarks_px(expression, t_s)
            assert told.shape == seen.shape == (478, 2)
            assert np.linalg.norm(told[aligning] - seen[aligning], axis=1).max() < 6.0
