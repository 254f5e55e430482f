import pytest

from benchmarks.cohort_speed import with_whole


def row(what, frames, s, mb):
    return {"what": what, "frames": frames, "s": s, "mb": mb}


def test_the_extrapolation_is_clips_times_their_cost_and_says_so():
    clips = [row("a", 495, 10.0, 1.0), row("b", 495, 20.0, 5.0), row("c", 180, 4.0, 0.5), row("d", 180, 8.0, 2.0)]
    *kept, whole = with_whole(clips)
    assert kept == clips
    assert "EXTRAPOLATED" in whole["what"]
    assert whole["clips"] == 2448
    assert whole["frames"] == 72 * 2 * (11 * 495 + 6 * 180)
    assert whole["core_hours"] == pytest.approx(72 * (11 * 30 + 6 * 12) / 3600)
    assert whole["gb"] == pytest.approx(72 * (11 * 6 + 6 * 2.5) / 1000)
