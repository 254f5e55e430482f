"""Electrodes on the canonical face seen as a picture: where they lie, what they cover, nothing by chance."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.camera import rotation_from_vector
from engines.face.canonical import CanonicalFace
from engines.face.electrode_style import ElectrodeStyle
from engines.face.electrodes import Electrodes
from engines.face.light import Light

ASSETS = Path(os.environ.get("MYOMIRROR_ASSETS", "/nowhere"))
HEIGHT, WIDTH, SCALE = 480, 640, 18.0
PLAIN = ElectrodeStyle(error_cm=0.0, cap=None)


@pytest.fixture(scope="module")
def face():
    if not (ASSETS / "canonical_face_model.obj").is_file():
        pytest.skip("needs canonical_face_model.obj in $MYOMIRROR_ASSETS")
    return CanonicalFace.load(ASSETS)


def landmarks(face, yaw_deg=0.0):
    """The canonical face, turned about its height, as landmarks of a picture."""
    turned = face.vertices @ rotation_from_vector([0, np.deg2rad(yaw_deg), 0]).T
    return (turned[:, :2] * [SCALE, -SCALE] + [WIDTH / 2, HEIGHT / 2]).astype(np.float32)


def skin():
    return np.full((HEIGHT, WIDTH, 3), (120, 140, 180), np.uint8)


def test_both_schemes_put_62_and_a_reference_on(face):
    labels = Electrodes(face, 1, style=PLAIN).labels
    assert len(labels) == len(set(labels)) == 44 + 19
    assert {"F20a", "F20b", "K19", "K24"} <= set(labels)
    assert {label[0] for label in Electrodes(face, 1, ["kuramoto"], PLAIN).labels} == {"K"}
    half = replace(PLAIN, missing=0.5)
    assert 15 < len(Electrodes(face, 1, style=half).labels) < 50


def test_a_channel_lies_between_its_two_electrodes_on_the_persons_own_side(face):
    found = Electrodes(face, 1, style=PLAIN)
    place = dict(zip(found.labels, found.positions_px(landmarks(face)), strict=True))
    for right, left in (("F19", "F20"), ("F1", "F2"), ("F17", "F18")):
        right_x, left_x = ((place[n + "a"] + place[n + "b"])[0] / 2 - WIDTH / 2 for n in (right, left))
        assert right_x < 0 < left_x  # unmirrored: the person's right is on the picture's left
        assert right_x == pytest.approx(-left_x, abs=3)
        apart = np.linalg.norm(place[left + "a"] - place[left + "b"]) / SCALE
        assert 0.6 * PLAIN.apart_cm < apart < 1.1 * PLAIN.apart_cm
    brows, chin = place["F2a"][1], place["F16a"][1]
    assert brows < place["F18a"][1] < place["F20a"][1] < chin


def test_electrodes_follow_the_skin(face):
    found = Electrodes(face, 1, style=PLAIN)
    before = landmarks(face)
    after = before.copy()
    near = np.linalg.norm(before - found.positions_px(before)[0], axis=1) < 2.5 * SCALE
    after[near] += [7, -4]
    np.testing.assert_allclose(found.positions_px(after)[0] - found.positions_px(before)[0], [7, -4], atol=1.5)


def test_the_mask_says_what_is_covered(face):
    picture = skin()
    mask = Electrodes(face, 3).draw(picture, landmarks(face))
    change = np.abs(picture.astype(int) - skin()).max(2)
    darker = (picture.astype(int) <= skin()).all(2)
    assert 0.03 < (mask > 127).mean() < 0.3
    assert darker[mask == 0].all()  # beside it there are only shadows
    # two shadows may fall on one place
    assert change[mask == 0].max() < 0.8 * 180
    assert (change[mask == 255] > 4).mean() > 0.9


def test_tapes_are_white_squares_with_dark_discs(face):
    style = replace(PLAIN, disc_dark=1.0)
    found = Electrodes(face, 2, ["kuramoto"], style)
    picture = skin()
    picture[:80, :80] = 235  # a bright wall: the picture is not a dark one
    mask = found.draw(picture, landmarks(face))
    place = dict(zip(found.labels, found.positions_px(landmarks(face)), strict=True))
    x, y = np.rint(place["K19"]).astype(int)
    assert picture[y, x].max() < 110
    assert mask[y, x] > 200
    half = int(style.tape_cm / 2 * SCALE)
    around = picture[y - half : y + half, x - half : x + half].min(2)
    assert (around > 190).sum() > 0.3 * around.size


def test_an_electrode_on_skin_that_is_turned_away_is_hidden(face):
    found = Electrodes(face, 1, ["kuramoto"], PLAIN)

    def covered(label, yaw_deg):
        points = landmarks(face, yaw_deg)
        x, y = found.positions_px(points)[found.labels.index(label)]
        return found.draw(skin(), points)[int(y), int(x)] > 100

    assert [covered("K17", yaw) for yaw in (0, 50)] == [True, True]  # the person's right cheek turns to the viewer
    assert [covered("K18", yaw) for yaw in (0, 50)] == [True, False]


def test_the_same_seed_gives_the_same_bytes(face):
    def drawn(seed, t_s=0.0):
        picture = skin()
        mask = Electrodes(face, seed).draw(picture, landmarks(face), t_s)
        return picture.tobytes() + mask.tobytes()

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)
    assert drawn(5, 2.0) != drawn(5)  # cables sway


def test_placement_errors_are_as_large_as_said(face):
    style = replace(PLAIN, error_cm=0.3)
    exact = Electrodes(face, 0, style=PLAIN)
    place = dict(zip(exact.labels, exact.positions_px(landmarks(face)), strict=True))
    offsets = []
    for seed in range(6):
        found = Electrodes(face, seed, style=style)
        where = dict(zip(found.labels, found.positions_px(landmarks(face)), strict=True))
        offsets += [(where[label] - place[label]) / SCALE for label in ("K19", "F2a", "F1a", "F8b", "K9", "K10")]
    assert 0.2 < np.std(offsets) < 0.4


def test_light_moves_the_shadows_and_tints_the_tapes(face):
    def drawn(light):
        picture = skin()
        Electrodes(face, 4, style=PLAIN).draw(picture, landmarks(face), light=light)
        return picture.astype(int)

    left, right = drawn(Light((-1.0, 0.2, 1.0))), drawn(Light((1.0, 0.2, 1.0)))
    assert np.abs(left - right).max() > 30
    warm = drawn(Light(tint=(0.8, 1.0, 1.2)))
    assert (warm[..., 2] - warm[..., 0]).max() > (drawn(Light())[..., 2] - drawn(Light())[..., 0]).min() + 30


def test_what_lies_outside_the_picture_is_left_out(face):
    picture = skin()
    far = landmarks(face) + np.float32([5000, -3000])
    assert not Electrodes(face, 1).draw(picture, far).any()
    np.testing.assert_array_equal(picture, skin())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p, m: (p, m[:400], None), "468"),
        (lambda p, m: (p, m * np.nan, None), "468"),
        (lambda p, m: (p[:, :, 0], m, None), "picture"),
        (lambda p, m: (p, m, np.zeros((3, 3), np.uint8)), "output"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(face, change, said):
    picture, points, mask = change(skin(), landmarks(face))
    with pytest.raises(BadInput, match=said):
        Electrodes(face, 1).draw(picture, points, mask=mask)


def test_unknown_schemes_and_absurd_styles_are_refused(face):
    with pytest.raises(BadInput, match="did you mean fridlund"):
        Electrodes(face, 1, ["fridlunt"])
    with pytest.raises(BadInput, match=r"tape_cm in 0\.3\.\.2, found -1"):
        ElectrodeStyle(tape_cm=-1)
    with pytest.raises(BadInput, match="cable colour"):
        ElectrodeStyle(cable_colours=())
