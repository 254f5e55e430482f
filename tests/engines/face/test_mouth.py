import numpy as np

from engines.face.mouth import mark_opening, paint_mouth


def test_only_what_lies_between_the_lips_is_open():
    triangle = np.full((6, 8), 2, np.int32)
    triangle[1:5, 2:7] = 11
    triangle[0, 0] = 12  # the mouth's inside has come through a cheek
    opening = np.full((6, 8), 9, np.uint8)
    assert mark_opening(triangle, 10, 20, (0, 6, 0, 8), (1, 4, 0, 8), opening) == 15
    assert (opening[1:4, 2:7] == 255).all()
    assert opening.sum() == 15 * 255


def test_it_is_darker_under_the_upper_lip():
    triangle, bary = np.zeros((20, 4), np.int32), np.full((20, 4, 3), 1 / 3, np.float32)
    opening = np.full((20, 4), 255, np.uint8)
    light = np.repeat(np.linspace(40, 255, 20).astype(np.uint8)[:, None], 4, 1)
    colour = np.full((3, 3), 200, np.float32)
    out, cover = np.zeros((20, 4, 3), np.uint8), np.zeros((20, 4), np.uint8)
    triangles = np.array([[5, 6, 7]], np.int32)
    gap = np.full((20, 4), 100, np.uint8)
    one = np.float32(1)
    paint_mouth(triangle, bary, 0, opening, (0, 20, 0, 4), triangles, 5, colour, light, gap, 2, one, out, cover)
    rows = out[:, 0].mean(1)
    assert (np.diff(rows) >= 0).all()
    assert rows[0] < 0.6 * rows[-1]
    assert (out[0, 0, 0] < out[0, 0, 2]).all()  # shade is reddish
    assert (cover == 125).all()


def test_teeth_are_the_brightest_in_a_mouth(person_of):
    person = person_of("004")
    first, regions = person.mouth.first, person.anatomy.model.regions
    bright = {
        name: person.mouth.colour[slice(*(np.array(regions[name]) - first))].mean(1).max()
        for name in ("mouth_socket", "gums_and_tongue", "teeth")
    }
    assert bright["teeth"] > 1.4 * bright["gums_and_tongue"] > 1.4 * bright["mouth_socket"]
    assert len(person.anatomy.teeth) == 32
