import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.crop import crop_from_pose
from engines.face.paste import Paste, edge_mask

SIZE = 24


def between(picture, u, v):
    """Bilinear sample of a (size, size, channel) picture, float64."""
    x, y = int(np.floor(u)), int(np.floor(v))
    fx, fy = u - x, v - y
    top = (1 - fx) * picture[y, x] + fx * picture[y, x + 1]
    return (1 - fy) * top + fy * ((1 - fx) * picture[y + 1, x] + fx * picture[y + 1, x + 1])


def slow_paste(frame, matrix, mask, face=None, change=None):
    """Every frame pixel, in floats: look up the crop, blend by the mask or add the masked change."""
    out = frame.astype(float)
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            u, v = matrix[:, :2] @ (x, y) + matrix[:, 2]
            if not (1e-3 <= u <= SIZE - 1 - 1e-3 and 1e-3 <= v <= SIZE - 1 - 1e-3):
                continue
            if change is None:
                w = between(mask[:, :, None] / 255, u, v)
                out[y, x] = w * between(face, u, v) + (1 - w) * out[y, x]
            else:
                out[y, x] += between(mask[:, :, None] / 255 * change, u, v)
    return np.clip(out, 0, 255)


def smooth_picture(rng, height, width):
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3))
    return np.kron(coarse, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8)


POSES = {
    "upright": (40.0, 30.0, np.log(36.0), 0.0),
    "turned": (37.3, 31.8, np.log(41.0), 0.6),
    "on its head": (40.0, 30.0, np.log(30.0), np.pi),
    "half outside": (70.0, -3.0, np.log(50.0), -0.3),
    "shrinking": (40.0, 30.0, np.log(15.0), 0.2),
    "wider than the frame": (40.0, 30.0, np.log(200.0), 0.1),
}


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_replace_equals_its_slow_twin(pose, weighted):
    rng = np.random.default_rng(5)
    frame, face = smooth_picture(rng, 60, 80), smooth_picture(rng, SIZE, SIZE)
    weights = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8) if weighted else None
    paste, matrix = Paste(SIZE), crop_from_pose(np.array(pose), SIZE)
    mask = edge_mask(SIZE) * (weights / 255.0 if weighted else 1.0)
    expected = slow_paste(frame, matrix, mask, face=face.astype(float))
    paste.replace(frame, face, matrix, weights)
    assert np.abs(frame - expected).max() <= 4  # 8-bit weights and positions
    assert np.abs(frame - expected).mean() < 0.5


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
def test_add_change_equals_its_slow_twin(pose):
    rng = np.random.default_rng(6)
    frame, before, after = smooth_picture(rng, 60, 80), smooth_picture(rng, SIZE, SIZE), smooth_picture(rng, SIZE, SIZE)
    matrix = crop_from_pose(np.array(pose), SIZE)
    expected = slow_paste(frame, matrix, edge_mask(SIZE), change=after.astype(float) - before)
    Paste(SIZE).add_change(frame, before, after, matrix)
    assert np.abs(frame - expected).max() <= 8  # 7-bit positions over steps of up to 510
    assert np.abs(frame - expected).mean() < 0.5


def test_no_change_leaves_every_bit():
    rng = np.random.default_rng(7)
    frame, face = smooth_picture(rng, 60, 80), smooth_picture(rng, SIZE, SIZE)
    untouched = frame.copy()
    Paste(SIZE).add_change(frame, face, face, crop_from_pose(np.array(POSES["turned"]), SIZE))
    np.testing.assert_array_equal(frame, untouched)


def test_a_weight_of_zero_leaves_every_bit_and_full_weight_is_the_face_exactly():
    frame = np.full((60, 80, 3), 17, np.uint8)
    paste, matrix = Paste(SIZE), crop_from_pose(np.array(POSES["upright"]), SIZE)
    face = np.full((SIZE, SIZE, 3), 255, np.uint8)
    paste.replace(frame, face, matrix, np.zeros((SIZE, SIZE), np.uint8))
    assert (frame == 17).all()
    paste.replace(frame, face, matrix)
    assert (frame[28:32, 38:42] == 255).all()


def test_nothing_outside_the_crop_is_touched():
    frame = np.full((60, 80, 3), 17, np.uint8)
    Paste(SIZE).replace(frame, np.zeros((SIZE, SIZE, 3), np.uint8), crop_from_pose(np.array(POSES["upright"]), SIZE))
    inside = np.zeros((60, 80), bool)
    inside[12:49, 22:59] = True
    assert (frame[~inside] == 17).all()
    assert (frame[inside] != 17).any()


@pytest.mark.parametrize("centre", [(-500.0, 30.0), (40.0, 900.0)])
def test_a_crop_outside_the_frame_changes_nothing(centre):
    frame = np.full((60, 80, 3), 17, np.uint8)
    matrix = crop_from_pose(np.array([*centre, np.log(36.0), 0.2]), SIZE)
    Paste(SIZE).replace(frame, np.zeros((SIZE, SIZE, 3), np.uint8), matrix)
    assert (frame == 17).all()


def test_edge_mask_is_soft_and_hides_the_border():
    mask = edge_mask(64)
    assert mask[31:33, 31:33].min() == 255
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
    assert np.abs(np.diff(mask.astype(int), axis=0)).max() < 64
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": np.zeros((60, 80), np.uint8)}, "frame"),
        ({"frame": np.zeros((60, 160, 3), np.uint8)[:, ::2]}, "contiguous"),
        ({"face": np.zeros((SIZE, SIZE, 3), np.float32)}, "face"),
        ({"face": np.zeros((SIZE + 1, SIZE, 3), np.uint8)}, "face"),
        ({"weights": np.zeros((SIZE, SIZE, 3), np.uint8)}, "weight map"),
        ({"crop_from_frame": np.full((2, 3), np.nan)}, "finite"),
    ],
)
def test_the_door_refuses_what_does_not_fit(change, sentence):
    good = {
        "frame": np.zeros((60, 80, 3), np.uint8),
        "face": np.zeros((SIZE, SIZE, 3), np.uint8),
        "crop_from_frame": crop_from_pose(np.array(POSES["upright"]), SIZE),
    }
    with pytest.raises(BadInput, match=sentence):
        Paste(SIZE).replace(**{**good, **change})


def test_a_read_only_frame_is_refused():
    frame = np.zeros((60, 80, 3), np.uint8)
    frame.flags.writeable = False
    with pytest.raises(BadInput, match="writable"):
        Paste(SIZE).replace(frame, np.zeros((SIZE, SIZE, 3), np.uint8), np.eye(2, 3))
