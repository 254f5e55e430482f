"""The demo's calibration fits the demo's person: %MVC, symmetry and synkinesis read what the profile says."""

import numpy as np
import pytest

from engines.emg.demo_performance import demo_emg, demo_performance, maximal_performance
from engines.emg.envelope import Envelope, chain_id, preset
from engines.emg.measures import Calibration
from engines.emg.montage import FRIDLUND
from rt.graphs import demo
from rt.graphs.demo import demo_calibration

RATE_HZ = 4096.0


@pytest.fixture(scope="module")
def calibration():
    return Calibration.load(demo_calibration(), chain_id(preset("standard"), RATE_HZ))


@pytest.fixture(scope="module")
def percent_mvc(calibration):
    """task -> (22,) mean %MVC while it is held."""
    rest, reference = np.array(calibration.rest_mean_uv), np.array(calibration.reference_uv)
    emg, found = demo_emg(), {}
    for held in demo_performance().held:
        first = round((held.start_s - 1) * RATE_HZ)
        envelope = Envelope(preset("standard")).process(
            emg.block(first, round((held.end_s - held.start_s + 1) * RATE_HZ)), RATE_HZ
        )
        active = np.maximum(envelope[round(1.3 * RATE_HZ) :].mean(0) - rest, 0)
        found.setdefault(held.task, 100 * active / (reference - rest))
    return found


def column(name):
    return FRIDLUND.column(name)


def at_their_maximum(muscle):
    """(22,) true activation in the middle of the muscle's first maximal repetition."""
    performance = maximal_performance()
    held = next(held for held in performance.held if held.task == muscle)
    return performance.activation(np.array([(held.start_s + held.end_s) / 2]))[0]


def test_references_are_the_persons_own_and_the_weak_side_is_weaker(calibration):
    reference, full = np.array(calibration.reference_uv), demo_emg().full_uv
    assert (reference > np.array(calibration.rest_mean_uv) + 10 * np.array(calibration.rest_sd_uv)).all()
    left, right = column("zygomaticus_left"), column("zygomaticus_right")
    true = at_their_maximum("zygomaticus")
    assert true[left] < 0.6 * true[right]
    weak = (reference[left] / full[left]) / (reference[right] / full[right])
    assert weak == pytest.approx(true[left] / true[right], rel=0.2)


@pytest.mark.parametrize(
    ("task", "muscle"),
    [("Smile-Open", "zygomaticus"), ("Forehead-Raise", "lateral_frontalis"), ("Lip-Pucker", "orbicularis_oris")],
)
def test_tasks_read_as_a_share_of_the_own_maximum(percent_mvc, task, muscle):
    held = next(held for held in demo_performance().held if held.task == task)
    true = demo_performance().activation(np.linspace(held.start_s + 0.3, held.end_s, 50)).mean(0)
    for side in ("right", "left"):
        k = column(f"{muscle}_{side}")
        assert percent_mvc[task][k] == pytest.approx(100 * true[k] / at_their_maximum(muscle)[k], rel=0.2), side


def test_the_left_eyes_synkinesis_shows_and_the_right_ones_does_not(percent_mvc):
    smile = percent_mvc["Smile-Closed"]
    index = {
        side: 100 * smile[column(f"orbicularis_oculi_{side}")] / smile[column(f"zygomaticus_{side}")]
        for side in ("left", "right")
    }
    assert index["left"] > 45
    assert index["right"] < 30


def test_another_simulator_has_another_calibration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = demo_calibration()
    monkeypatch.setattr(demo, "_simulator_id", lambda: "changed")
    assert demo_calibration() != first
