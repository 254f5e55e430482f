from dataclasses import replace

import numpy as np
import pytest

from calibration.recipes.pixel_dense import DenseSettings, fit_dense, predict, refine_dense
from calibration.recipes.pixel_judge import copying, judge, mean, pixel_rr
from calibration.recipes.pixel_rr import PixelRRSettings
from engines.errors import BadInput


@pytest.fixture(scope="module")
def toys(toy_pairs):
    return toy_pairs(16, seed=0), toy_pairs(5, seed=1)


@pytest.fixture(scope="module")
def learned(toys):
    return fit_dense(toys[0], "toy")


def test_the_way_that_everybody_goes_is_found(toys, learned):
    pairs = toys[0]
    wanted = (pairs.target_px - pairs.neutral_px).mean(0)[:468] / pairs.size
    np.testing.assert_allclose(learned.way[:468], wanted, atol=1e-4)
    assert np.abs(learned.way[468:]).max() == 0
    assert np.abs(learned.way).max() == pytest.approx(0.04, rel=0.05)


def test_gain_and_bias_are_found_where_the_skin_moves_too(learned):
    inside = np.abs(learned.bias).max(2) > 0.9 * np.abs(learned.bias).max()
    assert inside.mean() > 0.05
    grey = 128.0
    change = learned.gain[inside] * grey + learned.bias[inside]
    np.testing.assert_allclose(change.mean(), (0.7 - 1) * grey + 60, atol=2.5)


def test_it_beats_copying_and_pixel_rr_on_people_never_seen(toys, learned):
    learn, unseen = toys
    ours = mean(judge(predict(learned, unseen), unseen))
    faithful = mean(judge(pixel_rr(PixelRRSettings(learn.size, intensity_scale="[0,1]"))(learn)(unseen), unseen))
    copied = mean(judge(copying()(learn)(unseen), unseen))
    assert ours.psnr_face > faithful.psnr_face + 0.4  # though toys change colour beside the face too, where it ends
    assert ours.psnr_face > copied.psnr_face + 5


def test_the_way_depends_on_the_shape_where_the_people_show_it(toys):
    """Wide faces go twice as far: with modes this is learned, without it is not."""
    pairs = toys[0]
    size = np.linspace(-1, 1, len(pairs.people), dtype=np.float32)[:, None, None]
    middle = pairs.neutral_px.mean(1, keepdims=True)
    wide = (pairs.neutral_px - middle) * np.array([1, 0], np.float32)
    pairs = type(pairs)(
        pairs.people,
        pairs.neutral,
        pairs.target,
        pairs.neutral_px + 0.08 * size * wide,
        pairs.target_px + 0.08 * size * wide + size * (pairs.target_px - pairs.neutral_px),
    )
    missed = []
    for modes in (0, 5):
        mesh = fit_dense(pairs, "toy", DenseSettings(modes=modes, lambda_shape=1e-4))
        ways = np.stack([mesh.moved((p + 0.5) / pairs.size)[1][:468] for p in pairs.neutral_px])
        missed.append(np.abs(ways * pairs.size - (pairs.target_px - pairs.neutral_px)[:, :468]).mean())
    assert missed[1] < 0.3 * missed[0]


def in_light(pairs, light):
    """The same toys in another light, with the recolouring of all toys."""
    target = (pairs.target.astype(float) - 60) * light + 60
    return replace(
        pairs,
        neutral=np.clip(pairs.neutral * light, 0, 255).astype(np.uint8),
        target=np.clip(target, 0, 255).astype(np.uint8),
    )


def test_a_person_who_moves_further_is_learned_from_a_frame(toy_pairs, learned):
    own = toy_pairs(1, seed=7, own_shift=0.03)
    others = in_light(own, 0.9)
    refined = refine_dense(learned, own)
    before, after = (mean(judge(predict(mesh, others), others)).psnr_face for mesh in (learned, refined))
    assert after > before + 0.5
    corner = refined.way[61, 1]
    assert learned.way[61, 1] > corner > -0.075  # towards the person's own, not beyond


def test_few_frames_move_the_map_less_than_many(toy_pairs, learned):
    many = toy_pairs(8, seed=9, own_shift=0.03)
    ways = [refine_dense(learned, many.of(many.people[:count])).way[61, 1] for count in (1, 3, 8)]
    assert learned.way[61, 1] > ways[0] > ways[1] > ways[2]


def test_what_cannot_be_learned_from_is_refused(toy_pairs, learned):
    with pytest.raises(BadInput, match="3 pairs or more"):
        fit_dense(toy_pairs(2), "toy")
    with pytest.raises(BadInput, match="crop them alike"):
        refine_dense(learned, toy_pairs(1, 32))
