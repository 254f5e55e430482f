"""The face model: what it makes of weights, its parts, its tables, and that it says no clearly."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face import mesh
from engines.face.blendshapes import BLENDSHAPES
from engines.face.gaze import FULL_TURN_RAD
from engines.face.mesh import EXPRESSIONS, LANDMARKS_68, MEDIAPIPE_68, FaceModel, expression_from_arkit52

APART = np.array([3.0, 0, 0])  # of the eyes, from the middle
LOOKS = tuple(f"eyeLook{way}_{side}" for way in ("In", "Out", "Up", "Down") for side in "LR")


def small_model():
    """A head of 40 random vertices with 20 each for two round eyeballs."""
    rng = np.random.default_rng(5)
    ball = rng.normal(size=(20, 3))
    ball *= 1.5 / np.linalg.norm(ball, axis=1, keepdims=True)
    neutral = np.vstack([rng.normal(size=(40, 3)), ball + APART, ball * [-1, 1, 1] - APART]).astype(np.float32)
    names = ("jawOpen", "mouthSmile_L", *LOOKS)
    expression = rng.normal(size=(len(names), 80, 3)).astype(np.float32)
    expression[2:] = 0  # as in the real model, looking does not move eyeballs
    return FaceModel(
        neutral=neutral,
        triangles=rng.integers(0, 40, (60, 3)).astype(np.int32),
        uvs=rng.random((9, 2)).astype(np.float32),
        triangle_uvs=rng.integers(0, 9, (60, 3)).astype(np.int32),
        expression=expression,
        expression_names=names,
        identity=rng.normal(size=(6, 80, 3)).astype(np.float32),
        regions={"face": (0, 25), "neck": (25, 40), "eyeball_left": (40, 60), "eyeball_right": (60, 80)},
    )


def naive_vertices(model, identity, expression):
    """The textbook's sum, and eyeballs turned one vertex at a time."""
    found = model.neutral.astype(np.float64)
    for weight, mode in zip(identity, model.identity, strict=False):
        found = found + weight * mode
    for weight, mode in zip(expression, model.expression, strict=True):
        found = found + weight * mode
    named = dict(zip(model.expression_names, expression, strict=True))
    for side, outward in (("left", 1), ("right", -1)):
        letter = side[0].upper()
        aside = FULL_TURN_RAD * outward * (named[f"eyeLookOut_{letter}"] - named[f"eyeLookIn_{letter}"])
        up = FULL_TURN_RAD * (named[f"eyeLookUp_{letter}"] - named[f"eyeLookDown_{letter}"])
        first, last = model.regions[f"eyeball_{side}"]
        eye = next(eye for eye in model.eyes if eye.first == first)
        centre = found[first:last].mean(0) + eye.offset_cm
        for row in range(first, last):
            x, y, z = found[row] - centre
            y, z = y * np.cos(up) + z * np.sin(up), -y * np.sin(up) + z * np.cos(up)
            x, z = x * np.cos(aside) + z * np.sin(aside), -x * np.sin(aside) + z * np.cos(aside)
            found[row] = np.add(centre, (x, y, z))
    return found


@pytest.fixture(scope="module")
def model():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))


@pytest.mark.parametrize("seed", range(5))
def test_vertices_are_the_textbooks_sum(seed):
    rng, small = np.random.default_rng(seed), small_model()
    identity, expression = rng.normal(size=seed + 1), rng.random(10) * (rng.random(10) < 0.6)
    expected = naive_vertices(small, identity, expression)
    np.testing.assert_allclose(small.vertices(identity, expression), expected, atol=2e-5)
    np.testing.assert_allclose(small.person(identity).vertices([], expression), expected, atol=2e-5)


def test_the_real_models_vertices_are_the_textbooks_sum(model):
    rng = np.random.default_rng(1)
    identity, expression = rng.normal(size=40), np.where(rng.random(57) < 0.2, rng.random(57), 0)
    expected = naive_vertices(model, identity, expression)
    np.testing.assert_allclose(model.vertices(identity, expression), expected, atol=3e-5)


def test_vertices_go_where_they_are_wanted():
    small = small_model()
    out = np.full((80, 3), np.nan, np.float32)
    found = small.vertices([0.5], np.eye(10)[1], out)
    assert found is out
    np.testing.assert_array_equal(found, small.vertices([0.5], np.eye(10)[1]))


def test_any_layout_of_weights_gives_the_same():
    small = small_model()
    weights = np.random.default_rng(0).random((10, 2))[:, 0]
    assert not weights.flags.c_contiguous
    np.testing.assert_array_equal(small.vertices([], weights), small.vertices([], weights.copy()))


@pytest.mark.parametrize(
    ("look", "axis", "sign"),
    [("eyeLookOut_L", 0, 1), ("eyeLookIn_L", 0, -1), ("eyeLookUp_L", 1, 1), ("eyeLookDown_L", 1, -1)],
)
def test_the_left_eye_looks_where_its_name_says(model, look, axis, sign):
    first, last = model.regions["eyeball_left"]
    pupil = first + int(np.argmax(model.neutral[first:last, 2]))
    moved = model.vertices([], model.weights({look: 1.0}))[pupil] - model.neutral[pupil]
    assert 0.5 < sign * moved[axis] < 1.0
    assert abs(moved[1 - axis]) < 0.05


