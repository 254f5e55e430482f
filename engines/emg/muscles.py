"""From muscles to the face they make, and back: the actions of a face, what shows of each, what the electrodes pick up.

A motor state has 38 *actions*. The first 22 are the muscles under the Fridlund channels, in `FRIDLUND` order. The
others are *silent*: they move the face but have no channel of their own (EIFER, supplement B.6, names the lids'
closure and the opening of the jaw as what the scheme misses). They are carried beside the muscles:

    action              what does it                             AU        seen by which channels
    jaw_open            digastric, gravity; masseter lets go     26, 27    masseter and mentalis, hardly
    cheek_puff          air, held by buccinator and lips         -         zygomaticus, masseter, a little
    lid_close           palpebral part of orbicularis oculi      45        orbicularis oculi, a little
    lid_raise           levator palpebrae (oculomotor nerve)     5         none
    nose_wrinkle        levator labii alaeque nasi, nasalis      9         levator labii, half
    lip_press           marginal part of orbicularis oris        23 24 28  orbicularis oris, most of it
    lip_depress         depressor labii inferioris               16        depressor anguli oris, mentalis
    lip_stretch         risorius, platysma                       20        depressor anguli oris, masseter
    dimple              buccinator                               14        zygomaticus, a little

Which action unit belongs to which muscle is Ekman and Friesen's FACS, as EIFER's Table 3 gives it for these channels;
the blendshape to each action unit is FACTS 3. How much one muscle contributes to a blendshape where several share it,
and how much a channel picks up of a silent neighbour, nobody has published for these 52 shapes: those numbers are a
choice. The shares of one blendshape add up to about 1: full activation of all its muscles is the full shape.
Right and left are the person's own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import numpy as np

from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES

MUSCLES = tuple(channel.name for channel in FRIDLUND.channels)
"""The 22 muscles, for example `zygomaticus_right`, in FRIDLUND's order."""

_MIDLINE_SILENT = ("jaw_open", "cheek_puff")
_PAIRED_SILENT = ("lid_close", "lid_raise", "nose_wrinkle", "lip_press", "lip_depress", "lip_stretch", "dimple")
SILENT = _MIDLINE_SILENT + tuple(f"{name}_{side}" for name in _PAIRED_SILENT for side in ("right", "left"))
"""The 16 actions without a channel."""

ACTIONS = MUSCLES + SILENT
"""All 38 actions: the order of every array with an action axis."""

ACTION_INDEX = {name: index for index, name in enumerate(ACTIONS)}

OTHER_NERVES = ("masseter", "jaw_open", "lid_raise")
"""Not moved by the facial nerve (trigeminal, oculomotor): a facial palsy leaves them as they are."""

# Action -> what shows at full activation. `*` stands for Left or Right. A shape without sides gets half from each.
_SHOWN: dict[str, dict[str, float]] = {
    "medial_frontalis": {"browInnerUp": 0.5, "browOuterUp*": 0.15},  # AU1
    "lateral_frontalis": {"browOuterUp*": 0.85},  # AU2
    "corrugator_supercilii": {"browDown*": 0.7},  # AU4
    "depressor_supercilii": {"browDown*": 0.3, "noseSneer*": 0.1},  # AU4; procerus also wrinkles the nose's root
    "levator_labii_superioris": {"mouthUpperUp*": 0.8, "noseSneer*": 0.35},  # AU10, and the nose with it
    "orbicularis_oris": {"mouthPucker": 0.45, "mouthFunnel": 0.1},  # AU18, AU22: its peripheral part
    "depressor_anguli_oris": {"mouthFrown*": 1.0},  # AU15
    "mentalis": {"mouthShrugLower": 0.5},  # AU17
    "orbicularis_oculi": {"cheekSquint*": 0.7, "eyeSquint*": 0.8, "eyeBlink*": 0.4},  # AU6, AU7: its orbital part
    "zygomaticus": {"mouthSmile*": 1.0, "cheekSquint*": 0.25, "mouthDimple*": 0.1},  # AU12; the cheek is pushed up
    "masseter": {},  # clenching does not show
    "jaw_open": {"jawOpen": 1.0},  # AU26
    "cheek_puff": {"cheekPuff": 1.0},
    "lid_close": {"eyeBlink*": 1.0},  # AU45
    "lid_raise": {"eyeWide*": 1.0},  # AU5
    "nose_wrinkle": {"noseSneer*": 0.65, "mouthUpperUp*": 0.15},  # AU9
    "lip_press": {"mouthPress*": 0.9, "mouthRollLower": 0.2, "mouthRollUpper": 0.2},  # AU24, AU23, AU28
    "lip_depress": {"mouthLowerDown*": 1.0},  # AU16
    "lip_stretch": {"mouthStretch*": 1.0},  # AU20
    "dimple": {"mouthDimple*": 0.9},  # AU14
}

