"""Action units from blendshapes: against the table in words, there and back, and what is refused."""

import numpy as np
import pytest

from engines.emg.muscles import shown_by
from engines.emg.tasks import task_named
from engines.errors import BadInput
from engines.face.action_units import (
    PROFILES,
    UNITS,
    arkit52_from_units,
    labels_from_arkit52,
    labels_in,
    mirrored,
    units_from_arkit52,
)
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES

TABLE = {  # as FACTS 3 has it
    1: "browInnerUp", 2: "browOuterUp", 4: "browDown", 5: "eyeWide", 6: "cheekSquint", 7: "eyeSquint", 9: "noseSneer",
    10: "mouthUpperUp", 12: "mouthSmile", 14: "mouthDimple", 15: "mouthFrown", 17: "mouthShrugLower",
    20: "mouthStretch", 23: "mouthPress", 26: "jawOpen", 45: "eyeBlink",
}  # fmt: skip


def by_name(row):
    return dict(zip(BLENDSHAPES, row.tolist(), strict=True))


def naive_units(row):
    """One unit after the other, from names."""
    values, found = by_name(row), []

    def both(name):
        sides = [values[each] for each in (name, f"{name}Left", f"{name}Right") if each in values]
        return sum(sides) / len(sides)

    for unit in UNITS:
        if unit == 25:
            apart = both("jawOpen") + 0.7 * both("mouthLowerDown") + 0.3 * both("mouthUpperUp") - both("mouthClose")
        else:
            apart = both(TABLE[unit])
        found.append(min(max(5 * apart, 0), 5))
    return found


def test_the_units_are_openfaces():
    assert UNITS == (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    assert len(UNITS) == PROFILES["facs17"]


def test_units_are_the_table():
    rows = np.random.default_rng(0).random((40, 52)).astype(np.float32)
    rows[::2] **= 6
    wanted = np.array([naive_units(row) for row in rows])
    np.testing.assert_allclose(units_from_arkit52(rows), wanted, atol=1e-5)
    np.testing.assert_array_equal(units_from_arkit52(rows.reshape(4, 10, 52))[1, 2], units_from_arkit52(rows[12]))


def test_one_side_is_half():
    face = np.zeros(52, np.float32)
    face[BLENDSHAPE_INDEX["mouthSmileLeft"]] = 1
    units = dict(zip(UNITS, units_from_arkit52(face).tolist(), strict=True))
    assert units.pop(12) == pytest.approx(2.5)
    assert not any(units.values())


def test_there_and_back():
    units = np.random.default_rng(1).uniform(0, 5, (200, 17)).astype(np.float32)
    jaw, upper, lips = (units[:, UNITS.index(unit)] for unit in (26, 10, 25))
    possible = (lips - jaw - 0.3 * upper <= 5 * 0.7) & (jaw + 0.3 * upper - lips <= 5)
    assert possible.mean() > 0.7
    faces = arkit52_from_units(units)
    assert faces.min() >= 0
    assert faces.max() <= 1
    np.testing.assert_allclose(units_from_arkit52(faces)[possible], units[possible], atol=1e-5)
    rest = [i for i in range(17) if UNITS[i] != 25]
    np.testing.assert_allclose(units_from_arkit52(faces)[:, rest], units[:, rest], atol=1e-5)


@pytest.mark.parametrize(
    ("emotion", "units"),  # EMFACS' prototypes, as engines/emg/tasks.py quotes them
    [("happy", (6, 12)), ("sad", (1, 4, 15)), ("angry", (4, 7, 23)), ("surprised", (1, 2, 5, 26))],
)
def test_an_emotion_shows_its_prototypes_units(emotion, units):
    found = dict(zip(UNITS, units_from_arkit52(shown_by(task_named(emotion).intent)).tolist(), strict=True))
    assert min(found[unit] for unit in units) > 0.9
    assert max(found, key=found.get) in (*units, 25)


def test_nobody_knows_stays_unknown_where_it_is():
    face = np.zeros(52, np.float32)
    face[BLENDSHAPE_INDEX["jawOpen"]] = np.nan
    unknown = np.isnan(units_from_arkit52(face))
    assert [unit for unit, gone in zip(UNITS, unknown, strict=True) if gone] == [25, 26]


def test_labels_and_their_mirror_image():
    rows = np.random.default_rng(2).random((5, 52)).astype(np.float32)
    np.testing.assert_allclose(labels_from_arkit52(rows, "facs17"), units_from_arkit52(rows) / 5)
    np.testing.assert_array_equal(labels_from_arkit52(rows, "arkit52"), rows)
    np.testing.assert_array_equal(mirrored(rows[:, :17], "facs17"), rows[:, :17])
    turned = mirrored(rows, "arkit52")
    for name in ("mouthSmileLeft", "eyeLookInRight"):
        other = name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        np.testing.assert_array_equal(turned[:, BLENDSHAPE_INDEX[name]], rows[:, BLENDSHAPE_INDEX[other]])
    np.testing.assert_array_equal(mirrored(turned, "arkit52"), rows)
    flipped = labels_from_arkit52(turned, "facs17")
    np.testing.assert_allclose(flipped, labels_from_arkit52(rows, "facs17"), atol=1e-6)


def test_regions_hold_what_shows_there():
    found = {region: {UNITS[i] for i in labels_in(region, "facs17")} for region in ("eyes", "nose", "mouth")}
    assert found["eyes"] == {1, 2, 4, 5, 6, 7, 45}
    assert found["nose"] == {6, 9, 10, 25}
    assert found["mouth"] == {10, 12, 14, 15, 17, 20, 23, 25, 26}
    names = {BLENDSHAPES[i] for region in found for i in labels_in(region, "arkit52")}
    assert names == set(BLENDSHAPES) - {"_neutral"}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: units_from_arkit52(np.zeros(51)), "52.*found \\(51,\\)"),
        (lambda: arkit52_from_units(np.zeros(16)), "17 action units, found an array of shape \\(16,\\)"),
        (lambda: arkit52_from_units(np.full(17, 6.0)), "0 to 5, found 6 to 6"),
        (lambda: labels_from_arkit52(np.zeros(52), "facs"), "nearest one is 'facs17'"),
        (lambda: labels_from_arkit52(np.zeros(17), "arkit52"), "52.*found \\(17,\\)"),
        (lambda: labels_in("ears", "facs17"), "eyes, nose, mouth, found 'ears'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call()
