"""The flash test's arithmetic on a synthetic loop of screen, camera and page with a known delay."""

import numpy as np
import pytest

from benchmarks.flash import analyse, cells

FPS = 30.0


def loop(direct_s, echo_s, seconds=20.0, noise=4.0, echo=True):
    """Brightness of 12 cells: 0-3 see the window, 4-7 see the page that shows it, the rest see the room."""
    rng = np.random.default_rng(3)
    t_flips = np.cumsum(rng.uniform(0.4, 0.8, 60))
    t_frames = np.arange(0, seconds, 1 / FPS) + rng.uniform(-0.002, 0.002, round(seconds * FPS))
    lit = {lag: np.searchsorted(t_flips, t_frames - lag) % 2 for lag in (direct_s, echo_s, 2 * echo_s - direct_s)}
    seen = rng.normal(80, noise, (len(t_frames), 12))
    seen[:, :4] += 90 * lit[direct_s][:, None]
    if echo:
        seen[:, 4:8] += 45 * lit[echo_s][:, None]
        seen[:, 8:9] += 20 * lit[2 * echo_s - direct_s][:, None]  # the picture in the picture
    return t_frames, seen, t_flips


@pytest.mark.parametrize(("direct_s", "echo_s"), [(0.030, 0.100), (0.045, 0.080), (0.020, 0.260)])
def test_both_lags_are_found_below_a_frame(direct_s, echo_s):
    found = analyse(*loop(direct_s, echo_s))
    assert found.photon_to_photon_s == pytest.approx(echo_s - direct_s, abs=0.008)
    assert found.cells == 4


def test_a_camera_that_sees_nothing_of_it_is_told_so():
    t_frames, seen, t_flips = loop(0.03, 0.1)
    with pytest.raises(ValueError, match="does not see the flashing window"):
        analyse(t_frames, seen[:, 9:], t_flips)
    with pytest.raises(ValueError, match="not the page"):
        analyse(*loop(0.03, 0.1, echo=False))


def test_cells_are_means_of_parts_of_the_picture():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:240] = 200
    brightness = cells(image)
    assert brightness.shape == (24 * 32,)
    assert set(brightness[: 12 * 32].round()) == {200}
    assert brightness[12 * 32 :].max() == 0
