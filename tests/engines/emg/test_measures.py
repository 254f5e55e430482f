import json
from dataclasses import replace

import numpy as np
import pytest

from engines.emg.measures import (
    Calibration,
    percent_mvc,
    reference_mvc,
    rest_statistics,
    signed_asymmetry,
    synkinesis_index,
)
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, ChainMismatch

PAIR = FRIDLUND.subset(["F19", "F20"])
CALIBRATION = Calibration("abc", ("F19", "F20"), (2.0, 1.0), (0.5, 1.0), (102.0, 51.0), "maximal, 3 repetitions")


def test_percent_mvc_is_the_formula():
    percent = percent_mvc(np.array([[2.0, 1.0], [52.0, 26.0], [102.0, 51.0], [1.0, 101.0]]), CALIBRATION)
    np.testing.assert_allclose(percent, [[0, 0], [50, 50], [100, 100], [0, 200]])
    np.testing.assert_array_equal(percent_mvc(np.array([52.0, np.nan]), CALIBRATION), [50.0, np.nan])


def test_a_channel_without_reference_has_no_percentage():
    no_reference = replace(CALIBRATION, reference_uv=(102.0, 0.0))
    np.testing.assert_array_equal(percent_mvc(np.array([52.0, 30.0]), no_reference), [50.0, np.nan])


@pytest.mark.parametrize(
    ("right_uv", "left_uv", "asymmetry"),
    [
        (32.0, 11.0, 50.0),  # A = 30 and 10
        (12.0, 31.0, -50.0),
        (32.0, 1.0, 100.0),
        (4.6, 1.0, 100.0),  # A = 2.6: above 5 x 0.5 and 2 microvolt
        (4.4, 1.0, np.nan),  # A = 2.4: below 5 x 0.5
        (2.0, 5.9, np.nan),  # A = 4.9: below 5 x 1.0, the gate of the stronger side
        (2.0, 6.1, -100.0),
        (2.0, 1.0, np.nan),  # both at rest
        (np.nan, 31.0, np.nan),
        (32.0, np.nan, np.nan),
    ],
)
def test_signed_asymmetry_and_its_gate(right_uv, left_uv, asymmetry):
    result = signed_asymmetry(np.array([right_uv, left_uv]), CALIBRATION, PAIR)
    np.testing.assert_allclose(result, [asymmetry])


def test_two_microvolt_gate_holds_where_rest_is_very_quiet():
    quiet = replace(CALIBRATION, rest_sd_uv=(0.01, 0.01))
    np.testing.assert_array_equal(signed_asymmetry(np.array([3.9, 1.0]), quiet, PAIR), [np.nan])
    np.testing.assert_array_equal(signed_asymmetry(np.array([4.1, 1.0]), quiet, PAIR), [100.0])


def test_asymmetry_of_noise_at_rest_is_not_assessable():
    rest = np.abs(np.random.default_rng(0).normal(2.0, 0.3, (5000, 22))).astype(np.float32)
    statistics = rest_statistics(rest)
    calibration = Calibration(
        "abc",
        FRIDLUND.labels,
        tuple(statistics.mean_uv.tolist()),
        tuple(statistics.sd_uv.tolist()),
        (100.0,) * 22,
        "made up",
    )
    assert np.isnan(signed_asymmetry(rest, calibration, FRIDLUND)).all()


def test_asymmetry_refuses_another_channel_order():
    with pytest.raises(BadInput, match="different channels"):
        signed_asymmetry(np.array([1.0, 2.0]), CALIBRATION, FRIDLUND.subset(["F20", "F19"]))
    turned = CALIBRATION.for_labels(["F20", "F19"])
    assert turned.reference_uv == (51.0, 102.0)
    assert signed_asymmetry(np.array([1.0, 32.0]), turned, FRIDLUND.subset(["F20", "F19"])) == [100.0]
    with pytest.raises(BadInput, match="no channel F1"):
        CALIBRATION.for_labels(["F1"])


