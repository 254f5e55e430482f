import numpy as np
import pytest
from scipy import optimize

from engines.emg.montage import FRIDLUND
from engines.emg.muscles import (
    ACTION_INDEX,
    ACTIONS,
    MUSCLES,
    SEEN,
    SHOWN,
    SILENT,
    action_columns,
    action_index,
    actions_for,
    activation_for,
    at_the_sites,
    expression_vector,
    shown_by,
    side_of,
    visible_expression,
)
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def only(action, level=1.0):
    actions = np.zeros(len(ACTIONS))
    actions[ACTION_INDEX[action]] = level
    return actions


def test_the_order_is_the_montages():
    assert len(MUSCLES) == 22
    assert len(ACTIONS) == 38
    assert [FRIDLUND.column(name) for name in MUSCLES] == list(range(22))
    np.testing.assert_array_equal(SEEN[:22], np.eye(22))


# FACS unit -> (muscle, the blendshapes that FACTS 3 gives for it); EIFER's Table 3 gives the unit for the muscle.
FACS = {
    "AU1": ("medial_frontalis", ("browInnerUp",)),
    "AU2": ("lateral_frontalis", ("browOuterUpLeft",)),
    "AU4": ("corrugator_supercilii", ("browDownLeft",)),
    "AU4 too": ("depressor_supercilii", ("browDownLeft",)),
    "AU6 and 7": ("orbicularis_oculi", ("cheekSquintLeft", "eyeSquintLeft")),
    "AU10": ("levator_labii_superioris", ("mouthUpperUpLeft",)),
    "AU12": ("zygomaticus", ("mouthSmileLeft",)),
    "AU15": ("depressor_anguli_oris", ("mouthFrownLeft",)),
    "AU17": ("mentalis", ("mouthShrugLower",)),
    "AU18 and 22": ("orbicularis_oris", ("mouthPucker", "mouthFunnel")),
    "AU5": ("lid_raise", ("eyeWideLeft",)),
    "AU9": ("nose_wrinkle", ("noseSneerLeft",)),
    "AU16": ("lip_depress", ("mouthLowerDownLeft",)),
    "AU20": ("lip_stretch", ("mouthStretchLeft",)),
    "AU24": ("lip_press", ("mouthPressLeft",)),
    "AU45": ("lid_close", ("eyeBlinkLeft",)),
}


@pytest.mark.parametrize("unit", FACS)
def test_each_muscle_makes_its_action_unit_on_its_own_side(unit):
    muscle, shapes = FACS[unit]
    shown = shown_by(only(f"{muscle}_left"))
    for shape in shapes:
        assert shown[BLENDSHAPE_INDEX[shape]] > 0.05
        other = shape.replace("Left", "Right")
        assert other == shape or shown[BLENDSHAPE_INDEX[other]] == 0
    assert shown.argmax() in [BLENDSHAPE_INDEX[shape] for shape in (*shapes, "cheekSquintLeft")]


def test_right_is_the_mirror_image_of_left():
    swapped = [n.replace("Left", "?").replace("Right", "Left").replace("?", "Right") for n in BLENDSHAPES]
    mirrored = [BLENDSHAPE_INDEX[name] for name in swapped]
    for action in ACTIONS:
        name, side = side_of(action)
        if side == "left":
            right = ACTION_INDEX[f"{name}_right"]
            np.testing.assert_array_equal(SHOWN[right][mirrored], SHOWN[ACTION_INDEX[action]])
            np.testing.assert_array_equal(SEEN[right].reshape(11, 2)[:, ::-1].ravel(), SEEN[ACTION_INDEX[action]])


def test_clenching_does_not_show_and_jaw_and_cheeks_have_hardly_a_channel():
    assert not visible_expression(only("masseter_left")[:22]).any()
    for action, shape in (("jaw_open", "jawOpen"), ("cheek_puff", "cheekPuff")):
        assert shown_by(only(action))[BLENDSHAPE_INDEX[shape]] == 1.0
        assert at_the_sites(only(action)).max() < 0.1


def test_shares_of_one_shape_add_up_to_about_one():
    total = SHOWN.sum(axis=0)
    assert set(np.flatnonzero(total > 1.5)) == set()
    for shape in ("browInnerUp", "browOuterUpLeft", "browDownRight", "mouthSmileLeft", "noseSneerLeft"):
        assert 0.9 < total[BLENDSHAPE_INDEX[shape]] <= 1.11


