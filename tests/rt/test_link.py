"""Edges between processes: what is promised to eyes (`latest`) and to files (`lossless`), with real sockets.

Both ends live in one process here, so that a test decides what happens when; real processes are in tests/integration.
"""

import time

import numpy as np
import pytest
import zmq

from rt import clock
from rt.board import REASONS, Board, offered
from rt.errors import TornRead
from rt.link import _TOKEN, LatestReceiver, LatestSender, LosslessReceiver, LosslessSender, address
from rt.message import Chunk, Frame, Slot
from rt.wire import encode

EDGE = "a.emg->b.emg"


def chunk(number):
    return Chunk(np.full((3, 2), number, np.float32), 1000.0, float(number), number)


@pytest.fixture
def link(tmp_path):
    """Makes ends of one edge; everything is closed afterwards."""

    class Edge:
        def __init__(self):
            self.context = zmq.Context()
            self.row = Board(tmp_path / "board", ["a", "b"], [EDGE], create=True).edge(EDGE)
            self.where = address(tmp_path, EDGE)
            self.ends, self.alarms, self.gaps = [], [], []
            self.picture = lambda slot, shape: pytest.fail("there is no ring here")

        def latest_sender(self):
            return self.keep(LatestSender(self.context, self.where, self.row))

        def latest_receiver(self):
            return self.keep(LatestReceiver(self.context, self.where, self.row, lambda *a: self.picture(*a)))

        def lossless_sender(self, hold_s=30.0):
            alarm = lambda: self.alarms.append(clock.now())  # noqa: E731
            return self.keep(LosslessSender(self.context, self.where, self.row, hold_s, alarm))

        def lossless_receiver(self):
            picture = lambda *a: self.picture(*a)  # noqa: E731
            return self.keep(LosslessReceiver(self.context, self.where, self.row, picture, self.gaps.append))

        def keep(self, end):
            self.ends.append(end)
            return end

        def kill(self, end):
            """As SIGKILL would: nothing is said, nothing is flushed."""
            end.socket.close(linger=0)

        def dropped(self, reason):
            return int(self.row["dropped"][0, REASONS.index(reason)])

        def __getitem__(self, name):
            return int(self.row[name][0])

    edge = Edge()
    yield edge
    for end in edge.ends:
        end.socket.close(linger=0)
    edge.context.term()


def take(receiver, into, until=None, limit_s=5.0, also=lambda: None):
    """Receive as the work loop does, until `until()` (default: once)."""
    t_limit = clock.now() + limit_s
    while True:
        for _, message in receiver.receive():
            into.append(message.first_sample if isinstance(message, Chunk) else message.seq)
        if isinstance(receiver, LosslessReceiver):
            receiver.done()
        also()
        if until is None or until():
            return into
        assert clock.now() < t_limit, f"it did not happen; got {into[:5]} ... {into[-5:]}"
        time.sleep(0.001)


def accounted(link):
    return link["delivered"] + int(link.row["dropped"][0].sum()) + link["refused"]


# ---------------------------------------------------------------------- latest


def connected(sender, receiver, link):
    """Wait until messages pass, and until all of those have arrived."""
    t_limit = clock.now() + 5
    sender.send(chunk(0))
    while link["delivered"] == 0 or offered(link.row) > accounted(link):
        if link["delivered"] == link["sent"] == 0:
            sender.send(chunk(0))
        time.sleep(0.002)
        list(receiver.receive())
        assert clock.now() < t_limit


def test_latest_takes_the_newest_and_counts_the_rest(link):
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    refused, before = link["refused"], link["delivered"] + link.dropped("superseded")
    for number in range(1, 41):
        sender.send(chunk(number))
    time.sleep(0.1)
    assert take(receiver, []) == [40]
    assert link["delivered"] + link.dropped("superseded") == before + 40
    assert link["refused"] == refused
    assert offered(link.row) == accounted(link)