def test_both_eyes_look_out_away_from_each_other(model):
    moved = model.vertices([], model.weights({"eyeLookOut_L": 1.0, "eyeLookOut_R": 1.0})) - model.neutral
    shift = [moved[slice(*model.regions[f"eyeball_{side}"]), 0].sum() for side in ("left", "right")]
    assert shift[0] > 0 > shift[1]
    assert shift[0] == pytest.approx(-shift[1], rel=1e-3)


def test_left_is_the_persons_left_at_positive_x(model):
    moved = np.abs(model.expression[model.expression_index("eyeBlink_L")]).max(1) > 0.1
    assert model.neutral[moved, 0].min() > 0


def test_the_model_is_what_the_other_rooms_expect(model):
    assert model.neutral.shape == (24591, 3)
    assert model.expression_names == EXPRESSIONS
    assert model.identity.shape == (100, 24591, 3)
    assert len(model.regions) == 9
    assert not any(array.flags.writeable for array in (model.neutral, model.expression, model.identity))


def test_a_part_moves_like_the_whole(model):
    part = model.part("narrow_face", "teeth", "eyeball_right")
    rng = np.random.default_rng(2)
    identity, expression = rng.normal(size=10), rng.random(57)
    whole = model.vertices(identity, expression)
    np.testing.assert_allclose(part.vertices(identity, expression), whole[part.source], atol=1e-5)
    assert dict(part.regions) == {"face": (0, 6706), "teeth": (6706, 11118), "eyeball_right": (11118, 12688)}
    np.testing.assert_array_equal(part.neutral[part.triangles], model.neutral[part.source[part.triangles]])
    np.testing.assert_array_equal(part.rows_of([17039]), [6706])


def test_a_part_keeps_the_triangles_that_are_whole():
    small = small_model()
    part = small.part("neck")
    inside = ((small.triangles >= 25) & (small.triangles < 40)).all(1)
    np.testing.assert_array_equal(part.triangles, small.triangles[inside] - 25)
    np.testing.assert_array_equal(part.triangle_uvs, small.triangle_uvs[inside])
    again = small.part("face", "neck").part("neck")
    np.testing.assert_array_equal(again.source, part.source)
    assert part.eyes == ()


def test_normals_point_out_of_the_face(model):
    normals = model.normals(np.array(model.neutral))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert normals[4857, 2] > 0.5  # the nose's tip looks at the viewer
    assert normals[LANDMARKS_68[0], 0] < -0.5  # the right temple to the right


def test_arkit_names_map_one_to_one():
    named = dict(zip(BLENDSHAPES, expression_from_arkit52(np.eye(52)), strict=True))
    driven = {name: [EXPRESSIONS[k] for k in np.flatnonzero(weights)] for name, weights in named.items()}
    assert driven["mouthSmileLeft"] == ["mouthSmile_L"]
    assert driven["mouthLeft"] == ["mouthLeft"]
    assert driven["jawRight"] == ["jawRight"]
    assert driven["browInnerUp"] == ["browInnerUp_L", "browInnerUp_R"]
    assert driven["cheekPuff"] == ["cheekPuff_L", "cheekPuff_R"]
    assert driven["_neutral"] == []
    assert sorted(len(found) for found in driven.values()) == [0] + [1] * 49 + [2, 2]
    without = set(EXPRESSIONS) - {name for found in driven.values() for name in found}
    assert without == {"PupilDilate_L", "PupilDilate_R", "cheekRaiser_L", "cheekRaiser_R"}


def test_blendshapes_keep_their_leading_axes():
    values = np.random.default_rng(3).random((2, 4, 52))
    found = expression_from_arkit52(values)
    assert found.shape == (2, 4, 57)
    np.testing.assert_array_equal(found[1, 2], expression_from_arkit52(values[1, 2]))
    assert expression_from_arkit52(np.zeros((0, 52))).shape == (0, 57)


def test_landmark_tables_are_whole():
    assert len(set(LANDMARKS_68)) == len(MEDIAPIPE_68) == 68


def test_warm_up_compiles_what_a_session_needs(model):
    mesh.warm_up()
    compiled = len(mesh._add_modes.signatures)
    model.part("narrow_face").person([0.3]).vertices([1.0], model.weights({"jawOpen": 0.5, "eyeLookUp_L": 1.0}))
    assert len(mesh._add_modes.signatures) == compiled == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda m: m.weights({"mouthSmileLeft": 1.0}),
            "no expression 'mouthSmileLeft'; the nearest known one is 'mouth",
        ),
        (lambda m: m.vertices(np.zeros(7), np.zeros(10)), r"identity must be 0..6 weights, found shape \(7,\)"),
        (lambda m: m.vertices([], np.zeros(52)), r"expression must be \(10,\) weights, found shape \(52,\)"),
        (lambda m: m.vertices([np.nan], np.zeros(10)), "not a finite number"),
        (lambda m: m.vertices([], np.zeros(10), np.zeros((79, 3), np.float32)), r"found float32 \(79, 3\)"),
        (lambda m: m.normals(np.zeros((3, 3), np.float32)), r"\(80, 3\), found float32 \(3, 3\)"),
        (lambda m: m.part("nose"), "no region 'nose': the regions are face, neck, "),
        (lambda m: m.part("neck").rows_of([3]), "no vertex 3: take a larger part"),
        (lambda m: expression_from_arkit52(np.zeros(57)), r"must be \(..., 52\), found \(57,\)"),
        (lambda m: expression_from_arkit52(1.0), r"must be \(..., 52\), found \(\)"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call(small_model())
