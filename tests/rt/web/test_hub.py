"""Credits, the one waiting place, and that every packet is settled exactly once."""

import random
from collections import Counter

import pytest

from rt.web.hub import Hub, Outcome, Parcel, Viewer
from rt.web.protocol import Ack


def hub_and_outcomes():
    outcomes: list[Outcome] = []
    return Hub(outcomes.append, lambda: 1.0), outcomes


def parcel(number: int, picture: bool = True) -> Parcel:
    return Parcel(number, bytes([number % 256]), picture)


def sent(viewer: Viewer) -> list[bytes | str]:
    """Everything that the viewer may be sent now."""
    return list(iter(viewer.take, None))


def test_three_credits_then_the_newest_waits_alone():
    hub, outcomes = hub_and_outcomes()
    viewer = Viewer(credit=3)
    hub.enter(viewer)
    got = []
    for number in range(6):
        hub.offer(parcel(number))
        got += sent(viewer)
    assert got == [b"\0", b"\1", b"\2"]
    assert [(o.packet_id, o.reason) for o in outcomes] == [(3, "viewer_busy"), (4, "viewer_busy")]
    assert hub.answer(viewer, Ack(1, True, 2.5))
    assert outcomes[-1] == Outcome(1, "", 1.0, 2.5)
    assert sent(viewer) == [b"\5"]


def test_values_never_push_out_a_picture_that_waits():
    hub, outcomes = hub_and_outcomes()
    viewer = Viewer(credit=1)
    hub.enter(viewer)
    hub.offer(parcel(0))
    sent(viewer)
    for number, picture in enumerate((False, False, True, False), start=1):
        hub.offer(parcel(number, picture))
    assert [o.packet_id for o in outcomes] == [1, 2, 4]
    hub.answer(viewer, Ack(0, True, 0.0))
    assert sent(viewer) == [b"\3"]


def test_nobody_there_or_nobody_looking():
    hub, outcomes = hub_and_outcomes()
    hub.offer(parcel(0))
    viewer = Viewer(3)
    hub.enter(viewer)
    hub.see(viewer, False)
    hub.offer(parcel(1))
    assert [(o.packet_id, o.reason) for o in outcomes] == [(0, "no_viewer"), (1, "no_viewer")]


def test_hiding_gives_the_waiting_packet_back():
    hub, outcomes = hub_and_outcomes()
    viewer = Viewer(1)
    hub.enter(viewer)
    for number in (0, 1):
        hub.offer(parcel(number))
        sent(viewer)
    hub.see(viewer, False)
    assert [(o.packet_id, o.reason) for o in outcomes] == [(1, "no_viewer")]


def test_leaving_settles_everything_and_hands_the_control_on():
    hub, outcomes = hub_and_outcomes()
    first, second = Viewer(1), Viewer(1)
    hub.enter(first)
    hub.enter(second)
    assert hub.controller is first
    for number in (0, 1):
        hub.offer(parcel(number))
        sent(first)
        sent(second)
    hub.leave(first)
    assert hub.controller is second
    assert outcomes == []  # the other one still has both
    hub.answer(second, Ack(0, True, 0.0))
    hub.leave(second)
    assert hub.controller is None
    assert [(o.packet_id, o.reason) for o in outcomes] == [(0, ""), (1, "no_viewer")]


def test_an_answer_for_what_was_not_sent_is_refused():
    hub, outcomes = hub_and_outcomes()
    viewer = Viewer(3)
    hub.enter(viewer)
    hub.offer(parcel(0))
    assert not hub.answer(viewer, Ack(0, True, 0.0))  # still waiting
    sent(viewer)
    assert hub.answer(viewer, Ack(0, True, 0.0))
    assert not hub.answer(viewer, Ack(0, True, 0.0))
    assert len(outcomes) == 1


def test_texts_go_first_and_the_queue_is_bounded():
    viewer = Viewer(3)
    viewer.offer(Parcel(0, b"packet", True))
    for number in range(100):
        viewer.say(str(number))
    got = sent(viewer)
    assert got[-1] == b"packet"
    assert got[:-1] == [str(n) for n in range(36, 100)]


@pytest.mark.parametrize("seed", range(20))
def test_every_packet_is_settled_once_whatever_happens(seed):
    chance = random.Random(seed)
    hub, outcomes = hub_and_outcomes()
    viewers: list[Viewer] = []
    in_flight: dict[Viewer, list[int]] = {}
    for number in range(300):
        action = chance.random()
        if action < 0.1 and len(viewers) < 3:
            viewers.append(Viewer(3))
            hub.enter(viewers[-1])
            in_flight[viewers[-1]] = []
        elif action < 0.15 and viewers:
            gone = viewers.pop(chance.randrange(len(viewers)))
            hub.leave(gone)
        elif action < 0.2 and viewers:
            hub.see(chance.choice(viewers), chance.random() < 0.5)
        hub.offer(parcel(number, chance.random() < 0.7))
        for viewer in viewers:
            if chance.random() < 0.5 and viewer._waiting and len(viewer._in_flight) < 3:
                waiting = viewer._waiting.packet_id
                viewer.take()
                in_flight[viewer].append(waiting)
            if in_flight[viewer] and chance.random() < 0.4:
                assert hub.answer(viewer, Ack(in_flight[viewer].pop(0), chance.random() < 0.8, 1.0))
    for viewer in list(viewers):
        hub.leave(viewer)
    assert Counter(o.packet_id for o in outcomes) == Counter(range(300))
