import numpy as np
import pytest

from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.furrow_windows import GROUPS, RAISING
from engines.face.furrows import activations, draw_furrows, spread_activations
from engines.face.skin import FURROW_MIDDLE, MOVING, PULLED, RAISED


def activated(weights):
    out = np.zeros(len(GROUPS), np.float32)
    activations(weights, BLENDSHAPE_INDEX, out)
    return dict(zip(GROUPS, out, strict=True))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("browInnerUp", "forehead_left"),
        ("browDown", "frown_right"),
        ("noseSneer", "bridge_left"),
        ("mouthSmile", "fold_left"),
    ],
)
def test_each_movement_makes_its_furrow(name, group, express):
    assert activated(express())[group] == 0
    found = activated(express(**{name: 1.0}))
    assert found[group] > 0.4
    assert found["chin"] == 0


def test_one_sided_movements_fold_one_side():
    weights = np.zeros(52, np.float32)
    weights[BLENDSHAPE_INDEX["mouthSmileLeft"]] = 1
    found = activated(weights)
    assert found["fold_left"] > 0.5
    assert found["fold_right"] == 0


def test_windows_lie_where_their_furrows_do(person_of):
    anatomy = person_of("004").anatomy
    window, points = anatomy.furrows, anatomy.model.neutral
    for number, group in enumerate(GROUPS):
        part = slice(window.starts[number], window.starts[number + 1])
        x = points[window.vertex[part], 0]
        middle = (x * window.share[part]).sum() / window.share[part].sum()
        if group.endswith("left"):
            assert middle > 0.3, group
        elif group.endswith("right"):
            assert middle < -0.3, group


def test_spreading_adds_up_groups_per_vertex(person_of):
    window = person_of("004").anatomy.furrows
    activation = np.random.default_rng(0).uniform(0, 1, len(GROUPS)).astype(np.float32)
    moving = np.full((6706, MOVING), 9, np.float32)
    spread_activations(window.starts, window.vertex, window.share, activation, len(RAISING), moving, (RAISED, PULLED))
    wanted = np.zeros((6706, 2))
    for number in range(len(GROUPS)):
        part = slice(window.starts[number], window.starts[number + 1])
        wanted[window.vertex[part], int(number >= len(RAISING))] += window.share[part] * activation[number]
    np.testing.assert_allclose(moving[:, [RAISED, PULLED]], wanted, atol=1e-5)


def test_depth_and_seed(person_of):
    person = person_of("004")
    face = person.camera.project(person.neutral)
    make = lambda depth, seed: draw_furrows(face, person.camera.scale, person.photo.shape, depth, seed).astype(int)  # noqa: E731
    plain, deep, other = make(0.5, 1), make(1.0, 1), make(0.5, 2)
    assert np.abs(deep - FURROW_MIDDLE).sum() > 1.6 * np.abs(plain - FURROW_MIDDLE).sum() > 0
    assert (other != plain).any()
    assert (make(0.0, 1) == FURROW_MIDDLE).all()
