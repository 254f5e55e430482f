import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from engines.errors import BadInput
from engines.face.steady import Steady

SIZE = 24


def naive(pictures):
    """The filter in floats: pictures, (time, size, size, planes), of which all share one gain per pixel."""
    out, last = [pictures[0]], pictures[0].astype(float)
    for now in pictures[1:]:
        change = np.abs(now - np.rint(last)).max(2)
        near = np.rint(uniform_filter(change, 5, mode="mirror"))  # cv2.blur: a byte, and mirrored at the border
        gain = 0.3 + 0.7 * np.clip((near - 2) / 8, 0, 1)
        last = last + gain[..., None] * (now - last)
        out.append(np.rint(last))
    return out


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    base = rng.integers(20, 230, (SIZE, SIZE, 4))
    moved = np.roll(base, 3, 1)
    moments = [base, base, base, moved, moved, moved]
    return [(m + rng.integers(-4, 5, m.shape)).astype(np.uint8) for m in moments]


def test_it_is_the_textbook_filter(clip):
    steady = Steady(SIZE)
    colours, edits = (naive([m[..., part] for m in clip]) for part in (slice(3), slice(3, 4)))
    for number, (moment, colour, edit) in enumerate(zip(clip, colours, edits, strict=True)):
        found = np.ascontiguousarray(moment[..., :3]), np.ascontiguousarray(moment[..., 3])
        (steady.follow if number else steady.begin)(*found)
        assert np.abs(found[0] - colour).max() <= 1
        assert np.abs(found[1] - edit[..., 0]).max() <= 1


def test_noise_is_calmed_and_a_movement_shows_at_once():
    rng = np.random.default_rng(1)
    steady, edit = Steady(SIZE), np.full((SIZE, SIZE), 255, np.uint8)
    still = [(120 + rng.integers(-2, 3, (SIZE, SIZE, 3))).astype(np.uint8) for _ in range(12)]
    steady.begin(still[0], edit)
    found = []
    for picture in still[1:]:
        found.append(picture.copy())
        steady.follow(found[-1], edit)
    assert np.std(found[-1].astype(float) - 120) < 0.7 * np.std(still[-1].astype(float) - 120)
    far = np.full((SIZE, SIZE, 3), 160, np.uint8)
    steady.follow(far, edit)
    assert (far == 160).all()


def test_what_is_not_edited_stays_exactly_so():
    steady, colour = Steady(SIZE), np.full((SIZE, SIZE, 3), 9, np.uint8)
    steady.begin(colour, np.full((SIZE, SIZE), 3, np.uint8))
    for _ in range(30):
        edit = np.zeros((SIZE, SIZE), np.uint8)
        steady.follow(colour, edit)
    assert (edit == 0).all()


def test_arrays_that_do_not_fit_are_refused():
    steady = Steady(SIZE)
    colour, edit = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    for wrong in ((colour[::2], edit), (colour, edit.astype(np.float32)), (colour[:, ::-1], edit)):
        with pytest.raises(BadInput, match=r"must be \(24, 24"):
            steady.follow(*wrong)
