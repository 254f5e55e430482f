import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter, uniform_filter

torch = pytest.importorskip("torch")

from calibration.losses.removal import (  # noqa: E402
    colour_loss,
    covered_loss,
    edit_loss,
    face_loss,
    grown,
    structure_loss,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    clean = rng.uniform(-1, 1, (2, 3, 24, 20)).astype(np.float32)
    mask = np.zeros((2, 1, 24, 20), np.float32)
    mask[0, 0, 4:9, 5:11] = 1
    mask[1, 0, 12:14, 3:17] = 0.5
    covered = clean * (1 - mask) + mask
    covered[:, :, :, 10:] = np.clip(covered[:, :, :, 10:] - 0.05, -1, 1)  # a shadow that falls far
    return covered, clean, mask


def tensors(*arrays):
    return (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)


def test_errors_count_where_electrodes_are(pair):
    covered, clean, mask = pair
    wanted = (np.abs(covered - clean) * mask).mean() / mask.mean()
    assert covered_loss(*tensors(covered, clean, mask)).item() == pytest.approx(wanted, rel=1e-5)
    assert face_loss(*tensors(covered, clean)).item() == pytest.approx(np.abs(covered - clean).mean(), rel=1e-5)


def test_a_picture_without_electrodes_costs_nothing_where_there_are_none(pair):
    covered, clean, mask = pair
    assert covered_loss(*tensors(covered, clean, 0 * mask)).item() == 0


def test_what_is_near_is_a_square(pair):
    wanted = maximum_filter((pair[2] > 0.05).astype(float), (1, 1, 5, 5), mode="constant")
    assert np.array_equal(grown(*tensors(pair[2]), 2).numpy(), wanted)


def test_colours_count_beside_electrodes_too(pair):
    covered, clean, mask = pair
    near = maximum_filter((mask > 0.05).astype(float), (1, 1, 5, 5), mode="constant")
    wanted = (np.abs(covered - clean) * near).mean() / near.mean()
    assert colour_loss(*tensors(covered, clean, mask)).item() == pytest.approx(wanted, rel=1e-5)


def naive_change(covered, clean, mask):
    change = np.abs(covered - clean).max(1, keepdims=True) * 127.5
    found = uniform_filter(change, (1, 1, 3, 3), mode="constant")  # as avg_pool2d: zeros around, counted
    height, width = mask.shape[2:]
    for n, y, x in np.argwhere(mask[:, 0] <= 0.05):
        window = slice(max(0, y - 1), min(height, y + 2)), slice(max(0, x - 1), min(width, x + 2))
        found[n, 0, y, x] = change[n, 0][window][mask[n, 0][window] <= 0.05].mean()
    return found


def naive_edit_loss(edit, covered, clean, mask):
    near = maximum_filter((mask > 0.05).astype(float), (1, 1, 5, 5), mode="constant")
    wanted = np.maximum(near * np.clip((naive_change(covered, clean, mask) - 4) / 12, 0, 1), mask)
    edit = np.clip(edit, 1e-4, 1 - 1e-4)
    return -(wanted * np.log(edit) + (1 - wanted) * np.log(1 - edit)).mean()


def test_skin_beside_an_electrode_is_left_alone():
    clean = np.zeros((1, 3, 16, 16), np.float32)
    mask = np.zeros((1, 1, 16, 16), np.float32)
    mask[..., 5:10, 5:10] = 1
    covered = clean + mask  # nothing but what is covered changes
    tight = edit_loss(*tensors(mask, covered, clean, mask)).item()
    wide = np.pad(np.ones((7, 7), np.float32), ((4, 5), (4, 5)))[None, None]
    assert tight < 1e-3 < edit_loss(*tensors(wide, covered, clean, mask)).item()


def naive_ssim(a, b):
    """Of one window of one colour, range 2."""
    c1, c2 = 0.02**2, 0.06**2
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
    return luminance * (2 * covariance + c2) / (a.var() + b.var() + c2)


def test_structure_is_the_known_measure(pair):
    covered, clean, _ = (array[:1, :, :12, :10] for array in pair)
    windows = (sliding_window_view(x.astype(float), (1, 1, 7, 7)).reshape(-1, 49) for x in (covered, clean))
    wanted = np.mean([naive_ssim(a, b) for a, b in zip(*windows, strict=True)])
    assert structure_loss(*tensors(covered, clean)).item() == pytest.approx(1 - wanted, abs=1e-4)
    assert structure_loss(*tensors(clean, clean)).item() == pytest.approx(0, abs=1e-5)


def test_the_edit_mask_is_asked_for_electrodes_and_their_shadows(pair):
    edit = np.random.default_rng(1).uniform(0, 1, pair[2].shape).astype(np.float32)
    found = edit_loss(*tensors(edit, *pair)).item()
    assert found == pytest.approx(naive_edit_loss(edit, *pair), rel=1e-4)


def test_the_right_mask_is_cheapest(pair):
    mask = pair[2]
    costs = [edit_loss(*tensors(edit.astype(np.float32), *pair)).item() for edit in (mask, 0 * mask, 1 + 0 * mask)]
    assert costs[0] == min(costs)