def test_latest_never_waits_for_a_consumer_that_hangs(link):
    """Longer than every queue on the way: nothing blocks, what does not fit is counted, what comes out is new."""
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    slowest = 0.0
    for number in range(1, 6001):
        began = time.perf_counter()
        sender.send(chunk(number))
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 1.0
    assert link["refused"] > 100
    assert offered(link.row) == link["sent"] + link["refused"]
    sender.send(None)
    take(receiver, [], until=lambda: receiver.ended, also=sender.pump)
    assert link["ended"] == 1
    assert link["last_sequence"] == link["sent"]
    assert offered(link.row) == accounted(link)


def test_a_slow_consumer_sees_new_frames_only(link):
    """Three times too slow: never older than one period and its own service time (and 20 ms for this machine)."""
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    period_s, work_s, ages = 0.02, 0.06, []
    t_next, t_end, ready, number = clock.now(), clock.now() + 2.0, clock.now(), 0
    while clock.now() < t_end:
        if clock.now() >= t_next:
            number += 1
            sender.send(Chunk(np.zeros((1, 1), np.float32), 1.0, clock.now(), number))
            t_next += period_s
        if clock.now() >= ready:
            for _, message in receiver.receive():
                ready = clock.now() + work_s
                ages.append(ready - message.t0)
        time.sleep(0.0005)
    assert len(ages) > 15
    assert sorted(ages)[-2] < period_s + work_s + 0.02  # one hiccup of a shared machine is allowed
    assert link.dropped("superseded") > 1.5 * len(ages)


def test_latest_without_a_consumer_is_refused_and_counted(link):
    sender = link.latest_sender()
    for number in range(5):
        sender.send(chunk(number))
    assert (link["sent"], link["refused"]) == (0, 5)


def test_latest_consumer_killed_what_was_queued_is_counted(link):
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    for number in range(1, 11):
        sender.send(chunk(number))
    time.sleep(0.05)
    link.kill(receiver)
    time.sleep(0.05)
    second = link.latest_receiver()
    got = []
    numbers = iter(range(11, 10_000))
    take(second, got, until=lambda: bool(got), also=lambda: sender.send(chunk(next(numbers))))
    sender.send(None)
    take(second, got, until=lambda: second.ended)
    assert link.dropped("restart") == 10
    assert offered(link.row) == accounted(link)


def test_latest_end_mark_waits_for_a_consumer_that_is_being_restarted(link):
    sender = link.latest_sender()
    sender.send(None)
    assert not sender.idle
    receiver = link.latest_receiver()
    take(receiver, [], until=lambda: receiver.ended, also=sender.pump)
    assert sender.idle


def test_latest_producer_restarts(link):
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    link.kill(sender)
    link.row["sent"] += 2  # claimed, but killed before they went
    second = link.latest_sender()
    got, numbers = [], iter(range(100, 10_000))
    take(receiver, got, until=lambda: len(got) > 3, also=lambda: second.send(chunk(next(numbers))))
    assert got == sorted(set(got))
    second.send(None)
    take(receiver, got, until=lambda: receiver.ended)
    assert link.dropped("restart") == 2
    assert offered(link.row) == accounted(link)


def test_latest_ignores_what_is_not_a_message_and_what_is_old(link):
    sender, receiver = link.latest_sender(), link.latest_receiver()
    connected(sender, receiver, link)
    sender.socket.send_multipart([b"rubbish"])
    sender.socket.send_multipart([b"", b"x" * 100])
    link.row["sent"] -= 1
    sender.send(chunk(3))  # a number that has been used
    time.sleep(0.05)
    before = accounted(link)
    assert take(receiver, []) == []
    assert accounted(link) == before
    sender.send(chunk(4))
    got = []
    take(receiver, got, until=lambda: bool(got))
    assert got == [4]


@pytest.mark.parametrize("kind", ["latest", "lossless"])
def test_a_picture_that_is_gone_is_torn_not_shown(link, kind):
    sender, receiver = getattr(link, f"{kind}_sender")(), getattr(link, f"{kind}_receiver")()

    def gone(slot, shape):
        raise TornRead("gone")

    link.picture = gone
    frame = Frame(1, 0.0, "host", np.zeros((2, 2, 3), np.uint8), slot=Slot("r", 0, 1))
    got = []
    if kind == "latest":
        take(receiver, got, until=lambda: link.dropped("torn"), also=lambda: sender.send(frame))
    else:
        sender.send(frame)
        take(receiver, got, until=lambda: link.dropped("torn"), also=sender.pump)
        assert link.gaps == [1]
    assert got == []


