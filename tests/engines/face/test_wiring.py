"""The cables' ways: from their electrodes, over the skin, together, and away."""

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND, KURAMOTO
from engines.face.electrode_sites import electrodes_of, partner, sites
from engines.face.electrode_style import ElectrodeStyle
from engines.face.skin_surface import SkinSurface
from engines.face.wiring import STEP_CM, plan

NAMES = electrodes_of([FRIDLUND, KURAMOTO])
PAIRS = np.array([min(i, NAMES.index(partner(n) or n)) for i, n in enumerate(NAMES)], np.int32)


@pytest.fixture(scope="module")
def surface(face_model):
    return SkinSurface(face_model)


@pytest.fixture(scope="module")
def made(surface):
    """Sessions: (wiring, its points around the neutral head)."""

    def points(wiring):
        followers = wiring.followers
        anchors = np.einsum("nk,nkx->nx", followers.weights, surface.model.neutral[followers.corners])
        return anchors + followers.offset

    wirings = [
        plan(surface, sites(surface, NAMES), PAIRS, ElectrodeStyle(twisted=twisted), np.random.default_rng(seed))
        for seed, twisted in ((1, 0.0), (2, 1.0), (3, 0.5))
    ]
    return [(wiring, points(wiring)) for wiring in wirings]


def test_every_electrode_has_one_cable_that_starts_beside_it(made, surface):
    places = sites(surface, NAMES).points
    for wiring, points in made:
        first = np.flatnonzero(np.diff(wiring.chain, prepend=-1))
        assert len(first) == len(NAMES)
        away = np.linalg.norm(points[first] - places, axis=1)
        assert (away > 0.2).all()
        assert (away < 0.8).all()


def test_cables_are_unbroken_and_lie_on_the_skin_until_they_hang(made, surface):
    for wiring, points in made:
        same = wiring.chain[:-1] == wiring.chain[1:]
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)[same]
        assert step.max() < 4 * STEP_CM
        lying = wiring.followers.hang == 0
        height = np.linalg.norm(surface.nearest(points[lying]).points - points[lying], axis=1)
        assert np.percentile(height, 99) < 1.6
        assert np.median(height) < 0.5


def test_the_way_down_ends_below_the_picture_or_behind_the_head(made):
    for wiring, points in made:
        last = np.append(np.flatnonzero(np.diff(wiring.chain)), len(points) - 1)
        down = wiring.followers.hang[last] == 1
        assert (points[last][down, 1] < -25).all()
        assert (wiring.slips[last][~down] > 1).all()
        assert down.sum() > 10


def test_nobody_leads_a_cable_over_an_eye(made, face_model):
    eyes = [face_model.neutral[slice(*face_model.regions[f"eyeball_{side}"])].mean(0) for side in ("left", "right")]
    for _, points in made:
        for eye in eyes:
            before = points[points[:, 2] > 6]
            assert (np.hypot(*(before[:, :2] - eye[:2]).T) < 0.9).sum() == 0


def test_segments_are_ordered_from_low_to_high(made):
    for wiring, _ in made:
        assert np.array_equal(np.sort(wiring.order), np.flatnonzero(wiring.chain[:-1] == wiring.chain[1:]))
        height = wiring.height_cm[wiring.order]
        lying = wiring.followers.hang[wiring.order] == 0
        assert (np.diff(height[lying]) >= 0).all()


def test_twisted_bundles_are_narrower(made):
    """Spread of the cables that hang over the chest, across."""

    def spread(wiring, points):
        chest = (np.abs(points[:, 1] + 16) < 0.3) & (points[:, 0] > 0)
        x = np.sort(points[chest, 0])
        return np.median(np.diff(x)[np.diff(x) < 1])

    assert spread(*made[1]) < spread(*made[0])


def test_the_two_leads_of_a_pair_run_together(made):
    for wiring, points in made:
        for i, name in enumerate(NAMES):
            if name.endswith("a"):
                lines = [points[wiring.chain == NAMES.index(n)] for n in (name, partner(name))]
                tail = min(len(line) for line in lines)
                away = np.linalg.norm(lines[0][-tail:] - lines[1][-tail:], axis=1)
                assert away[-10:].max() < 0.9, (i, name)


def test_the_same_seed_gives_the_same_ways(surface):
    runs = [
        plan(surface, sites(surface, NAMES), PAIRS, ElectrodeStyle(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    ]
    assert np.array_equal(runs[0].followers.offset, runs[1].followers.offset)
    assert len(runs[0].chain) != len(runs[2].chain) or not np.array_equal(runs[0].height_cm, runs[2].height_cm)
