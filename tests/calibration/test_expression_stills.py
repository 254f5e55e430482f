"""Sittings: nothing but the expression changes, splits are the cohort's, and the same seed gives the same faces."""

import numpy as np
import pytest

from calibration import expression_stills
from calibration.data.face_set import FaceSet
from calibration.expression_classes import classes_of
from calibration.expression_faces import LabelledFaces
from calibration.expression_stills import SittingSettings, expressions, main, make_sittings
from engines.errors import BadInput

SETTINGS = SittingSettings(people=6, sittings=1, movements=1, size=48, seed=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("sittings") / "faces"
    count = []
    with pytest.MonkeyPatch.context() as patch:  # two people are enough to look at
        patch.setattr(expression_stills, "plan_people", lambda settings, photos: PLAN(settings, photos)[:2])
        patch.setattr(SittingSettings, "count", 16)
        make_sittings(SETTINGS, sources, folder, count.append)
    assert sum(count) == 16
    return folder


PLAN = expression_stills.plan_people


def test_a_sitting_shows_neutral_and_six_emotions(made):
    faces = FaceSet.open(made)
    assert faces.paired
    assert faces.synthetic
    labelled = LabelledFaces.of(faces)
    assert labelled.sitting.tolist() == [0] * 8 + [1] * 8
    for first in (0, 8):
        assert classes_of(labelled.blendshapes[first : first + 7]).tolist() == list(range(7))


def test_only_the_face_moves(made):
    faces = FaceSet.open(made)
    clean = faces.clean.astype(int)
    for first in (0, 8):
        for other in range(first + 1, first + 7):
            change = np.abs(clean[other] - clean[first]).max(2)
            assert change[:4, :4].mean() < 3  # the wall
            assert change[20:44, 12:36].mean() > 3  # the face
        np.testing.assert_array_equal(faces.truth.pose[first], faces.truth.pose[first + 6])
        np.testing.assert_array_equal(faces.truth.identity[first], faces.truth.identity[first + 6])
    assert np.abs(clean[8] - clean[0]).mean() > 5  # somebody else


def test_electrodes_are_there_and_the_mask_says_where(made):
    faces = FaceSet.open(made)
    for covered, clean, mask in zip(faces.covered, faces.clean, faces.mask, strict=True):
        assert 0.02 < (mask > 127).mean() < 0.6
        assert np.abs(covered.astype(int) - clean)[mask > 200].mean() > 15


def test_expressions_follow_the_seed():
    one, other, another = (expressions(SETTINGS, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(one) == 8
    assert not one[0].any()
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one[1], another[1])
    assert all(0 <= each.min() <= each.max() <= 1 for each in one)


@pytest.mark.parametrize(("name", "value"), [("people", 5), ("sittings", 0), ("movements", 11), ("size", 20)])
def test_numbers_that_cannot_be(name, value):
    with pytest.raises(BadInput, match=f"{name} must be .*found {value}"):
        SittingSettings(**{name: value})


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "a"), "--people", "2"]) == 2
    assert "people must be 6 to 999, found 2" in capsys.readouterr().err
