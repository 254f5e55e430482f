import numpy as np
import pytest

from calibration.regions import CHANGED_LEVELS, face_oval, regions_of
from engines.errors import BadInput
from engines.face.oval import FACE_OVAL


def test_a_face_is_shared_out():
    clean = np.full((6, 8, 3), 100, np.uint8)
    covered, mask = clean.copy(), np.zeros((6, 8), np.uint8)
    mask[1, 1:4] = 255, 128, 127  # covered, covered, a rim
    covered[3, 3] = 100 - CHANGED_LEVELS - 1, 100, 100  # a shadow
    covered[4, 4] = 100 + CHANGED_LEVELS, 100, 100  # none
    face = np.ones((6, 8), bool)
    face[:, 7] = False
    found = regions_of(covered, clean, mask, face)
    assert np.argwhere(found.covered).tolist() == [[1, 1], [1, 2]]
    assert np.argwhere(found.shaded).tolist() == [[1, 3], [3, 3]]
    whole = found.covered.astype(int) + found.shaded + found.untouched
    assert (whole == found.face).all()


def test_the_oval_is_the_landmarks_or_an_average_one():
    landmarks = np.zeros((478, 2), np.float32)
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[FACE_OVAL] = np.column_stack([40 + 10 * np.sin(angle), 30 - 20 * np.cos(angle)])
    found = face_oval((64, 80), landmarks)
    assert found.sum() == pytest.approx(np.pi * 10 * 20, rel=0.1)
    assert found[30, 40]
    assert not found[30, 54]
    average = face_oval((128, 128), None)
    assert average.sum() == pytest.approx(np.pi * 0.33 * 0.39 * 128**2, rel=0.05)
    far = face_oval((64, 80), landmarks + 1e9)
    assert far.shape == (64, 80)


def test_different_sizes_are_refused():
    picture = np.zeros((6, 8, 3), np.uint8)
    with pytest.raises(BadInput, match="one size"):
        regions_of(picture, picture, np.zeros((6, 7), np.uint8), np.ones((6, 7), bool))
