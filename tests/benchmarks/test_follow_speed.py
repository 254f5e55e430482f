"""Both ways of following a face go through the same film, and their comparison sees a difference."""

import numpy as np
import pytest

from benchmarks.follow_speed import WAYS, Way, compare, film
from rt import assets
from rt.message import Face


def face(x, seed=0):
    spread = np.random.default_rng(seed).normal(0, 40, (478, 2)).astype(np.float32)
    return Face(spread + np.float32([x, 200]), np.zeros(52, np.float32))


def test_what_is_apart_is_seen():
    ours = [face(200 + 3 * step) for step in range(6)]
    row = compare(ours, [face(204 + 3 * step) for step in range(5)] + [None])
    assert row["apart_px"] == pytest.approx(4, abs=1e-3)
    assert (row["pictures"], row["found_by_one_only"]) == (5, 1)
    assert row["restless_px"] == pytest.approx(0, abs=1e-3)
    with pytest.raises(ValueError, match="no picture"):
        compare([None], [face(1)])


def test_both_ways_follow_the_demos_person():
    if assets.state("face_landmarker.task") != "ok":
        pytest.skip("face_landmarker.task is not installed: set $MYOMIRROR_ASSETS")
    ways = {name: Way(name, film(8)) for name in WAYS}
    for way in ways.values():
        for _ in range(8):
            way.step()
        way.close()
    row = compare(ways["openvino"].faces, ways["mediapipe"].faces)
    assert row["pictures"] == 8
    assert row["apart_px"] < 1  # the first pictures differ most: MediaPipe begins from its detector's square
