import pytest

from benchmarks import paste_speed
from benchmarks.kernel_speed import measure, targets

ROWS = [
    {"what": "envelope fast, 22 channels", "ours_us": 10, "peer": "scipy.signal.sosfilt", "peer_us": 50, "ratio": 5.0},
    {"what": "envelope standard", "ours_us": 10, "peer": "scipy.signal.sosfilt", "peer_us": 90, "ratio": 9.0},
    {"what": "Pixel-RR map", "ours_us": 4, "peer": "NumPy, as the formula reads", "peer_us": 48, "ratio": 12.0},
    {"what": "Pixel-RR map", "ours_us": 4, "peer": "NumPy, in place", "peer_us": 16, "ratio": 4.0},
    {"what": "Pixel-RR map", "ours_us": 4, "peer": "memory copy of the same bytes", "peer_us": 2, "ratio": 0.5},
    {"what": "Pixel-RR map", "ours_us": 4, "peer": "memory copy of the pictures alone", "peer_us": 1, "ratio": 0.25},
    {"what": paste_speed.LAY + ", 25% of the crop", "ours_us": 700.0},
    {"what": paste_speed.LAY + ", 100% of the crop", "ours_us": 1400.0},
    {"what": "XDF write, 22 ch", "ours_us": 51.0},
]


def test_of_several_peers_the_hardest_counts():
    found = [(t.value, t.reached) for t in targets(ROWS)]
    assert found == [(5.0, True), (4.0, False), (2.0, True), (1400.0, True), (51.0, False)]


def test_a_renamed_row_is_noticed():
    with pytest.raises(ValueError, match="XDF write"):
        targets(ROWS[:-1])


def test_suites_are_measured_in_rounds():
    counts = iter([1.0, 5.0, 3.0])
    rows = measure(3, [lambda: [{"what": "a", "ours_us": next(counts), "ratio": 2.0}]])
    assert rows == [{"what": "a", "ours_us": 3.0, "ratio": 2.0, "ratio_from": 2.0, "ratio_to": 2.0}]