def test_shape_of_the_arrays_is_kept(rng):
    activation = rng.random((2, 5, 22))
    shown = visible_expression(activation)
    assert shown.shape == (2, 5, 52)
    np.testing.assert_array_equal(shown[1, 3], visible_expression(activation[1, 3]))
    np.testing.assert_allclose(shown, np.clip(activation @ SHOWN[:22], 0, 1), atol=1e-12)  # no lid is raised
    with_silent = visible_expression(activation, rng.random((2, 5, len(SILENT))))
    assert 0 <= with_silent.min() <= with_silent.max() <= 1
    assert activation_for(shown).shape == (2, 5, 22)
    assert actions_for(np.zeros((0, 52))).shape == (0, 38)


def test_a_closed_lid_is_not_wide():
    wide, blink = BLENDSHAPE_INDEX["eyeWideLeft"], BLENDSHAPE_INDEX["eyeBlinkLeft"]
    assert shown_by(only("lid_raise_left"))[wide] == 1.0
    shown = shown_by(only("lid_raise_left") + only("lid_close_left", 0.75))
    assert shown[blink] == 0.75
    assert shown[wide] == 0.25


HIDDEN_OR_SHARED = ("masseter", "depressor_supercilii")  # does not show; shows only as a part of what corrugator does


@pytest.mark.parametrize("action", [a for a in ACTIONS if side_of(a)[0] not in HIDDEN_OR_SHARED])
def test_the_way_back_finds_what_moved(action):
    """Most of what is found is what moved; muscles that share a shape (medial frontalis: one browInnerUp) share it."""
    found = actions_for(shown_by(only(action, 0.6)))
    shared = {"medial_frontalis", "orbicularis_oris", "mentalis"}
    partners = action_columns(side_of(action)[0]) if side_of(action)[0] in shared else (ACTION_INDEX[action],)
    assert found[list(partners)].sum() == pytest.approx(0.6, abs=0.12)
    others = np.delete(found, partners)
    assert others.max() < 0.25


def test_the_way_back_is_the_bounded_least_squares_solution(rng):
    """The slow twin: SciPy's solver, one row at a time, with the ridge as extra rows."""
    for expression in rng.random((5, 52)) * (rng.random((5, 52)) < 0.3):
        system = np.vstack([SHOWN.T, np.sqrt(5e-3) * np.eye(38)])
        twin = optimize.lsq_linear(system, np.concatenate([expression, np.zeros(38)]), (0, 1), "bvls", 1e-14).x
        np.testing.assert_allclose(actions_for(expression), twin, atol=1e-3)


def test_a_face_survives_the_way_back_and_forth(rng):
    """Expressions that muscles can make are found again; the lids' rule is the only bent part."""
    actions = rng.random((20, 38)) * 0.5
    actions[:, [ACTION_INDEX["lid_raise_left"], ACTION_INDEX["lid_raise_right"]]] = 0.0
    shown = shown_by(actions)
    np.testing.assert_allclose(shown_by(actions_for(shown)), shown, atol=0.01)


def test_channels_see_silent_actions_of_a_face():
    pressed = activation_for(expression_vector({"mouthPressLeft": 0.9, "mouthPressRight": 0.9}))
    assert pressed[FRIDLUND.column("F11")] > 0.3
    assert pressed[FRIDLUND.column("F21")] == pytest.approx(0.0, abs=0.01)


def test_bad_names_and_numbers_are_sentences():
    with pytest.raises(BadInput, match="no action of the face 'zygomatic'; did you mean 'zygomaticus'"):
        action_columns("zygomatic")
    with pytest.raises(BadInput, match="did you mean 'jaw_open'"):
        action_index("jawopen")
    with pytest.raises(BadInput, match="no blendshape 'mouthSmile_L'; did you mean 'mouthSmileLeft'"):
        expression_vector({"mouthSmile_L": 0.5})
    with pytest.raises(BadInput, match=r"jawOpen is 1\.5"):
        expression_vector({"jawOpen": 1.5})
    with pytest.raises(BadInput, match="22 values in its last axis"):
        visible_expression(np.zeros(21))
    with pytest.raises(BadInput, match="finite and not negative"):
        visible_expression(np.full(22, -0.1))
    with pytest.raises(BadInput, match="do not fit"):
        visible_expression(np.zeros((3, 22)), np.zeros((2, 16)))
    with pytest.raises(BadInput, match="52 values"):
        activation_for(np.zeros((4, 51)))
