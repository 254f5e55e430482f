import numpy as np
import pytest
from scipy.ndimage import maximum_filter, uniform_filter

torch = pytest.importorskip("torch")

from calibration.losses.removal import colour_loss, covered_loss, edit_loss, face_loss, grown  # noqa: E402


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


def naive_edit_loss(edit, covered, clean, mask):
    change = np.abs(covered - clean).max(1, keepdims=True) * 127.5
    change = uniform_filter(change, (1, 1, 3, 3), mode="constant")  # as avg_pool2d: zeros around, counted
    near = maximum_filter((mask > 0.05).astype(float), (1, 1, 5, 5), mode="constant")
    wanted = np.maximum(near * np.clip((change - 4) / 12, 0, 1), mask)
    edit = np.clip(edit, 1e-4, 1 - 1e-4)
    entropy = -(wanted * np.log(edit) + (1 - wanted) * np.log(1 - edit))
    around = maximum_filter((mask > 0.05).astype(float), (1, 1, 13, 13), mode="constant") * (mask <= 0.05)
    return (entropy * np.where(around > 0, 0.3, 1.0)).mean()


def test_the_edit_mask_is_asked_for_electrodes_and_their_shadows(pair):
    edit = np.random.default_rng(1).uniform(0, 1, pair[2].shape).astype(np.float32)
    found = edit_loss(*tensors(edit, *pair)).item()
    assert found == pytest.approx(naive_edit_loss(edit, *pair), rel=1e-4)


def test_the_right_mask_is_cheapest(pair):
    mask = pair[2]
    costs = [edit_loss(*tensors(edit.astype(np.float32), *pair)).item() for edit in (mask, 0 * mask, 1 + 0 * mask)]
    assert costs[0] == min(costs)
