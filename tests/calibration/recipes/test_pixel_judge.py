import numpy as np
import pytest

from calibration.recipes.pixel_judge import copying, cross_validate, judge, masked, mean, pixel_kr, pixel_rr
from calibration.recipes.pixel_kr import PixelKRSettings
from calibration.recipes.pixel_pairs import face_mask
from calibration.recipes.pixel_rr import PixelRRSettings


def test_a_score_is_the_textbook_s_inside_the_face(toy_pairs):
    pairs = toy_pairs(2, 48)
    mask = face_mask(pairs)
    found = pairs.target.copy()
    found[~mask] = 0  # what is beside the face does not count
    found[mask] = np.clip(found[mask].astype(int) + 10, 0, 255).astype(np.uint8)
    scores = judge(found, pairs)
    error = (found.astype(float) - pairs.target)[0][mask[0]]
    assert scores[0].psnr_face == pytest.approx(10 * np.log10(255**2 / (error**2).mean()))
    assert scores[0].psnr_whole < scores[0].psnr_face - 5
    assert mean(scores).psnr_face == pytest.approx((scores[0].psnr_face + scores[1].psnr_face) / 2)


@pytest.mark.parametrize(
    "method",
    [pixel_rr(PixelRRSettings()), pixel_kr(PixelKRSettings(lambda_=0.01)), masked(0.4, "[0,1]")],
    ids=["rr", "kr", "masked"],
)
def test_every_method_learns_the_colours_of_toys(toy_pairs, method):
    pairs = toy_pairs(12, 40)
    learn, unseen = pairs.split(3, 1)
    found = mean(judge(method(learn)(unseen), unseen)).psnr_face
    assert found > mean(judge(copying()(learn)(unseen), unseen)).psnr_face + 1


def test_everybody_is_judged_once_by_a_map_that_has_not_seen_them(toy_pairs):
    pairs, seen = toy_pairs(6, 32), []

    def method(learn):
        def predict(unseen):
            seen.append((set(learn.people), set(unseen.people)))
            return unseen.neutral

        return predict

    scores = cross_validate(method, pairs, 3, 0)
    assert len(scores) == 6
    assert all(not learn & unseen for learn, unseen in seen)
    assert set.union(*(unseen for _, unseen in seen)) == set(pairs.people)