# ---------------------------------------------------------------------- lossless


def test_lossless_everything_in_order(link):
    sender, receiver = link.lossless_sender(), link.lossless_receiver()
    got = []
    for number in range(300):
        sender.send(chunk(number))
    sender.send(None)
    take(receiver, got, until=lambda: receiver.ended and sender.idle, also=sender.pump)
    assert got == list(range(300))
    assert link["delivered"] == link["sent"] == link["last_sequence"] == 300
    assert link.alarms == link.gaps == []


def test_lossless_more_than_every_queue_holds(link):
    """Nothing is lost and the producer never waits, also when 5000 messages meet a consumer that comes late."""
    sender, got = link.lossless_sender(), []
    for number in range(5000):
        sender.send(chunk(number))
    sender.send(None)
    receiver = link.lossless_receiver()
    take(receiver, got, until=lambda: receiver.ended and sender.idle, also=sender.pump, limit_s=20)
    assert got == list(range(5000))
    assert link.gaps == []


def test_lossless_keeps_its_own_copy(link):
    """A node may use its array again while the message waits for a consumer."""
    sender = link.lossless_sender()
    array = np.zeros((3, 2), np.float32)
    for number in range(3):
        array[:] = number
        sender.send(Chunk(array, 1.0, 0.0, number))
    array[:] = -1
    receiver, got = link.lossless_receiver(), []
    t_limit = clock.now() + 5
    while len(got) < 3 and clock.now() < t_limit:
        got += [float(message.data[0, 0]) for _, message in receiver.receive()]
        sender.pump()
        time.sleep(0.001)
    assert got == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("in_hand", [False, True])
def test_lossless_consumer_killed_nothing_is_missed_or_repeated(link, in_hand):
    """in_hand: it is killed in the middle of a message; its successor gets that message again."""
    sender, first = link.lossless_sender(), link.lossless_receiver()
    done, numbers = [], iter(range(10_000))

    def produce():
        sender.send(chunk(next(numbers)))

    take(first, done, until=lambda: len(done) > 20, also=produce)
    if in_hand:
        loop, t_limit = None, clock.now() + 5
        while loop is None:
            produce()
            time.sleep(0.002)
            assert clock.now() < t_limit
            found = first.receive()
            if next(found, None) is not None:
                loop = found  # a message is out, and the loop never asks for the next one
    link.kill(first)
    for _ in range(50):
        produce()
    second = link.lossless_receiver()
    take(second, done, until=lambda: len(done) > 100, also=produce)
    sender.send(None)
    take(second, done, until=lambda: second.ended and sender.idle, also=sender.pump)
    assert done == list(range(len(done)))
    assert link["delivered"] == link["sent"] == len(done)
    assert link.gaps == link.alarms == []


def test_lossless_sent_twice_is_taken_once(link):
    sender, receiver = link.lossless_sender(), link.lossless_receiver()
    got = []
    sender.send(chunk(0))
    take(receiver, got, until=lambda: got, also=sender.pump)
    for _ in range(3):  # what a resend would look like
        sender.socket.send_multipart([_token(sender), *map(bytes, _parts(chunk(0), 1))])
    sender.send(chunk(1))
    take(receiver, got, until=lambda: len(got) > 1, also=sender.pump)
    time.sleep(0.05)
    take(receiver, got)
    assert got == [0, 1]


def _token(sender):
    return _TOKEN.pack(sender._consumer, sender._me)


def _parts(message, number):
    return encode(message, number, 0.0)


def test_lossless_longer_than_hold_is_one_gap_one_alarm_and_exact(link):
    sender, first = link.lossless_sender(hold_s=0.2), link.lossless_receiver()
    got = []
    for number in range(10):
        sender.send(chunk(number))
    take(first, got, until=lambda: len(got) == 10, also=sender.pump)
    link.kill(first)
    for number in range(10, 20):
        sender.send(chunk(number))
    time.sleep(0.3)
    sender.pump()
    assert len(link.alarms) == 1
    for number in range(20, 25):
        sender.send(chunk(number))
    second = link.lossless_receiver()
    take(second, got, until=lambda: len(got) == 15, also=sender.pump)
    assert got == [*range(10), *range(20, 25)]
    assert link.gaps == [10]
    assert link.dropped("overflow") == 10
    assert accounted(link) == link["sent"] == 25
    assert len(link.alarms) == 1


