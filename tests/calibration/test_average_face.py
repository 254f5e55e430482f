import cv2
import numpy as np
import pytest

from calibration.average_face import HEIGHT, MESH, WIDTH, Bend, average, frame_from_photo_of, main, make_bundle
from calibration.data.london_faces import Person
from engines.bundle import read_bundle
from engines.face.subject import BUNDLE


@pytest.fixture(scope="module")
def shape_px():
    return read_bundle(BUNDLE).arrays["neutral_shape_px"].astype(np.float64)


def person(name, shape_px, grey, shift=(0.0, 0.0)):
    """Somebody whose photo is one grey and whose landmarks are the mean ones, moved."""
    points = np.vstack([shape_px, np.repeat(shape_px[168:169], 478 - MESH, axis=0)]).astype(np.float32)
    photo = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
    both = ("neutral", "smiling")
    return Person(name, dict.fromkeys(both, photo), dict.fromkeys(both, points + np.float32(shift)))


def test_bending_to_the_own_shape_changes_nothing(shape_px):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    bent = Bend.to_shape(shape_px).apply(photo, shape_px, np.eye(2, 3))
    assert np.abs(bent.astype(int) - photo).max() <= 1


def test_bending_moves_a_landmark_to_its_target(shape_px):
    moved = shape_px.copy()
    moved[61] += (-6, 4)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x, y = np.rint(moved[61]).astype(int)
    photo[y - 1 : y + 2, x - 1 : x + 2] = 255
    bent = Bend.to_shape(shape_px).apply(photo, moved, np.eye(2, 3))
    rows, columns = np.nonzero(bent[:, :, 0] > 60)
    assert np.linalg.norm([columns.mean(), rows.mean()] - shape_px[61]) < 4  # it was 7 px away


def test_the_face_comes_to_the_same_place_wherever_it_was(shape_px):
    points = np.vstack([shape_px, shape_px[:10]]).astype(np.float32)
    there = points * 1.7 + (40, -20)
    for landmarks in (points, there):
        matrix = frame_from_photo_of(landmarks)
        np.testing.assert_allclose(landmarks[:MESH] @ matrix[:, :2].T + matrix[:, 2], shape_px, atol=4)


def test_the_average_of_two_is_between_them_inside_the_face(shape_px, tmp_path):
    people = [person("a", shape_px, 80), person("b", shape_px, 120, (25.0, 10.0))]
    arrays = average(people)
    np.testing.assert_allclose(arrays["neutral_shape_px"], shape_px, atol=4)
    manifest = make_bundle(people, tmp_path)
    assert manifest.training.people == 2
    picture = cv2.imdecode(read_bundle(tmp_path, "average_face").arrays["smiling_jpeg"], cv2.IMREAD_COLOR)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert 95 < picture[250:290, 300:340].mean() < 112


def test_a_wrong_folder_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--model", str(BUNDLE / "manifest.json"), "--out", str(tmp_path / "o")]) == 2
    assert "no pairs" in capsys.readouterr().err
