import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.crop import crop_from_pose
from engines.face.edit_paste import EditPaste, blend, border_mask

SIZE = 24
POSES = {
    "upright": (40.0, 30.0, np.log(36.0), 0.0),
    "turned": (37.3, 31.8, np.log(41.0), 0.6),
    "on its head": (40.0, 30.0, np.log(30.0), np.pi),
    "half outside": (70.0, -3.0, np.log(50.0), -0.3),
    "shrinking": (40.0, 30.0, np.log(15.0), 0.2),
    "wider than the frame": (40.0, 30.0, np.log(200.0), 0.1),
}


def between(plane, u, v):
    """Bilinear sample of a (size, size, channel) picture, float64."""
    x, y = int(np.floor(u)), int(np.floor(v))
    fx, fy = u - x, v - y
    top = (1 - fx) * plane[y, x] + fx * plane[y, x + 1]
    return (1 - fy) * top + fy * ((1 - fx) * plane[y + 1, x] + fx * plane[y + 1, x + 1])


def slow_lay(frame, colour, edit, matrix):
    """Every frame pixel in floats: premultiplied colour and mask, both stretched.  Also where the mask is not zero."""
    alpha = (edit / 255 * (border_mask(SIZE) / 255))[:, :, None]
    out, touched = frame.astype(float), np.zeros(frame.shape[:2], bool)
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            u, v = matrix[:, :2] @ (x, y) + matrix[:, 2]
            if 1e-3 <= u <= SIZE - 1 - 1e-3 and 1e-3 <= v <= SIZE - 1 - 1e-3:
                weight = between(alpha, u, v)
                out[y, x] = between(alpha * colour, u, v) + (1 - weight) * out[y, x]
                touched[y, x] = weight[0] > 0
    return out, touched


def smooth_picture(rng, height, width):
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3))
    return np.kron(coarse, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8)


