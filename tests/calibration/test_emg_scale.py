"""One person's scale: a known loudness comes back, artefacts and other people do not matter."""

from pathlib import Path

import numpy as np
import pytest

from calibration.data.emg_pairs import Pairs
from calibration.data.emg_signals import Rows
from calibration.data.mmm_layout import ClipId
from calibration.emg_scale import participant_maximum, scales_of
from engines.errors import BadInput

REST_UV, GAIN = 3.0, np.linspace(20, 400, 22)


def clip(pid, task, levels, place=0, mode="schaede", gain=1.0):
    """90 frames: a third each at the levels, all muscles at once."""
    level = np.repeat(levels, 30)[:, None]
    envelope = (REST_UV + gain * GAIN * level).astype(np.float32)
    name = ClipId(pid, "1S", mode, place, task)
    return Rows(name, np.zeros((90, 52), np.float32), envelope, np.ones((90, 22), bool))


def pairs(*clips):
    return Pairs(Path("x"), "arkit52", "Truth", "standard", clips, "", "", True)


def test_the_papers_maximum_is_one_number_for_all_channels():
    scale = scales_of(pairs(clip("1", "Snarl", (0, 1, 0.5))), "maximum")["1"]
    np.testing.assert_allclose(scale.span_uv, 403, rtol=1e-6)
    np.testing.assert_allclose(scale.rest_uv, 0)


@pytest.mark.parametrize(("repetitions", "expected"), [(1, 0.5), (2, 0.75), (3, (0.5 + 1 + 0.3) / 3)])
def test_a_calibration_takes_the_first_repetitions_of_each_channel(repetitions, expected):
    own = (clip("1", "Face-At-Rest", (0, 0, 0)), clip("1", "Snarl", (0.5, 1, 0.3), 1))
    scale = scales_of(pairs(*own), "calibration", repetitions)["1"]
    np.testing.assert_allclose(scale.rest_uv, REST_UV, rtol=1e-6)
    np.testing.assert_allclose(scale.span_uv, np.maximum(expected * GAIN, 2), rtol=1e-5)


def test_two_people_of_different_loudness_become_alike():
    own = []
    for pid, gain in (("1", 1.0), ("2", 3.0)):
        own += [clip(pid, "Face-At-Rest", (0, 0, 0)), clip(pid, "Snarl", (1, 0.5, 0.2), 1, gain=gain)]
    both = pairs(*own)
    scales = scales_of(both, "calibration")
    one, two = (scales[c.id.pid].normalised(c.envelope_uv) for c in (both.clips[1], both.clips[3]))
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert one.max() == pytest.approx(1)


def test_microvolt_is_the_way_back():
    own = pairs(clip("1", "Face-At-Rest", (0, 0, 0)), clip("1", "Snarl", (1, 0.5, 0.2), 1))
    scale = scales_of(own, "calibration")["1"]
    values = own.clips[1].envelope_uv
    np.testing.assert_allclose(scale.microvolt(scale.normalised(values)), values, rtol=1e-4)


def test_without_rest_the_quietest_tenth_stands_for_it():
    scale = scales_of(pairs(clip("1", "Snarl", (1, 0.0, 0.5))), "calibration")["1"]
    np.testing.assert_allclose(scale.rest_uv, REST_UV, rtol=1e-5)


def test_a_channel_that_was_spoilt_at_rest_has_its_rest_from_elsewhere():
    resting, snarl = clip("1", "Face-At-Rest", (0, 0, 0)), clip("1", "Snarl", (1, 0.0, 0.5), 1)
    resting.intact[:, 5] = False
    scale = scales_of(pairs(resting, snarl), "calibration")["1"]
    np.testing.assert_allclose(scale.rest_uv, REST_UV, rtol=1e-5)
    np.testing.assert_allclose(scale.span_uv, GAIN, rtol=1e-4)


def test_a_spoilt_repetition_is_replaced_by_the_next():
    snarl = clip("1", "Snarl", (0.4, 0.8, 0.3), 1)
    snarl.intact[:30, 7] = False
    span = scales_of(pairs(clip("1", "Face-At-Rest", (0, 0, 0)), snarl), "calibration")["1"].span_uv
    assert span[7] == pytest.approx(0.8 * GAIN[7], rel=1e-5)
    assert span[8] == pytest.approx(0.4 * GAIN[8], rel=1e-5)


def test_a_muscle_that_no_exercise_had_is_referred_to_what_it_does_later():
    resting, happy = clip("1", "Face-At-Rest", (0, 0, 0)), clip("1", "happy", (1, 1, 1), 2, "emotion")
    span = scales_of(pairs(resting, clip("1", "Snarl", (0.01, 0, 0), 1), happy), "calibration")["1"].span_uv
    np.testing.assert_allclose(span, GAIN / 3, rtol=1e-4)


def test_an_artefact_makes_no_maximum():
    spoilt = clip("1", "Snarl", (1, 0.5, 0.2))
    spoilt.envelope_uv[40, 3], spoilt.intact[40, 3] = 5000, False
    assert participant_maximum([spoilt]) == pytest.approx(403)


def test_a_silent_muscle_is_not_blown_up():
    quiet = clip("1", "Snarl", (1, 0.5, 0.2))
    quiet.envelope_uv[:, 4] = REST_UV
    assert scales_of(pairs(quiet), "calibration")["1"].span_uv[4] == 2.0


@pytest.mark.parametrize(
    ("clips", "words", "sentence"),
    [
        ((clip("1", "Snarl", (1, 0, 0)),), ("percent", 1), "maximum or calibration, with 1 to 3"),
        ((clip("1", "Snarl", (1, 0, 0)),), ("calibration", 4), "found 'calibration', 4"),
        ((clip("1", "happy", (1, 0, 0), mode="emotion"),), ("calibration", 1), "1 has no exercise"),
    ],
)
def test_what_cannot_be_is_refused(clips, words, sentence):
    with pytest.raises(BadInput, match=sentence):
        scales_of(pairs(*clips), *words)
