"""From MediaPipe's 52 blendshapes to the 17 action units that Cascade EF-GAN is told, and back.

The units and their scale are OpenFace's (Baltrusaitis et al. 2018), which the paper reads them with: 1 2 4 5 6 7 9 10
12 14 15 17 20 23 25 26 45, each 0 (absent) to 5 (maximum; FACS' A to E are 1 to 5).  Free detectors of them do not
exist, so they are made from blendshapes: both sides' mean, one unit of intensity per fifth of a blendshape.

    unit  made from                         source
    1     browInnerUp                       FACS 1, inner brow raiser (ICT-FaceKit's table, as all without a word)
    2     browOuterUp                       FACS 2, outer brow raiser
    4     browDown                          FACS 4, brow lowerer
    5     eyeWide                           FACS 5, upper lid raiser
    6     cheekSquint                       FACS 6, cheek raiser
    7     eyeSquint                         FACS 7, lid tightener
    9     noseSneer                         FACS 9, nose wrinkler
    10    mouthUpperUp                      FACS 10, upper lip raiser
    12    mouthSmile                        FACS 12, lip corner puller
    14    mouthDimple                       FACS 14, dimpler
    15    mouthFrown                        FACS 15, lip corner depressor
    17    mouthShrugLower                   FACS 17, chin raiser
    20    mouthStretch                      FACS 20, lip stretcher
    23    mouthPress                        FACS 24 by the table, lip presser; 23, lip tightener, has no blendshape and
                                            is the same muscle (orbicularis oris): a choice
    25    jawOpen + 0.7 mouthLowerDown      FACS 25, lips part: how far lips are apart; the shares are a choice
          + 0.3 mouthUpperUp - mouthClose
    26    jawOpen                           FACS 26, jaw drop
    45    eyeBlink                          FACS 45, blink

What the 17 cannot say: which side moves, puckered or funnelled lips (18, 22), rolled lips (28), puffed cheeks (34),
gaze.  The profile "arkit52" says all of it: there a label is the blendshapes themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES

Floats = npt.NDArray[np.float32]

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""The 17, in OpenFace's order, which every array with a unit axis has."""

STRONGEST = 5.0
PROFILES: Mapping[str, int] = {"facs17": len(UNITS), "arkit52": len(BLENDSHAPES)}
"""How an expression is put into numbers -> how many they are."""

_PARTED_BY_JAW, _PARTED_BELOW, _PARTED_ABOVE = 1.0, 0.7, 0.3
_MADE_FROM: Mapping[int, Mapping[str, float]] = {
    1: {"browInnerUp": 1.0},
    2: {"browOuterUp*": 1.0},
    4: {"browDown*": 1.0},
    5: {"eyeWide*": 1.0},
    6: {"cheekSquint*": 1.0},
    7: {"eyeSquint*": 1.0},
    9: {"noseSneer*": 1.0},
    10: {"mouthUpperUp*": 1.0},
    12: {"mouthSmile*": 1.0},
    14: {"mouthDimple*": 1.0},
    15: {"mouthFrown*": 1.0},
    17: {"mouthShrugLower": 1.0},
    20: {"mouthStretch*": 1.0},
    23: {"mouthPress*": 1.0},
    25: {
        "jawOpen": _PARTED_BY_JAW,
        "mouthLowerDown*": _PARTED_BELOW,
        "mouthUpperUp*": _PARTED_ABOVE,
        "mouthClose": -1.0,
    },
    26: {"jawOpen": 1.0},
    45: {"eyeBlink*": 1.0},
}
_REGIONS = {
    "eyes": ("brow", "eye", "cheekSquint"),
    "nose": ("noseSneer", "cheekSquint", "mouthUpperUp"),
    "mouth": ("mouth", "jaw", "cheekPuff"),
}


def units_from_arkit52(blendshapes: npt.ArrayLike) -> Floats:
    """(..., 17) float32 intensities, 0..5.

    blendshapes: (..., 52), 0..1, in MediaPipe's order; NaN makes the units that it goes into NaN.
    Raises BadInput for another shape.
    """
    values = np.asarray(blendshapes, np.float32)
    if values.shape[-1:] != (len(BLENDSHAPES),):
        raise BadInput(f"action units are made from (..., {len(BLENDSHAPES)}) blendshapes, found {values.shape}")
    found = np.zeros((*values.shape[:-1], len(UNITS)), np.float32)
    for column, row in enumerate(_MATRIX):  # no product of matrices: 0 x NaN would spread
        for shape in np.flatnonzero(row):
            found[..., column] += row[shape] * values[..., shape]
    return np.clip(STRONGEST * found, 0.0, STRONGEST)


