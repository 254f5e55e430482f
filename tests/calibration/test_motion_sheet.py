"""A sheet of movements: two rows each, a column per way, empty where a way makes no picture."""

import numpy as np

from calibration.motion_peers import Frontalised, Movement
from calibration.motion_sheet import _lines, draw_motion_sheet


def test_every_way_has_a_column():
    grey, flow = np.full((64, 64, 3), 90, np.uint8), np.full((32, 32, 2), 4, np.float32)
    given = Movement(grey, grey, np.zeros((2, 478, 2), np.float32), flow, flow)
    ways = [("no frontalisation", Frontalised(flow, grey)), ("lost", Frontalised(None, None))]
    two = draw_motion_sheet([("happy, yaw", given, Frontalised(flow, grey), ways)] * 2)
    one = draw_motion_sheet([("happy, yaw", given, Frontalised(flow, grey), ways[:1])])
    assert two.shape[1] - one.shape[1] == 156
    assert two.shape[0] > 1.5 * one.shape[0]
    place = two[62 + 24 + 10, 20 + 4 * 156 + 10]
    assert place.tolist() == [236, 232, 230]


def test_names_fit_into_two_lines():
    assert _lines("ours: rigid flow subtracted") == ["ours: rigid flow", "subtracted"]
    assert len(_lines("a very long name of a way that goes on")) == 2
