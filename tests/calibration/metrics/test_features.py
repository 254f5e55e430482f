import cv2
import numpy as np
import pytest

from calibration.metrics.features import COUNT, features
from engines.errors import BadInput


def test_a_flat_picture_has_a_colour_and_no_edges():
    found = features(np.full((64, 64, 3), (30, 90, 200), np.uint8))
    assert found.shape == (COUNT,) == (60,)
    assert np.allclose(found[:48], 0, atol=1e-9)
    y, cr, cb = cv2.cvtColor(np.full((1, 1, 3), (30, 90, 200), np.uint8), cv2.COLOR_BGR2YCrCb)[0, 0]
    assert found[48:].tolist() == [y] * 4 + [cr] * 4 + [cb] * 4


def test_directions_and_places_are_told_apart():
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[:, :32] = (2 * np.arange(32))[:, None]  # rises to the right in the left half only
    edges = features(ramp)[:48].reshape(3, 4, 2, 2)
    assert edges[0, 0, :, 0].min() > 10 * edges[0, 2, :, 0].max()  # across, not down
    inner = features(np.repeat(np.arange(128)[None, :, None], 128, 0).repeat(3, 2).astype(np.uint8))
    # a slope of 1 level per px, of 2 and 4 at the coarser scales, steered by the cosine
    strength = inner[:48].reshape(3, 4, 4).mean(2)
    assert strength[:, 0] == pytest.approx([1, 2, 4], rel=0.15)
    assert strength[0, 1] / strength[0, 0] == pytest.approx(np.cos(np.pi / 4), rel=0.01)


@pytest.mark.parametrize("shape", [(31, 64, 3), (64, 64), (64, 64, 4)])
def test_no_picture_is_refused(shape):
    with pytest.raises(BadInput, match="32 px"):
        features(np.zeros(shape, np.uint8))
