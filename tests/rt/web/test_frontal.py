"""The block beside the packets: its bytes, and its way to a browser, which never holds up a packet's."""

import struct

import numpy as np
import pytest

from rt.errors import BadMessage
from rt.message import Frontal, Motion, MotionState
from rt.web import frontal
from rt.web.hub import Hub, Parcel, Viewer
from rt.web.protocol import Ack

POSE = np.array([12.5, -3.0, 1.0, 12.75], np.float32)
EVEN = np.array([4.0, np.nan, -20.0], np.float32)
SMILE, NO_EXPRESSION = np.linspace(0, 1, 52, dtype=np.float32), np.zeros(0, np.float32)


def said(jpeg=b"picture", expression=SMILE, **change):
    numbers = {"pose_deg": POSE, "limit_deg": 25.0, "hidden": 0.125, "asymmetry": EVEN, "moved": EVEN, **change}
    motion = Motion(7.5, MotionState.TURNED, **numbers)
    return Frontal(motion, np.frombuffer(jpeg, np.uint8), expression)


@pytest.mark.parametrize(("jpeg", "expression"), [(b"", NO_EXPRESSION), (b"picture" * 999, SMILE)])
def test_what_went_in_comes_out(jpeg, expression):
    found = frontal.decode(frontal.encode(said(jpeg, expression)))
    assert (found.state, found.t, found.jpeg) == (2, 7.5, jpeg)
    np.testing.assert_array_equal(found.expression, expression)
    np.testing.assert_array_equal(found.values, [12.5, -3, 1, 12.75, 25, 0.125, 4, np.nan, -20])


def test_it_lies_as_the_table_says():
    data = frontal.encode(said())
    assert data[:4] == b"MYOF"
    assert struct.unpack_from("<HHII", data, 4) == (2, 2, 7, 52)
    assert struct.unpack_from("<d9f", data, 16)[:3] == (7.5, 12.5, -3.0)
    assert struct.unpack_from("<52f", data, 60) == tuple(SMILE.tolist())
    assert data[60 + 4 * 52 :] == b"picture"


@pytest.mark.parametrize("data", [b"", b"MYOF", frontal.encode(said())[:-1], b"x" + frontal.encode(said())[1:]])
def test_what_is_cut_or_something_else_is_refused(data):
    with pytest.raises(BadMessage, match="frontal block"):
        frontal.decode(data)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(BadMessage, match="4 angles, 3 asymmetries"):
        frontal.encode(said(pose_deg=POSE[:3]))
    with pytest.raises(BadMessage, match="52 float32"):
        frontal.encode(said(expression=SMILE[:51]))


def test_only_the_newest_waits_behind_the_packet_and_only_while_there_is_credit():
    outcomes = []
    hub, viewer = Hub(outcomes.append, lambda: 1.0), Viewer(credit=2)
    hub.enter(viewer)
    for block in (b"old", b"new"):
        hub.offer_aside(block)
    hub.offer(Parcel(1, b"packet", True))
    assert [viewer.take(), viewer.take(), viewer.take()] == [b"packet", b"new", None]
    hub.offer(Parcel(2, b"packet", True))
    hub.offer_aside(b"late")
    assert [viewer.take(), viewer.take()] == [b"packet", None]  # two answers are owed
    assert hub.answer(viewer, Ack(1, True, 1.0))
    assert viewer.take() == b"late"
    hub.see(viewer, False)
    hub.offer_aside(b"unseen")
    assert viewer.take() is None
    assert [outcome.packet_id for outcome in outcomes] == [1]  # blocks are not counted