def test_lossless_gap_at_the_very_end_is_counted_too(link):
    sender, first = link.lossless_sender(hold_s=0.05), link.lossless_receiver()
    take(first, [], until=lambda: sender._consumer is not None, also=sender.pump)
    link.kill(first)
    for number in range(7):
        sender.send(chunk(number))
    sender.send(None)
    time.sleep(0.1)
    sender.pump()
    assert not sender.idle  # nobody has taken the end mark
    second = link.lossless_receiver()
    take(second, [], until=lambda: second.ended and sender.idle, also=sender.pump)
    assert link.dropped("overflow") == 7
    assert link.gaps == [7]


def test_lossless_never_waits_for_a_consumer_that_hangs(link):
    sender, receiver = link.lossless_sender(hold_s=0.5), link.lossless_receiver()
    take(receiver, [], until=lambda: sender._consumer is not None, also=sender.pump)
    slowest, number, t_end = 0.0, 0, clock.now() + 1.5
    while clock.now() < t_end:
        began = time.perf_counter()
        sender.send(chunk(number))
        slowest = max(slowest, time.perf_counter() - began)
        number += 1
        time.sleep(0.0002)
    assert slowest < 0.5
    assert len(sender._kept) < number  # bounded by time
    assert len(link.alarms) == 1
    got = []
    sender.send(None)
    take(receiver, got, until=lambda: receiver.ended and sender.idle, also=sender.pump, limit_s=20)
    assert got == sorted(set(got))
    assert accounted(link) == link["sent"] == number
    assert sum(link.gaps) == link.dropped("overflow") == number - len(got)


def test_lossless_producer_restarts_and_the_lost_are_named(link):
    """What was only in the producer's memory is gone with it: a gap, and its reason is the restart."""
    sender, receiver = link.lossless_sender(), link.lossless_receiver()
    got = []
    for number in range(5):
        sender.send(chunk(number))
    take(receiver, got, until=lambda: len(got) == 5, also=sender.pump)
    link.kill(sender)
    link.row["sent"] += 3  # taken charge of, never on the wire
    second = link.lossless_sender()
    for number in range(8, 12):
        second.send(chunk(number))
    second.send(None)
    take(receiver, got, until=lambda: receiver.ended and second.idle, also=second.pump)
    assert got == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert (link.dropped("restart"), link.dropped("overflow")) == (3, 0)
    assert link.gaps == [3]
    assert accounted(link) == link["sent"]


def test_lossless_quiet_link_is_quiet(link):
    """A consumer that has nothing new to say does not wake its producer at every turn of its loop."""
    sender, receiver = link.lossless_sender(), link.lossless_receiver()
    take(receiver, [], until=lambda: sender._consumer is not None, also=sender.pump)
    woken, t_end = 0, clock.now() + 0.6
    while clock.now() < t_end:
        list(receiver.receive())
        receiver.done()
        woken += sender.socket.poll(1) > 0
        sender.pump()
    assert 1 <= woken <= 6


def test_lossless_ignores_rubbish(link):
    sender, receiver = link.lossless_sender(), link.lossless_receiver()
    take(receiver, [], until=lambda: sender._consumer is not None, also=sender.pump)
    for parts in ([b"x"], [_token(sender)], [_token(sender), b"rubbish"], [b"", b"", b""]):
        sender.socket.send_multipart(parts)
    receiver.socket.send(b"rubbish")
    sender.send(chunk(1))
    got = []
    take(receiver, got, until=lambda: got, also=sender.pump)
    assert got == [1]
    assert accounted(link) == 1


def test_addresses_fit_into_a_socket_name(tmp_path):
    where = address(tmp_path, "camera.frame->vision.frame")
    assert where == f"ipc://{tmp_path}/camera.frame~vision.frame"