def some_edit(rng):
    """Half of the crop untouched, the rest at every strength, full ones among them."""
    edit = rng.integers(0, 400, (SIZE, SIZE)).clip(0, 255)
    return np.where(rng.random((SIZE // 4, SIZE // 4)).repeat(4, 0).repeat(4, 1) < 0.5, 0, edit).astype(np.uint8)


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
def test_equals_its_slow_twin_and_leaves_every_other_bit(pose):
    rng = np.random.default_rng(5)
    frame, colour, edit = smooth_picture(rng, 60, 80), smooth_picture(rng, SIZE, SIZE), some_edit(rng)
    matrix, before = crop_from_pose(np.array(pose), SIZE), frame.copy()
    expected, touched = slow_lay(frame, colour, edit, matrix)
    EditPaste(SIZE).lay(frame, colour, edit, matrix)
    assert np.abs(frame - expected).max() <= 3  # 8-bit positions: a step of 255 is cut 256 times
    assert np.abs(frame - expected).mean() < 0.3
    np.testing.assert_array_equal(frame[~touched], before[~touched])
    assert (frame[touched] != before[touched]).any() or not touched.any()


def test_full_edit_is_the_colour_exactly_and_no_edit_the_frame():
    rng = np.random.default_rng(6)
    matrix = crop_from_pose(np.array(POSES["upright"]), SIZE)
    for grey in (0, 1, 127, 254, 255):
        frame = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
        before, colour = frame.copy(), np.full((SIZE, SIZE, 3), grey, np.uint8)
        paste = EditPaste(SIZE)
        paste.lay(frame, colour, np.zeros((SIZE, SIZE), np.uint8), matrix)
        np.testing.assert_array_equal(frame, before)
        paste.lay(frame, colour, np.full((SIZE, SIZE), 255, np.uint8), matrix)
        assert (frame[16:44, 26:54] == grey).all()


def test_a_colour_without_weight_does_not_bleed_over_the_masks_border():
    """Left half: edited to skin. Right half: not edited, its colour means nothing and is glaring."""
    skin, frame = np.full(3, 120, np.uint8), np.full((60, 80, 3), 120, np.uint8)
    colour = np.full((SIZE, SIZE, 3), 255, np.uint8)
    edit = np.zeros((SIZE, SIZE), np.uint8)
    colour[:, :12], edit[:, :12] = skin, 255
    EditPaste(SIZE).lay(frame, colour, edit, crop_from_pose(np.array((40.0, 30.0, np.log(50.0), 0.0)), SIZE))
    assert np.abs(frame.astype(int) - 120).max() <= 1


def test_the_crops_border_fades():
    mask = border_mask(64, 0.1)
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
    assert mask[8:-8, 8:-8].min() == 255
    assert np.abs(np.diff(mask.astype(int), axis=0)).max() < 80
    np.testing.assert_array_equal(mask, mask[::-1, ::-1].T)


@pytest.mark.parametrize("centre", [(-500.0, 30.0), (40.0, 900.0)])
def test_a_crop_outside_the_frame_changes_nothing(centre):
    frame = np.full((60, 80, 3), 17, np.uint8)
    matrix = crop_from_pose(np.array([*centre, np.log(36.0), 0.2]), SIZE)
    EditPaste(SIZE).lay(frame, np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE), 255, np.uint8), matrix)
    assert (frame == 17).all()


def test_one_paste_is_used_for_many_frames():
    """What lay in the crop before leaves no trace."""
    rng = np.random.default_rng(7)
    matrix, paste = crop_from_pose(np.array(POSES["turned"]), SIZE), EditPaste(SIZE)
    frame = smooth_picture(rng, 60, 80)
    paste.lay(frame.copy(), smooth_picture(rng, SIZE, SIZE), np.full((SIZE, SIZE), 255, np.uint8), matrix)
    again, fresh = frame.copy(), frame.copy()
    colour, edit = smooth_picture(rng, SIZE, SIZE), some_edit(rng)
    paste.lay(again, colour, edit, matrix)
    EditPaste(SIZE).lay(fresh, colour, edit, matrix)
    np.testing.assert_array_equal(again, fresh)


def test_blend_equals_its_slow_twin():
    rng = np.random.default_rng(8)
    face, colour = (rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8) for _ in range(2))
    edit = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    edit[:4], edit[4:8] = 0, 255
    for array in (face, colour, edit):
        array.flags.writeable = False  # as from another process
    out = np.zeros_like(face)
    assert blend(face, colour, edit, out) is out
    weight = edit[:, :, None] / 255
    np.testing.assert_array_equal(out, np.rint(weight * colour + (1 - weight) * face))
    np.testing.assert_array_equal(out[:4], face[:4])


GOOD = {
    "frame": np.zeros((60, 80, 3), np.uint8),
    "colour": np.zeros((SIZE, SIZE, 3), np.uint8),
    "edit": np.zeros((SIZE, SIZE), np.uint8),
    "crop_from_frame": np.eye(2, 3),
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": np.zeros((60, 80), np.uint8)}, r"must be \(height, width, 3\) uint8"),
        ({"frame": np.zeros((60, 160, 3), np.uint8)[:, ::2]}, "give a writable, contiguous copy"),
        (
            {"colour": np.zeros((SIZE, SIZE, 3), np.float32)},
            r"colour must be contiguous uint8 \(24, 24, 3\), found flo",
        ),
        (
            {"edit": np.zeros((SIZE, 12), np.uint8)},
            r"edit mask must be contiguous uint8 \(24, 24\), found uint8 \(24, 1",
        ),
        ({"crop_from_frame": np.full((2, 3), np.nan)}, "leave lost faces out"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        EditPaste(SIZE).lay(**{**GOOD, **change})


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(BadInput, match="size >= 8"):
        border_mask(4)
    with pytest.raises(BadInput, match="face and out must be contiguous"):
        blend(GOOD["colour"], GOOD["colour"], GOOD["edit"], np.zeros((12, 12, 3), np.uint8))
