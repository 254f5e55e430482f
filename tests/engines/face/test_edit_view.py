import cv2
import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.crop import crop_from_pose
from engines.face.edit_view import TINT_BGR, EditView

SIZE = 32
MATRIX = crop_from_pose(np.array([40.0, 30.0, np.log(40.0), 0.3]), SIZE)


def edit_of_a_disc():
    return cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (16, 16), 8, 255, -1)


def stretched(edit):
    return cv2.warpAffine(edit, MATRIX, (80, 60), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def slow_draw(frame, mask):
    """The tint in floats, then the outline, light inside and dark outside of where the mask is one half."""
    weight = mask[:, :, None] / 255 * (141 / 257)
    out = frame + weight * (np.array(TINT_BGR) - frame)
    inside = np.pad(mask >= 128, 1, mode="edge")
    centre, sides = inside[1:-1, 1:-1], (inside[:-2, 1:-1], inside[2:, 1:-1], inside[1:-1, :-2], inside[1:-1, 2:])
    out[centre & ~np.all(sides, 0)] = 255
    out[~centre & np.any(sides, 0) & (mask > 0)] = 20
    return out


@pytest.mark.parametrize("grey", [10, 128, 240])
def test_equals_its_slow_twin(grey):
    frame = np.full((60, 80, 3), grey, np.uint8)
    mask = stretched(edit_of_a_disc())
    expected = slow_draw(frame.astype(float), mask)
    EditView().draw(frame, edit_of_a_disc(), MATRIX)
    assert np.abs(frame - expected).max() <= 1
    assert (frame[mask == 0] == grey).all()
    colourful = np.ptp(frame[mask == 255].astype(int), axis=-1)
    assert np.median(colourful) > 60  # seen on every skin, and on white tape


def test_nothing_edited_is_nothing_drawn_and_a_crop_outside_is_no_error():
    frame = np.full((60, 80, 3), 99, np.uint8)
    view = EditView()
    view.draw(frame, np.zeros((SIZE, SIZE), np.uint8), MATRIX)
    view.draw(frame, edit_of_a_disc(), crop_from_pose(np.array([40.0, -900.0, np.log(40.0), 0.3]), SIZE))
    assert (frame == 99).all()


def test_frames_of_two_sizes():
    view = EditView()
    for shape in ((60, 80, 3), (48, 64, 3)):
        frame = np.zeros(shape, np.uint8)
        view.draw(frame, edit_of_a_disc(), MATRIX)
        assert (frame == 255).all(-1).any()


def test_what_does_not_fit_is_refused_in_one_sentence():
    with pytest.raises(BadInput, match="frame must be writable"):
        EditView().draw(np.zeros((60, 80), np.uint8), edit_of_a_disc(), MATRIX)
    with pytest.raises(BadInput, match="edit mask must be"):
        EditView().draw(np.zeros((60, 80, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), MATRIX)
