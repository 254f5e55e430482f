import cv2
import numpy as np
import pytest

from engines.face.eyes import look_at_eye


@pytest.fixture
def drawn_eye():
    """A grey eye with a brown iris behind brown lids, and its outline."""
    photo = np.full((120, 160, 3), (90, 110, 150), np.uint8)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    opening = np.stack([80 + 24 * np.cos(angle), 60 + 9 * np.sin(angle)], 1)
    eye = np.full_like(photo, 200)
    cv2.circle(eye, (80 * 16, 60 * 16), 12 * 16, (40, 60, 90), -1, cv2.LINE_AA, 4)
    mask = np.zeros((120, 160), np.uint8)
    cv2.fillPoly(mask, [np.rint(opening * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    photo[mask > 127] = eye[mask > 127]
    iris = np.array([[80, 60], [92, 60], [80, 48], [68, 60], [80, 72]], float)
    return photo, opening, iris


def test_what_lids_hide_is_filled_in(drawn_eye):
    photo, opening, iris = drawn_eye
    eye = look_at_eye(photo, opening, iris)
    assert eye.radius == pytest.approx(12)
    middle = np.array(eye.centre) - eye.origin
    x, y = (int(v) for v in np.rint(middle))
    above = eye.still[y - 10, x].astype(int)  # iris that the upper lid hides: the opening ends 9 px above
    np.testing.assert_allclose(above, (40, 60, 90), atol=14)
    np.testing.assert_allclose(eye.white[y, x].astype(int), 200, atol=14)  # white behind the iris
    np.testing.assert_allclose(eye.still[y, x], photo[60, 80], atol=3)
    assert eye.iris[24, 24, 3] == 255
    assert eye.iris[0, 0, 3] == 0


def test_an_eye_without_any_white_does_not_fail(drawn_eye):
    photo, opening, iris = drawn_eye
    narrow = (opening - 60) * [1, 0.05] + 60
    eye = look_at_eye(photo, narrow, iris)
    assert np.isfinite(eye.white).all()