# Silent action -> how much of it the channels nearby see, as a share of their own full activation.
_PICKED_UP: dict[str, dict[str, float]] = {
    "jaw_open": {"masseter": 0.04, "mentalis": 0.06},
    "cheek_puff": {"zygomaticus": 0.08, "masseter": 0.06},
    "lid_close": {"orbicularis_oculi": 0.15},
    "lid_raise": {},
    "nose_wrinkle": {"levator_labii_superioris": 0.5},
    "lip_press": {"orbicularis_oris": 0.6, "mentalis": 0.05},
    "lip_depress": {"depressor_anguli_oris": 0.35, "mentalis": 0.2},
    "lip_stretch": {"depressor_anguli_oris": 0.2, "masseter": 0.08},
    "dimple": {"zygomaticus": 0.2},
}

_RIDGE = 5e-3  # makes the way back unique where muscles share a shape: they get equal parts
_SWEEPS = 200  # within 2e-4 of the exact solution


def action_index(name: str) -> int:
    """Place of one action, for example `zygomaticus_left` or `jaw_open`. Raises BadInput naming the nearest one."""
    if name not in ACTION_INDEX:
        raise BadInput(_not_known("action of the face", name, ACTION_INDEX))
    return ACTION_INDEX[name]


def action_columns(name: str) -> tuple[int, ...]:
    """Places of an action on both sides: `zygomaticus` gives (right, left), `jaw_open` one, `zygomaticus_left` one.

    Raises BadInput naming the nearest known one.
    """
    if name in ACTION_INDEX:
        return (ACTION_INDEX[name],)
    if f"{name}_right" in ACTION_INDEX:
        return ACTION_INDEX[f"{name}_right"], ACTION_INDEX[f"{name}_left"]
    raise BadInput(_not_known("action of the face", name, (*_SHOWN, *ACTIONS)))


def side_of(action: str) -> tuple[str, str]:
    """An action's name without its side, and the side: "right", "left" or "" for the midline."""
    name, _, side = action.rpartition("_")
    return (name, side) if side in ("right", "left") else (action, "")


def expression_vector(values: Mapping[str, float]) -> np.ndarray:
    """Blendshapes by name -> (52,) float64 in MediaPipe's order, 0 where not named.

    Raises BadInput for an unknown name (naming the nearest) or a value outside [0, 1].
    """
    vector = np.zeros(len(BLENDSHAPES))
    for name, value in values.items():
        if name not in BLENDSHAPE_INDEX:
            raise BadInput(_not_known("blendshape", name, BLENDSHAPE_INDEX))
        if not 0 <= value <= 1:
            raise BadInput(f"blendshape {name} is {value}; it must lie in 0 to 1")
        vector[BLENDSHAPE_INDEX[name]] = value
    return vector


def visible_expression(activation: np.ndarray, silent: np.ndarray | None = None) -> np.ndarray:
    """What a face shows when its muscles have been at these levels for a while (delay and dynamics: performance.py).

    activation: (..., 22) muscle activation in [0, 1], FRIDLUND order.  silent: (..., 16) the actions without a channel,
    0 when absent.  Returns (..., 52) float64 blendshapes in [0, 1], MediaPipe's order.
    Shares add up and saturate at 1. A lid that is closed is not wide: eyeWide is scaled by 1 - eyeBlink.
    Raises BadInput for other shapes, or values that are not finite or negative.
    """
    activation = _checked(activation, len(MUSCLES), "muscle activation")
    if silent is None:
        silent = np.zeros((*activation.shape[:-1], len(SILENT)))
    silent = _checked(silent, len(SILENT), "silent actions")
    if silent.shape[:-1] != activation.shape[:-1]:
        raise BadInput(f"muscles and silent actions do not fit: {activation.shape} and {silent.shape}")
    return shown_by(np.concatenate([activation, silent], axis=-1))


