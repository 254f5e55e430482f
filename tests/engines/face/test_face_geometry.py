"""The page's face against the model that it was made from: small, whole, and moving as the model does."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engines.emg.heatmap import heat_matrix
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from engines.face.display_brows import ACROSS, STEPS
from engines.face.face_bin import EYE, MOUTH, SKIN, TOOTH, encode_face
from engines.face.face_geometry import face_geometry
from engines.face.mesh import FaceModel, expression_from_arkit52
from engines.face.skin_surface import surface_of

BROWS = 2 * STEPS * ACROSS


@pytest.fixture(scope="module")
def model():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))


@pytest.fixture(scope="module")
def face(model):
    return face_geometry(model)


@pytest.fixture(scope="module")
def rows(model, face):
    """The model's vertex behind each of the face's own, found by its place."""
    own = np.arange(len(face.positions) - BROWS - int(face.eyes[:, 1].sum()))
    distance, found = cKDTree(model.neutral).query(face.neutral[own])
    assert distance.max() < 1e-3  # cm
    return found


def test_it_is_small(face):
    assert len(encode_face(face)) < 1_500_000
    assert len(face.triangles) < 17_000
    assert face.triangles.max() < len(face.positions)


@pytest.mark.parametrize(
    "shape", ["jawOpen", "mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "cheekPuff", "noseSneerLeft"]
)
def test_it_moves_as_the_model_does(model, face, rows, shape):
    weights = np.zeros(52)
    weights[BLENDSHAPES.index(shape)] = 0.7
    theirs = model.vertices([], expression_from_arkit52(weights))[rows]
    np.testing.assert_allclose(face.vertices(weights)[: len(rows)], theirs, atol=4e-3)  # cm: what is left out
    assert np.abs(theirs - model.neutral[rows]).max() > 0.2


def test_the_unused_shape_moves_nothing(face):
    assert BLENDSHAPES[0] == "_neutral"
    assert face.shapes[0, 2] == 0
    assert (face.shapes[1:, 2] > 0).all()


def test_nothing_is_torn(model, face):
    """The smile's surface stays near the model's."""
    weights = np.zeros(52)
    weights[[BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right")]] = 1
    theirs = model.vertices([], expression_from_arkit52(weights))
    ours = face.vertices(weights)
    skin = face.triangles[(face.triangles < face.skin).all(1)]
    middles = ours[skin].mean(1)
    front = middles[(middles[:, 2] > 6) & (np.abs(middles[:, 1]) < 7)]
    distance = cKDTree(theirs[:6706]).query(front)[0]
    assert np.percentile(distance, 99) < 0.6  # cm; the model's own vertices lie 0.1 to 0.5 apart


def test_materials_and_order(face):
    kinds = face.colours[:, 3]
    assert (kinds[: face.skin] == SKIN).all()
    assert set(kinds[face.skin :].tolist()) == {EYE, TOOTH, MOUTH}
    assert face.colours[kinds == TOOTH, :3].min(1).max() > 200  # front teeth are white, back ones in the dark


def test_eyes_lie_between_the_lids_and_look_ahead(model, face):
    assert face.eyes[:, 5].tolist() == [1.0, -1.0]
    for first, count, *centre, side in face.eyes.tolist():
        ball = face.neutral[int(first) : int(first + count)] - centre
        assert np.linalg.norm(ball, axis=1) == pytest.approx(np.full(len(ball), 1.46), abs=2e-3)
        assert centre[0] * side > 0
        assert ball[0, 2] > 1.45  # the pupil, in the first ring


def test_the_heat_is_the_matrix_at_its_vertices(model, face):
    expected = heat_matrix(surface_of(model), face.neutral[: face.skin], FRIDLUND)
    assert face.heat / 255 == pytest.approx(expected, abs=0.01)
    assert face.heat.sum(1, dtype=int).max() <= 255


def test_brows_lie_on_the_skin_and_rise_with_it(face, rows):
    brows = slice(len(rows), len(rows) + BROWS)
    near = cKDTree(face.neutral[: face.skin]).query(face.neutral[brows])[0]
    assert near.max() < 0.6
    weights = np.zeros(52)
    weights[BLENDSHAPES.index("browInnerUp")] = 1
    risen = (face.vertices(weights) - face.neutral)[brows, 1].reshape(2, STEPS, ACROSS)
    assert (risen[:, 1] > 0.3).all()  # at the inner end
    assert (risen[:, 1] > 2 * risen[:, -2]).all()


def test_half_a_model_is_refused(model):
    with pytest.raises(BadInput, match="needs a whole model, and this one lacks head_and_neck, mouth_socket"):
        face_geometry(model.part("face"))
