import numpy as np
import pytest

from calibration.colour_shift import ColourShift, shifted
from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter
from calibration.restoration_samples import before_other_cameras, check_size, cut_out, spread, still_samples
from engines.errors import BadInput


def make_set(folder, size=36, paired=True, people=4, each=2):
    rng = np.random.default_rng(0)
    about = {"synthetic": paired, "origin": "noise", "licence": "CC0", "seed": 0}
    count = people * each
    with FaceSetWriter(folder, size, count, count, paired, about) as faces:
        for i in range(count):
            split = "test" if i // each == 1 else "train"
            row = FaceRow(f"p{i // each}", "cohort" if paired else "mmm", f"{i // each + 1:03d}", i, split)
            clean = rng.integers(60, 200, (size, size, 3), np.uint8)
            mask = np.zeros((size, size), np.uint8)
            mask[12:20, 12:20] = 255
            faces.add(row, np.where(mask[..., None], 250, clean).astype(np.uint8), clean, mask if paired else None)
    return FaceSet.open(folder)


def test_the_middle_is_what_training_cuts_and_the_whole_is_made_smaller():
    picture = np.random.default_rng(0).integers(0, 256, (36, 36, 3), np.uint8)
    assert (cut_out(picture, 32, "middle") == picture[2:34, 2:34]).all()
    assert (cut_out(picture, 36, "middle") == picture).all()
    averaged = picture.reshape(18, 2, 18, 2, 3).mean((1, 3))
    assert np.abs(cut_out(picture, 18, "whole") - averaged).max() <= 0.5
    assert cut_out(picture[..., 0], 16, "middle").shape == (16, 16)  # 36 px are shrunk to 18 first


def test_spread():
    assert spread(5, 9) == [0, 1, 2, 3, 4]
    assert spread(9, 3) == [0, 4, 8]
    assert spread(0, 3) == []


def test_samples_are_the_sets_pictures_with_person_split_and_fold(tmp_path):
    faces = make_set(tmp_path / "faces").select(split="test")
    samples = list(still_samples(faces, 32, "middle", 10, None))
    assert [(one.person, one.split, one.fold) for one in samples] == [("p1", "test", 1)] * 2
    assert (samples[1].covered == faces.covered[3, 2:34, 2:34]).all()
    assert (samples[1].clean == faces.clean[3, 2:34, 2:34]).all()
    assert samples[0].regions.covered[10:18, 10:18].all()
    assert samples[0].regions.covered.sum() == 64
    assert samples[0].reading is None


def test_other_cameras_leave_the_regions_and_see_every_picture_differently(tmp_path):
    samples = list(still_samples(make_set(tmp_path / "faces"), 32, "middle", 3, None))
    altered = list(before_other_cameras(samples, 7, None))
    for number, (one, other) in enumerate(zip(samples, altered, strict=True)):
        wanted = shifted(one.covered, one.clean, ColourShift.draw(7, number))
        assert (other.covered == wanted[0]).all()
        assert (other.clean == wanted[1]).all()
        assert other.regions is one.regions


def test_what_does_not_fit_is_one_sentence(tmp_path):
    faces = make_set(tmp_path / "faces")
    check_size(faces, 32, "mine")
    with pytest.raises(BadInput, match=r"mine works on 64 px .* 36 px: make a set of 72 px"):
        check_size(faces, 64, "mine")
    with pytest.raises(BadInput, match="nobody knows"):
        next(still_samples(make_set(tmp_path / "real", paired=False), 32, "middle", 3, None))
