import math

import numpy as np
import pytest

from calibration.metrics.expression import Reading
from calibration.metrics.frechet import frechet_distance
from calibration.peers import Inpainting
from calibration.regions import face_oval, regions_of
from calibration.restoration import (
    ATTACHED,
    BEST_DB,
    WITHOUT,
    Attached,
    Inpainted,
    Removed,
    Sample,
    Scores,
    measure,
    over_people,
    score,
    table_of,
)
from engines.face.edit_paste import EditPaste

SIDE = 48


def sample(seed=0, person="a", reading=None, truth=None):
    """Noisy skin with a white square, and a shadow beside it."""
    rng = np.random.default_rng(seed)
    clean = np.clip(rng.normal((120, 150, 190), 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    covered, mask = clean.copy(), np.zeros((SIDE, SIDE), np.uint8)
    covered[18:28, 14:24], mask[18:28, 14:24] = 240, 255
    covered[18:28, 24:28] -= 20
    regions = regions_of(covered, clean, mask, face_oval((SIDE, SIDE), None))
    return Sample(person, "test", 1, covered, clean, mask, regions, reading, truth)


class Reader:
    """Reads the mean level as every blendshape; sees no face in bright pictures."""

    def read(self, picture):
        level = picture.mean() / 255
        return None if level > 0.9 else Reading(np.full(52, level, np.float32), np.zeros((478, 2), np.float32))


def test_the_truth_itself_cannot_be_beaten():
    one = sample()
    found = measure(one.clean, one, None)
    regions = ("face", "covered", "shaded", "untouched")
    assert found.pop("gmsd") == found.pop("mdsi") == 0
    assert {found.pop(f"psnr_{name}") for name in (*regions, "kept")} == {BEST_DB}
    assert [found.pop(f"ssim_{name}") for name in regions] == pytest.approx([1] * 4)
    assert found == {}


def test_each_region_sees_its_own_error():
    one = sample()
    found = measure(one.covered, one, None)
    assert found["psnr_untouched"] == BEST_DB
    assert found["psnr_shaded"] == pytest.approx(20 * math.log10(255 / 20))
    wrong = (one.covered.astype(float) - one.clean)[18:28, 14:24]
    assert found["psnr_covered"] == pytest.approx(10 * math.log10(255**2 / (wrong**2).mean()))
    assert found["psnr_covered"] < found["psnr_face"] < found["psnr_shaded"]


def test_what_is_kept_is_held_against_the_picture_with_electrodes():
    one = sample()
    noisy = one._replace(covered=np.clip(one.covered.astype(int) - 1, 0, 255).astype(np.uint8))
    found = measure(noisy.covered, noisy, None)
    assert found["psnr_kept"] == BEST_DB
    assert found["psnr_untouched"] == pytest.approx(20 * math.log10(255))


def test_a_region_that_is_not_there_is_no_number():
    one = sample()
    bare = one._replace(regions=one.regions._replace(covered=np.zeros((SIDE, SIDE), bool)))
    assert math.isnan(measure(one.clean, bare, None)["psnr_covered"])


def test_expressions_are_compared_with_the_clean_picture_and_with_the_truth():
    reading = Reading(np.full(52, 0.25, np.float32), np.zeros((478, 2), np.float32))
    one = sample(reading=reading, truth=np.full(52, 0.5))
    dark = np.full((SIDE, SIDE, 3), 51, np.uint8)
    found = measure(dark, one, Reader())
    assert found["expression"] == pytest.approx(0.05)
    assert found["expression_truth"] == pytest.approx(0.3)
    assert found["face_found"] == 1
    lost = measure(np.full_like(dark, 255), one, Reader())
    assert math.isnan(lost["expression"])
    assert math.isnan(lost["expression_truth"])
    assert lost["face_found"] == 0
    unseen = measure(dark, one._replace(reading=None, truth=None), Reader())
    assert math.isnan(unseen["expression"])
    assert "expression_truth" not in unseen


def test_the_mean_is_over_pictures_and_the_spread_over_people():
    found = over_people([1.0, 3.0, 8.0, math.nan], ["a", "a", "b", "b"])
    assert found.mean == 4
    assert found.sd == pytest.approx(np.std([2, 8], ddof=1))
    assert found.pictures == 3
    assert over_people([5.0, 7.0], ["a", "a"]).sd is None
    assert over_people([math.nan], ["a"]) is None


def test_all_ways_get_the_same_pictures():
    samples = [sample(seed, person) for seed, person in enumerate("aabb")]
    done = []
    scores = score(samples, [Attached(), Inpainted(Inpainting("telea", 0, 0.06))], None, lambda: done.append(1))
    assert len(done) == 4
    rows = table_of(scores)
    assert list(rows) == [WITHOUT, ATTACHED, "Telea, true mask"]
    assert all(row["psnr_covered"].pictures == 4 for name, row in rows.items() if name != WITHOUT)
    assert rows["Telea, true mask"]["psnr_covered"].mean > rows[ATTACHED]["psnr_covered"].mean + 5
    assert rows["Telea, true mask"]["psnr_untouched"].mean == BEST_DB
    assert rows["Telea, true mask"]["psnr_shaded"] == rows[ATTACHED]["psnr_shaded"]  # the mask does not name shadows
    assert rows["Telea, true mask"]["frechet"].mean < rows[ATTACHED]["frechet"].mean
    assert "frechet" not in rows[WITHOUT]


def test_recordings_say_how_far_apart_chance_puts_two_sets():
    scores = {WITHOUT: Scores(), ATTACHED: Scores()}
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (8, 3))
    for k, vector in enumerate(vectors):
        scores[WITHOUT].add(f"p{k}", {}, vector)
        scores[ATTACHED].add(f"p{k}", {}, vector + 5)
    rows = table_of(scores, paired=False)
    assert rows[WITHOUT]["frechet"].mean == pytest.approx(frechet_distance(vectors[::2], vectors[1::2]))
    assert rows[ATTACHED]["frechet"].mean == pytest.approx(75)


class Restorer:
    """Paints one colour into a square; its arrays are written over by the next call but one, as the real one's are."""

    size = 32

    def __init__(self):
        self.colour = np.full((32, 32, 3), (10, 20, 30), np.uint8)
        self.given = np.zeros((32, 32), np.uint8)
        self.given[10:20, 10:20] = 255

    def run(self, face, follows=False):
        self.followed = follows
        self.restored = np.where(self.given[:, :, None] > 0, self.colour, face).astype(np.uint8)
        return self.restored, self.colour, self.given


def test_a_bundle_is_run_and_pasted_as_live_does_it():
    rng = np.random.default_rng(1)
    crop, frame = rng.integers(0, 256, (32, 32, 3), np.uint8), rng.integers(0, 256, (80, 90, 3), np.uint8)
    restorer = Restorer()
    way = Removed("mine", restorer, has_edit=True)
    mask = np.zeros((32, 32), np.uint8)
    found = way.crop(crop, mask)
    restorer.restored[:] = 0
    assert (found[12:18, 12:18] == (10, 20, 30)).all()
    assert (found[:9] == crop[:9]).all()
    assert (way.edit(crop) == restorer.given).all()
    matrix = np.array([[0.5, 0, -4], [0, 0.5, -2]])
    wanted = frame.copy()
    EditPaste(32).lay(wanted, restorer.colour, restorer.given, matrix)
    before = frame.copy()
    assert (way.frame(frame, mask, crop, matrix) == wanted).all()
    assert (frame == before).all()
    assert not restorer.followed
    way.frame(frame, mask, crop, matrix)
    assert restorer.followed
    way.restart()
    way.frame(frame, mask, crop, matrix)
    assert not restorer.followed


def test_a_network_without_an_edit_mask_shows_its_change():
    way = Removed("whole", Restorer(), has_edit=False)
    face = np.full((32, 32, 3), (13, 20, 30), np.uint8)
    shown = way.edit(face)
    assert (shown[12:18, 12:18] == 4 * 3).all()
    assert (shown[:9] == 0).all()
