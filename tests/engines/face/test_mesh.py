"""The face model: what it is read from, what it makes of weights, and that it says no clearly."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.mesh import EXPRESSIONS, LANDMARKS_68, MEDIAPIPE_68, FaceModel, expression_from_arkit52


@pytest.fixture(scope="module")
def model():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))


def test_vertices_are_the_textbook_sum(model):
    rng = np.random.default_rng(1)
    identity, expression = rng.normal(size=40), np.where(rng.random(57) < 0.2, rng.random(57), 0)
    naive = (
        model.neutral + np.tensordot(identity, model.identity[:40], 1) + np.tensordot(expression, model.expression, 1)
    )
    np.testing.assert_allclose(model.vertices(identity, expression), naive, atol=2e-5)
    person = model.person(identity)
    np.testing.assert_allclose(person.vertices([], expression), naive, atol=2e-5)


def test_left_is_the_persons_left_at_positive_x(model):
    moved = np.abs(model.expression[model.expression_index("eyeBlink_L")]).max(1) > 0.1
    assert model.neutral[moved, 0].min() > 0


def test_unknown_expression_names_the_nearest(model):
    with pytest.raises(BadInput, match="'mouthSmile_L'"):
        model.weights({"mouthSmileLeft": 1.0})


def test_arkit_names_map_one_to_one():
    names = dict(zip(BLENDSHAPES, np.eye(52, dtype=np.float32), strict=True))
    driven = {
        name: [EXPRESSIONS[k] for k in np.flatnonzero(expression_from_arkit52(names[name]))] for name in BLENDSHAPES
    }
    assert driven["mouthSmileLeft"] == ["mouthSmile_L"]
    assert driven["mouthLeft"] == ["mouthLeft"]
    assert driven["browInnerUp"] == ["browInnerUp_L", "browInnerUp_R"]
    assert driven["cheekPuff"] == ["cheekPuff_L", "cheekPuff_R"]
    assert driven["_neutral"] == []
    assert sorted(len(found) for found in driven.values()) == [0] + [1] * 49 + [2, 2]


def test_landmark_tables_are_whole():
    assert len(LANDMARKS_68) == len(MEDIAPIPE_68) == 68
    assert len(set(LANDMARKS_68)) == 68
