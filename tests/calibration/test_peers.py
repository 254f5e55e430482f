import cv2
import numpy as np
import pytest

from calibration.metrics.psnr import psnr_db
from calibration.peers import DILATIONS, METHODS, RADII, Inpainting, best_inpainting
from engines.errors import BadInput


def pair(seed=0, rim=0):
    """Smooth skin with white squares on it; rim: px around the squares that the mask does not name."""
    rng = np.random.default_rng(seed)
    clean = cv2.GaussianBlur(rng.integers(60, 200, (64, 64, 3), np.uint8), (0, 0), 6)
    covered, mask = clean.copy(), np.zeros((64, 64), np.uint8)
    for y, x in ((10, 12), (30, 40), (46, 16)):
        covered[y - rim : y + 6 + rim, x - rim : x + 6 + rim] = 250
        mask[y : y + 6, x : x + 6] = 255
    return covered, clean, mask


@pytest.mark.parametrize("method", METHODS)
def test_filled_skin_is_nearer_to_the_truth_and_the_rest_stays(method):
    covered, clean, mask = pair()
    found = Inpainting(method, 0, 0.03).fill(covered, mask)
    assert psnr_db(found, clean, mask > 0) > psnr_db(covered, clean, mask > 0) + 15
    assert (found[mask == 0] == covered[mask == 0]).all()


def test_opencv_is_called_with_what_was_chosen():
    covered, _, mask = pair()
    found = Inpainting("telea", 1 / 64, 3 / 64).fill(covered, mask)
    wider = cv2.dilate(mask, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))
    assert (found == cv2.inpaint(covered, wider, 3, cv2.INPAINT_TELEA)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_best_numbers_are_found(method):
    # A white rim beside the mask: growing it pays.  The square at the bottom is not skin and must not count.
    pairs = [(c, t, m, (m > 0) & (np.arange(64) < 40)[:, None]) for c, t, m in (pair(k, rim=1) for k in range(2))]
    best = best_inpainting(method, pairs)

    def quality(one):
        return np.mean([psnr_db(one.fill(c, m), t, skin) for c, t, m, skin in pairs])

    everything = [Inpainting(method, dilation, radius) for dilation in DILATIONS for radius in RADII]
    assert quality(best) == max(map(quality, everything))
    assert best.dilation * 64 >= 0.5


def test_what_cannot_work_is_refused():
    covered, clean, mask = pair()
    with pytest.raises(BadInput, match="as large as"):
        Inpainting("telea", 0, 0.03).fill(covered, mask[:9])
    with pytest.raises(BadInput, match="validation pictures"):
        best_inpainting("telea", [])
    with pytest.raises(BadInput, match="validation pictures"):
        best_inpainting("telea", [(covered, clean, mask, mask > 255)])