def arkit52_from_units(units: npt.ArrayLike) -> Floats:
    """(..., 52) float32 blendshapes, 0..1, both sides alike, that make these units; what the units do not say is 0.

    units: (..., 17), 0..5.  Lips are parted by the jaw first, then by the upper and the lower lip, and closed over an
    open jaw by mouthClose.  `units_from_arkit52` gives the units back, but for lips further apart than a face can have
    them.  Raises BadInput for another shape, or values that are not within 0..5.
    """
    values = np.asarray(units, np.float32)
    if values.shape[-1:] != (len(UNITS),):
        raise BadInput(f"there are {len(UNITS)} action units, found an array of shape {values.shape}")
    if not ((values >= 0) & (values <= STRONGEST)).all():
        raise BadInput(f"an action unit's intensity is 0 to {STRONGEST:g}, found {values.min():g} to {values.max():g}")
    share = values / STRONGEST
    found = np.zeros((*values.shape[:-1], len(BLENDSHAPES)), np.float32)
    for column, unit in enumerate(UNITS):
        if unit != 25:
            for shape in np.flatnonzero(_MATRIX[column]):
                found[..., shape] = share[..., column]
    jaw, upper = (share[..., UNITS.index(unit)] for unit in (26, 10))
    apart = share[..., UNITS.index(25)] - _PARTED_BY_JAW * jaw - _PARTED_ABOVE * upper
    lower = np.clip(apart / _PARTED_BELOW, 0.0, 1.0)
    for side in ("Left", "Right"):
        found[..., BLENDSHAPE_INDEX[f"mouthLowerDown{side}"]] = lower
    found[..., BLENDSHAPE_INDEX["mouthClose"]] = np.clip(-apart, 0.0, 1.0)
    return found


def labels_from_arkit52(blendshapes: npt.ArrayLike, profile: str) -> Floats:
    """What a network of this profile is told of an expression: (..., 17) 0..1, or (..., 52) 0..1, float32.

    Action units divided by 5, or the blendshapes themselves.  Raises BadInput for an unknown profile or shape.
    """
    check_profile(profile)
    if profile == "facs17":
        return units_from_arkit52(blendshapes) / np.float32(STRONGEST)
    values = np.asarray(blendshapes, np.float32)
    if values.shape[-1:] != (len(BLENDSHAPES),):
        raise BadInput(f"an expression is (..., {len(BLENDSHAPES)}) blendshapes, found {values.shape}")
    return np.clip(values, 0.0, 1.0)


def mirrored(labels: Floats, profile: str) -> Floats:
    """Labels of a picture that was flipped left to right.  labels: (..., 17) or (..., 52).  Raises BadInput."""
    check_profile(profile)
    return labels if profile == "facs17" else np.ascontiguousarray(labels[..., _OTHER_SIDE])


def labels_in(region: str, profile: str) -> tuple[int, ...]:
    """Places of the labels that show in a region: "eyes", "nose" or "mouth".  Raises BadInput for others."""
    check_profile(profile)
    if region not in _REGIONS:
        raise BadInput(f"regions of a face are {', '.join(_REGIONS)}, found {region!r}")
    shapes = [i for i, name in enumerate(BLENDSHAPES) if name.startswith(_REGIONS[region])]
    if profile == "arkit52":
        return tuple(shapes)
    return tuple(row for row in range(len(UNITS)) if _MATRIX[row][shapes].any())


def check_profile(profile: str) -> None:
    """Raise BadInput naming the nearest for a profile that is not known."""
    if profile not in PROFILES:
        near = difflib.get_close_matches(profile, PROFILES, 1, cutoff=0.0)[0]
        raise BadInput(f"there is no profile {profile!r} of expressions; the nearest one is {near!r}")


def _matrix() -> npt.NDArray[np.float32]:
    matrix = np.zeros((len(UNITS), len(BLENDSHAPES)), np.float32)
    for row, unit in zip(matrix, UNITS, strict=True):
        for name, share in _MADE_FROM[unit].items():
            sides = [name.replace("*", side) for side in ("Left", "Right")] if "*" in name else [name]
            for each in sides:
                row[BLENDSHAPE_INDEX[each]] += share / len(sides)
    matrix.setflags(write=False)
    return matrix


def _other_side(name: str) -> int:
    for one, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return BLENDSHAPE_INDEX[name.removesuffix(one) + other]
    return BLENDSHAPE_INDEX[name]


_MATRIX = _matrix()  # (17, 52)
_OTHER_SIDE = [_other_side(name) for name in BLENDSHAPES]
