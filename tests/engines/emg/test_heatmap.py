"""The heat map: every channel where its electrodes are, nothing twice, the same on both sides."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.emg.heatmap import course_of, heat, heat_matrix
from engines.emg.montage import FRIDLUND, KURAMOTO, Channel, Montage
from engines.errors import BadInput
from engines.face.electrode_sites import electrodes_of, sites
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel
from engines.face.skin_surface import SkinSurface


@pytest.fixture(scope="module")
def surface():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return SkinSurface(FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"])))


def naive_matrix(surface, points, montage):
    """The docstring's two formulas, point by point."""
    courses = [course_of(surface, channel) for channel in montage.channels]
    found = np.zeros((len(points), len(montage)))
    for row, point in enumerate(points):
        g = np.zeros(len(montage))
        for c, (course, width) in enumerate(courses):
            d = min(np.linalg.norm(point - place) for place in course)
            if d < 3 * width:
                g[c] = max(np.exp(-((d / width) ** 2) / 2) - 0.04, 0) / 0.96
        for c in range(len(montage)):
            found[row, c] = g[c] * g[c] ** 3 / sum(g**3) if g.any() else 0
    return found


@pytest.mark.parametrize("montage", [FRIDLUND, KURAMOTO], ids=["fridlund", "kuramoto"])
def test_the_matrix_is_the_formula(surface, montage):
    points = surface.model.neutral[:6700:41]
    assert heat_matrix(surface, points, montage) == pytest.approx(naive_matrix(surface, points, montage), abs=1e-6)


@pytest.mark.parametrize("montage", [FRIDLUND, KURAMOTO], ids=["fridlund", "kuramoto"])
def test_a_channel_shows_at_its_own_electrodes(surface, montage):
    for column, channel in enumerate(montage.channels):
        middle = sites(surface, electrodes_of([Montage("one", (channel,))])).points.mean(0)
        shown = heat_matrix(surface, middle[None], montage)[0]
        assert shown.argmax() == column, channel.label
        assert shown[column] > 0.5, channel.label


def test_the_map_never_shows_more_than_the_largest_channel(surface):
    matrix = heat_matrix(surface, surface.model.neutral[:9409], FRIDLUND)
    assert matrix.min() >= 0
    assert matrix.sum(1).max() <= 1 + 1e-6
    percent = np.random.default_rng(3).uniform(0, 120, 22)
    assert heat(matrix, percent).max() <= percent.max() + 1e-3
    covered = matrix.sum(1) > 0.05
    assert 0.2 < covered.mean() < 0.8  # muscles, and skin without any


def test_both_sides_mirror_each_other(surface):
    points = surface.model.neutral[:6700:41].astype(np.float64)
    right = [i for i, channel in enumerate(FRIDLUND.channels) if channel.side == "right"]
    there = heat_matrix(surface, points, FRIDLUND)[:, right]
    mirrored = heat_matrix(surface, points * [-1, 1, 1], FRIDLUND)[:, [i + 1 for i in right]]
    assert there == pytest.approx(mirrored, abs=0.06)  # the model is symmetric to a fraction of a millimetre


def test_it_can_be_drawn_over_the_picture(surface):
    """MediaPipe's landmarks are points of the skin: forehead, mouth and cheek are found."""
    landmarks = FaceLandmarks.load().on(surface.model).positions(surface.model.neutral)
    matrix = heat_matrix(surface, landmarks, FRIDLUND)
    names = [channel.name for channel in FRIDLUND.channels]
    assert names[matrix[10].argmax()].startswith("medial_frontalis")
    assert names[matrix[17].argmax()].startswith("orbicularis_oris")
    assert names[matrix[205].argmax()].endswith("right")


def test_applying_it_is_one_product_and_unknown_values_rest():
    matrix = np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], np.float32)
    assert heat(matrix, [40.0, 90.0, np.nan]) == pytest.approx([20.0, 90.0])
    assert heat(matrix, [-10.0, 0.0, 0.0]) == pytest.approx([0.0, 0.0])
    with pytest.raises(BadInput, match="for 3 channels"):
        heat(matrix, np.zeros(22))


def test_what_does_not_fit_is_refused(surface):
    with pytest.raises(BadInput, match=r"must be \(n, 3\)"):
        heat_matrix(surface, np.zeros((4, 2)), FRIDLUND)
    stranger = Montage("own", (Channel("X1", "platysma", "left", 0, (0.0, 0.0)),))
    with pytest.raises(BadInput, match="where X1"):
        heat_matrix(surface, np.zeros((1, 3)), stranger)
