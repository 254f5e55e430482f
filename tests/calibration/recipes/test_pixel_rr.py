import numpy as np
import pytest

from calibration.recipes.pixel_rr import PixelRRSettings, evaluate, fit, main, make_bundle, psnr_db
from engines.errors import BadInput
from engines.face.pixel_map import load_pixel_map


def eq_6_for_one_pixel(x, t, lambda_):
    """The paper's 2 x 2 system for one pixel's row vectors, as printed."""
    left = np.array([[x @ x + lambda_, x.sum()], [x.sum(), len(x) + lambda_]])
    return np.linalg.solve(left, np.array([t @ x, t.sum()]))


@pytest.mark.parametrize(("scale", "white"), [("[0,1]", 1.0), ("[0,255]", 255.0)])
@pytest.mark.parametrize("lambda_", [0.4, 30.0])
def test_equals_eq_6_pixel_by_pixel(scale, white, lambda_):
    rng = np.random.default_rng(0)
    neutral, target = rng.integers(0, 256, (2, 9, 3, 3, 3)).astype(np.uint8)
    found = fit(neutral, target, PixelRRSettings(3, lambda_, scale))
    for place in np.ndindex(3, 3, 3):
        x, t = (white / 255 * p[:, *place].astype(float) for p in (neutral, target))
        np.testing.assert_allclose([found.gain[place], found.bias[place]], eq_6_for_one_pixel(x, t, lambda_), rtol=1e-4)


def test_finds_a_linear_map_and_lambda_depends_on_the_scale():
    rng = np.random.default_rng(1)
    neutral = rng.integers(0, 200, (40, 4, 4, 3)).astype(np.uint8)
    target = np.rint(0.8 * neutral + 30).astype(np.uint8)
    sharp = fit(neutral, target, PixelRRSettings(4, 0.4, "[0,255]"))
    np.testing.assert_allclose(sharp.gain, 0.8, atol=0.02)
    np.testing.assert_allclose(sharp.bias, 30, atol=2.5)  # lambda pulls it a little to zero
    shrunk = fit(neutral, target, PixelRRSettings(4, 0.4, "[0,1]"))
    assert np.abs(shrunk.gain - 0.8).mean() > 3 * np.abs(sharp.gain - 0.8).mean()


def test_constant_pixels_are_solved_too():
    black = np.zeros((5, 2, 2, 3), np.uint8)
    pixel_map = fit(black, black + 100, PixelRRSettings(2))
    np.testing.assert_allclose(pixel_map.bias, 100 * 5 / 5.4, rtol=1e-5)  # lambda shrinks the bias as well


def test_refuses_pairs_that_do_not_match():
    faces = np.zeros((3, 4, 4, 3), np.uint8)
    for neutral, target in [(faces, faces[:2]), (faces[:0], faces[:0]), (faces[0], faces[0])]:
        with pytest.raises(BadInput, match="pairs"):
            fit(neutral, target)


def test_psnr_is_the_textbook_s():
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr_db(truth + 10, truth) == pytest.approx(20 * np.log10(25.5))


def synthetic_pairs(people, seed):
    rng = np.random.default_rng(seed)
    neutral = rng.integers(40, 200, (people, 16, 16, 3)).astype(np.uint8)
    return neutral, np.clip(0.9 * neutral + 25 + rng.normal(0, 2, neutral.shape), 0, 255).astype(np.uint8)


def test_the_bundle_holds_the_map_and_what_it_scored(tmp_path):
    settings = PixelRRSettings(size=16)
    unseen = synthetic_pairs(4, 3)
    manifest = make_bundle(synthetic_pairs(20, 2), unseen, settings, tmp_path)
    stored = load_pixel_map(tmp_path)
    assert (stored.size, stored.lambda_, stored.intensity_scale) == (16, 0.4, "[0,255]")
    metrics = evaluate(stored, unseen, "the same people")
    assert metrics["psnr"].value == manifest.metrics["psnr"].value
    assert metrics["psnr"].value > metrics["psnr_copying_input"].value + 10
    assert (manifest.training.people, manifest.training.licence) == (20, "CC BY 4.0")


def test_a_folder_without_faces_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--model", str(tmp_path / "m"), "--out", str(tmp_path / "b")]) == 2
    assert "neutral/ID.jpg" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
