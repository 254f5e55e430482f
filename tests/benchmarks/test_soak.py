import random

import pytest

from benchmarks.processes import Usage
from benchmarks.soak import Sample, slope_mb_per_min, summary

REPORT = {
    "duration_s": 600.0,
    "frames": {"captured": 100, "shown": 97, "dropped": {"superseded": 3}, "closed": True},
    "emg": {"gaps": 0},
    "restarts": {},
    "fps": {"shown": 30.0},
}


def samples(mb_per_min, noise=0.0, n=300, files=40):
    random.seed(1)
    return [
        Sample(t, Usage(500 + mb_per_min * t / 60 + random.uniform(-noise, noise), 900, files, 5))
        for t in (2.0 * i for i in range(n))
    ]


def test_the_slope_is_found_in_noise_and_ignores_the_warm_up():
    growing = [Sample(t, u._replace(pss_mb=u.pss_mb * (0.2 if t < 60 else 1))) for t, u in samples(2.0, noise=5.0)]
    slope, low, high = slope_mb_per_min(growing)
    assert low < 2.0 < high
    assert slope == pytest.approx(2.0, abs=0.3)


def test_one_collection_does_not_move_it():
    stepped = samples(0.0)
    stepped[200] = stepped[200]._replace(usage=stepped[200].usage._replace(pss_mb=2000.0))
    assert slope_mb_per_min(stepped)[0] == 0.0


def test_too_short_a_run_is_refused():
    with pytest.raises(ValueError, match="too few"):
        slope_mb_per_min(samples(0.0, n=35))


def test_a_good_run_reaches_everything():
    rows, targets = summary(samples(0.5), REPORT, 60.0)
    assert all(target.reached for target in targets)
    assert rows[0]["slope_mb_per_min"] == pytest.approx(0.5)


def test_the_shutdown_is_not_memory_that_came_back():
    leaking = [*samples(2.0), *(Sample(600.0 + i, Usage(50, 60, 5, 1)) for i in range(5))]
    rows, targets = summary(leaking, REPORT, 60.0)
    assert not targets[0].reached
    assert rows[0]["files_last"] == 40


@pytest.mark.parametrize("frames", [{"closed": False}, {"shown": 96}])
def test_a_frame_without_explanation_is_missed(frames):
    _, targets = summary(samples(0.0), {**REPORT, "frames": {**REPORT["frames"], **frames}}, 60.0)
    assert not targets[2].reached


def test_files_that_stay_open_are_missed():
    growing = [Sample(t, u._replace(files=40 + int(t > 500))) for t, u in samples(0.0)]
    _, targets = summary(growing, REPORT, 60.0)
    assert not targets[1].reached