def activation_for(expression: np.ndarray) -> np.ndarray:
    """The muscle activation that the 22 channels see while a face shows this expression.

    expression: (..., 52) blendshapes in [0, 1].  Returns (..., 22) float64 in [0, 1], FRIDLUND order.
    Silent actions are found beside the muscles and seen as far as the channels pick them up. What does not show
    (clenched teeth, co-contraction) cannot be found: it is 0.  Raises BadInput as `actions_for`.
    """
    return at_the_sites(actions_for(expression))


def actions_for(expression: np.ndarray) -> np.ndarray:
    """The 38 actions that make an expression best: least squares with every action in [0, 1].

    expression: (..., 52) blendshapes in [0, 1].  Returns (..., 38) float64.  Shapes that no muscle makes (gaze, jaw
    sideways, tongue) are ignored.  Raises BadInput for another shape, or values that are not finite or negative.
    """
    expression = _checked(expression, len(BLENDSHAPES), "expression")
    rows = expression.reshape(-1, len(BLENDSHAPES))
    gram = SHOWN @ SHOWN.T + _RIDGE * np.eye(len(ACTIONS))
    aim = rows @ SHOWN.T
    found = np.zeros((len(rows), len(ACTIONS)))
    for _ in range(_SWEEPS):  # coordinate descent: one action at a time, all rows at once
        for a in range(len(ACTIONS)):
            step = (aim[:, a] - found @ gram[:, a]) / gram[a, a]
            found[:, a] = np.clip(found[:, a] + step, 0.0, 1.0)
    return found.reshape(*expression.shape[:-1], len(ACTIONS))


def shown_by(actions: np.ndarray) -> np.ndarray:
    """The expression that all 38 actions make, trusted. actions: (..., 38). Returns (..., 52) in [0, 1]."""
    shown: np.ndarray = np.clip(_add_up(actions, SHOWN), 0.0, 1.0)
    shown[..., _WIDE] *= 1.0 - shown[..., _BLINK]
    return shown


def at_the_sites(actions: np.ndarray) -> np.ndarray:
    """What the 22 channels see of all 38 actions, trusted. actions: (..., 38). Returns (..., 22) in [0, 1]."""
    seen: np.ndarray = np.clip(_add_up(actions, SEEN), 0.0, 1.0)
    return seen


def _add_up(actions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """actions @ matrix, action by action: BLAS would round a moment differently in other company."""
    total = np.zeros((*actions.shape[:-1], matrix.shape[1]))
    for action in np.flatnonzero(matrix.any(axis=1)):
        columns = np.flatnonzero(matrix[action])
        total[..., columns] += actions[..., action, None] * matrix[action, columns]
    return total


def _not_known(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"there is no {kind} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _checked(values: np.ndarray, width: int, what: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1:] != (width,):
        raise BadInput(f"{what} must have {width} values in its last axis, got shape {values.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise BadInput(f"{what} must be finite and not negative")
    return values


def _shown_matrix() -> np.ndarray:
    matrix = np.zeros((len(ACTIONS), len(BLENDSHAPES)))
    for row, action in zip(matrix, ACTIONS, strict=True):
        name, side = side_of(action)
        for shape, share in _SHOWN[name].items():
            row[BLENDSHAPE_INDEX[shape.replace("*", side.capitalize())]] = share
    return matrix


def _seen_matrix() -> np.ndarray:
    matrix = np.zeros((len(ACTIONS), len(MUSCLES)))
    matrix[: len(MUSCLES)] = np.eye(len(MUSCLES))
    for row, action in zip(matrix[len(MUSCLES) :], SILENT, strict=True):
        name, side = side_of(action)
        for muscle, share in _PICKED_UP[name].items():
            for each in (side,) if side else ("right", "left"):
                row[ACTION_INDEX[f"{muscle}_{each}"]] = share
    return matrix


SHOWN = _shown_matrix()
"""(38, 52): blendshape per action at full activation."""

SEEN = _seen_matrix()
"""(38, 22): channel per action; the first 22 rows are the identity."""

_WIDE = [BLENDSHAPE_INDEX["eyeWideLeft"], BLENDSHAPE_INDEX["eyeWideRight"]]
_BLINK = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]
for _matrix in (SHOWN, SEEN):
    _matrix.setflags(write=False)
