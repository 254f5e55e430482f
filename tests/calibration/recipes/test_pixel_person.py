"""A map refined on one person: nearer to that person, away from the population by as much as frames allow."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sitter import Sitter

from calibration.recipes.pixel_dense import RefineSettings
from calibration.recipes.pixel_person import Shot, learn_person, pairs_of, write_person
from engines.errors import BadInput
from engines.face.pixel_mesh import MESH, load_pixel_mesh
from engines.shipped import bundle_folder


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


def shot(sitter, amount, shift_px=0.0):
    image = np.ascontiguousarray(sitter.frame(0.0, amount).image[10:266, 20:276])
    moved = np.roll(image, round(shift_px), axis=1)
    return Shot(moved, (sitter.shares(amount) * 256 - 0.5 + (shift_px, 0)).astype(np.float32))


@pytest.fixture(scope="module")
def learned(sitter):
    rests, shown = [shot(sitter, 0.0)] * 4, [shot(sitter, 1.0)] * 4
    pairs = pairs_of(rests, shown, sitter.population)
    return learn_person(sitter.population, pairs, pairs)


def test_the_way_goes_towards_the_persons_own_by_the_share_that_the_equation_says(sitter, learned):
    before, own, found = sitter.population.way, sitter.own.way, learned.own.way
    share = 4 / (4 + RefineSettings().prior_shape)
    corner = np.abs(own - before).sum(1).argmax()
    np.testing.assert_allclose((found - before)[corner], share * (own - before)[corner], rtol=0.15)


def test_it_is_nearer_to_the_person_than_the_population_is(learned):
    assert learned.after_db > learned.before_db + 1
    assert learned.frames == 4


def test_a_head_that_moved_between_the_frames_teaches_no_movement(sitter, learned):
    pairs = pairs_of([shot(sitter, 0.0)], [shot(sitter, 1.0, shift_px=8)], sitter.population)
    still = pairs_of([shot(sitter, 0.0)], [shot(sitter, 1.0)], sitter.population)
    moved_px = np.abs(pairs.target_px[:, :MESH] - still.target_px[:, :MESH]).mean()
    assert moved_px < 0.25 * 4  # 8 px of the picture are 4 of the pair's
    off = np.abs(pairs.target.astype(int) - still.target)[:, 40:100, 40:90].mean()
    assert off < 12


def test_frames_of_another_size_are_made_to_fit(sitter):
    pairs = pairs_of([shot(sitter, 0.0)], [shot(sitter, 1.0)], sitter.population)
    assert pairs.size == sitter.population.side == 128
    np.testing.assert_allclose((pairs.neutral_px[0] + 0.5) / 128, sitter.shares(0.0), atol=1e-5)


def test_without_other_frames_nothing_is_claimed(sitter):
    pairs = pairs_of([shot(sitter, 0.0)], [shot(sitter, 1.0)], sitter.population)
    assert np.isnan(learn_person(sitter.population, pairs, None).after_db)


def test_the_bundle_is_private_says_whose_it_is_and_holds_no_picture(tmp_path, sitter, learned):
    out = tmp_path / "P01" / "pixel-smile-open"
    write_person(learned, bundle_folder("pixel-smile-open"), out, "P01", synthetic=True)
    assert out.parent.stat().st_mode & 0o777 == out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert {path.name for path in out.iterdir()} == {"manifest.json", "weights.safetensors"}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["training"]["synthetic"]
    assert manifest["sizes"]["subject"] == "P01"
    assert manifest["sizes"]["population"] == "pixel-smile-open"
    assert set(manifest["metrics"]) == {"psnr_population", "psnr"}
    stored = load_pixel_mesh(out)
    np.testing.assert_array_equal(stored.way, learned.own.way)  # what was judged is what is stored
    np.testing.assert_array_equal(stored.bias, learned.own.bias)
    write_person(replace(learned, after_db=float("nan")), bundle_folder("pixel-smile-open"), out, "P01", True)
    assert set(json.loads((out / "manifest.json").read_text())["metrics"]) == {"psnr_population"}


def test_no_pair_is_refused(sitter):
    with pytest.raises(BadInput, match="in pairs"):
        pairs_of([shot(sitter, 0.0)], [], sitter.population)
