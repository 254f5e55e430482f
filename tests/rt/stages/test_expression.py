"""Expressions are read beside the picture's way: at a stated rate, from the camera's own face, or not at all."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from tiny_networks import resealed, write_emg, write_encoder

from engines.face.crop import crop_from_pose, warp
from rt.errors import BadSettings
from rt.message import Crop, Face, Frame
from rt.stage import Context
from rt.stages.expression import ExpressionSettings, ExpressionStage, Rate

POSE = np.array([80.0, 60.0, np.log(70.0), 0.1])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("bundles") / "tiny")


def opened(bundle, **settings):
    found = ExpressionStage(ExpressionSettings(str(bundle), backend="torch", **settings), Context("expression"))
    found.open()
    return found


@pytest.fixture(scope="module")
def stage(bundle):
    found = opened(bundle)
    yield found
    found.close()


def frame(seq=3, size=128, seed=3, tracked=True, face=None):
    image = np.random.default_rng(seed).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    place = crop_from_pose(POSE, size).astype(np.float32)
    cut = warp(image, place.astype(np.float64), np.zeros((size, size, 3), np.uint8))
    for array in (image, cut):
        array.flags.writeable = False
    return Frame(seq, 10 + seq / 30, "device", image, face=face, crop=Crop(cut, place, tracked))


def said(stage, message):
    return [out for port, out in stage.process("picture", message) if port == "expression"]


def test_an_expression_of_every_picture_with_its_number_and_time(stage):
    [found] = said(stage, frame(7))
    assert (found.t, found.seq, found.profile, found.source) == (10 + 7 / 30, 7, "arkit52", "camera")
    assert found.values.shape == (52,)
    assert (found.values >= 0).all()
    assert (found.values <= 1).all()
    [other] = said(stage, frame(8, seed=4))
    assert np.abs(found.values - other.values).max() > 1e-4  # it depends on the picture
    facts = {"role": "expression", "backend": "torch", "bundle": "tiny", "precision": "fp32", "profile": "arkit52"}
    assert stage.context.facts.items() >= facts.items()


def test_the_face_is_cut_at_the_networks_own_size(stage):
    """Whatever size other networks want: the same face is read."""
    [own] = said(stage, frame(11, size=64))
    [larger] = said(stage, frame(12, size=128))
    np.testing.assert_allclose(larger.values, own.values, atol=0.02)


def test_where_no_face_is_followed_nothing_is_said(stage, bundle):
    assert said(stage, replace(frame(20), crop=None)) == []
    assert said(stage, frame(21, tracked=False)) == []
    untracked = opened(bundle, allow_untracked=True)
    assert len(said(untracked, frame(22, tracked=False))) == 1
    untracked.close()


def test_every_second_picture_also_when_some_are_missing(bundle):
    stage = opened(bundle, every=2)
    read = [seq for seq in (1, 2, 3, 4, 6, 8, 9, 10) if said(stage, frame(seq))]
    assert read == [1, 3, 6, 8, 10]
    assert said(stage, frame(0))  # numbers that begin anew
    stage.close()


def test_the_rate_is_measured_and_told(bundle):
    stage = opened(bundle)
    for seq in range(30):
        said(stage, frame(3 * seq))
    assert stage.context.facts["rate_hz"] == 10.0
    said(stage, replace(frame(90), crop=None))  # the face has just gone
    assert stage.context.facts["rate_hz"] == 10.0
    said(stage, replace(frame(180), crop=None))
    assert stage.context.facts["rate_hz"] == 0.0
    stage.close()


def test_a_rate_starts_anew_after_a_pause():
    rate = Rate(2.0)
    told = [rate.count(step / 10) for step in range(50)]
    assert sum(told) == 2
    assert rate.hz == pytest.approx(10)
    assert not rate.count(100.0)
    told = [rate.count(100 + step / 5) for step in range(1, 30)]
    assert sum(told) == 2
    assert rate.hz == pytest.approx(5)


def test_mediapipes_blendshapes_are_handed_on_as_they_are():
    stage = ExpressionStage(ExpressionSettings("mediapipe"), Context("expression"))
    stage.open()
    shapes = np.linspace(0, 1, 52, dtype=np.float32)
    [found] = said(stage, frame(face=Face(np.zeros((478, 2), np.float32), shapes)))
    np.testing.assert_array_equal(found.values, shapes)
    assert found.values is not shapes  # the message's memory is not ours to keep
    assert (found.profile, found.source) == ("arkit52", "camera")
    assert said(stage, frame(9)) == []  # no face
    assert stage.context.facts["backend"] == "mediapipe"


def test_what_does_not_fit_is_refused_before_anything_opens(tmp_path, bundle):
    wrong = {
        write_emg(tmp_path / "emg"): "is for eifer_emg, not for reading expressions",
        resealed(bundle, tmp_path / "other", system="mc_cyclegan"): "is for mc_cyclegan",
        tmp_path / "nowhere": "is no bundle",
    }
    for path, sentence in wrong.items():
        with pytest.raises(BadSettings, match=sentence) as found:
            ExpressionStage(ExpressionSettings(str(path)), Context())
        assert str(found.value).startswith("expressions cannot be read: ")
        assert "\n" not in str(found.value)
    with pytest.raises(BadSettings, match=r"expression\.every is 0"):
        ExpressionStage(ExpressionSettings(str(bundle), every=0), Context())


def test_words_that_make_no_sense(bundle):
    stage = ExpressionStage(ExpressionSettings(str(bundle), backend="abacus"), Context())
    with pytest.raises(BadSettings, match="backend must be one of"):
        stage.open()