def test_rest_leaves_nan_out():
    rest = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, 7.0]])
    mean, sd = rest_statistics(rest)
    np.testing.assert_allclose(mean, [3.0, 6.0])
    np.testing.assert_allclose(sd, [np.std([1, 3, 5]), 1.0])
    with pytest.raises(BadInput, match=r"column \[1\]"):
        rest_statistics(np.array([[1.0, np.nan]]))


def reference_slowly(repetitions, window):
    per_channel = []
    for c in range(repetitions[0].shape[1]):
        best = [max(r[i : i + window, c].mean() for i in range(len(r) - window + 1)) for r in repetitions]
        per_channel.append(np.mean(sorted(best)[-3:]))
    return per_channel


def test_reference_is_the_best_half_second_of_three_repetitions():
    rng = np.random.default_rng(1)
    repetitions = [rng.uniform(0, 100, (n, 3)) for n in (100, 130, 50, 90)]
    np.testing.assert_allclose(reference_mvc(repetitions, 100.0), reference_slowly(repetitions, 50))


def test_reference_steps_over_bad_samples():
    repetitions = [np.full((100, 2), level) for level in (10.0, 20.0, 30.0)]
    for repetition in repetitions:
        repetition[:40, 0] = 1000.0
        repetition[40, 0] = np.nan
        repetition[50, 1] = np.nan  # no 50 good samples in a row before, but from 51 to 99 only 49
    np.testing.assert_allclose(reference_mvc(repetitions, 100.0), [20.0, 20.0])
    repetitions[0][49, 1] = np.nan
    np.testing.assert_array_equal(reference_mvc(repetitions, 100.0), [20.0, np.nan])


def test_reference_needs_three_long_repetitions():
    with pytest.raises(BadInput, match="3 maximal"):
        reference_mvc([np.ones((100, 1))] * 2, 100.0)
    with pytest.raises(BadInput, match=r"0\.5 s"):
        reference_mvc([np.ones((100, 1))] * 2 + [np.ones((49, 1))], 100.0)


def test_synkinesis_is_relative_to_the_trained_muscle():
    percent = np.array([[80.0, 20.0, 0.0], [10.0, 40.0, 60.0], [1.0, 2.0, 50.0]])
    index = synkinesis_index(percent, trained=[0, 1, 0])
    np.testing.assert_allclose(index, [[100, 25, 0], [25, 100, 150], [np.nan] * 3])
    for wrong in ([0, 1], [0, 1, 3]):
        with pytest.raises(BadInput):
            synkinesis_index(percent, wrong)


def test_calibration_comes_back_from_a_private_file(tmp_path):
    path = tmp_path / "calibration.json"
    CALIBRATION.save(path)
    CALIBRATION.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Calibration.load(path, "abc") == CALIBRATION
    assert [p.name for p in tmp_path.iterdir()] == ["calibration.json"]


def test_calibration_of_another_chain_is_refused(tmp_path):
    CALIBRATION.save(tmp_path / "c.json")
    with pytest.raises(ChainMismatch, match="chain abc, this session runs xyz"):
        Calibration.load(tmp_path / "c.json", "xyz")


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"rest_sd_uv": None},
        {"rest_mean_uv": [1.0]},
        {"labels": "F19"},
        {"labels": ["F19", "F19"]},
        {"reference_uv": [1.0, "2"]},
        {"reference_uv": [1.0, -2.0]},
        {"chain_id": 7},
    ],
)
def test_a_file_that_is_no_calibration_is_refused(tmp_path, change):
    path = tmp_path / "c.json"
    CALIBRATION.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput):
        Calibration.load(path, "abc")


@pytest.mark.parametrize("text", ["", "[]", '{"chain_id": "abc"}', '{"a": NaN'])
def test_broken_files_are_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="calibration"):
        Calibration.load(path, "abc")
    with pytest.raises(BadInput, match="calibrate this person first"):
        Calibration.load(tmp_path / "absent.json", "abc")
