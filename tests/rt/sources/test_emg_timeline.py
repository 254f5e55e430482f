"""The timeline against simulated amplifiers whose true sample times are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt.sources.emg_timeline import SLEW, EmgTimeline

RATE_HZ = 4096.0
PUSH = 64  # samples that the sender stamps together
DELAY_S = 0.0005

some = settings(max_examples=12, deadline=None, database=None)


class Amplifier:
    """True times, jittered stamps and arrivals of pushes; faults are written into `stamps` or `kept` by the test."""

    def __init__(self, seconds, seed=0, jitter_s=0.005, drift=0.0, rate_hz=RATE_HZ, push=PUSH):
        rng = np.random.default_rng(seed)
        pushes = int(seconds * rate_hz) // push
        self.rate_hz, self.push = rate_hz, push
        self.true = (1000.0 + np.arange(pushes * push) / (rate_hz * (1 + drift))).reshape(pushes, push)
        last = self.true[:, -1:] + rng.uniform(-jitter_s, jitter_s, (pushes, 1))
        self.stamps = last - np.arange(push - 1, -1, -1) / rate_hz
        self.arrivals = self.true[:, -1] + DELAY_S + rng.uniform(0, 0.0003, pushes)
        self.kept = np.ones(pushes, bool)

    def at(self, second):
        """The push that holds this second."""
        return int(second * self.rate_hz) // self.push

    def run(self, together=1, timeline=None):
        """Place everything, `together` pushes per pull. Returns pieces, error per sample (s), time of each sample."""
        self.timeline = timeline or EmgTimeline(self.rate_hz)
        kept = np.flatnonzero(self.kept)
        pieces, error, when = [], [], []
        for i in range(0, len(kept), together):
            rows = kept[i : i + together]
            stamps, true, arrival = self.stamps[rows].ravel(), self.true[rows].ravel(), self.arrivals[rows[-1]]
            placed = self.timeline.place(stamps, arrival)
            assert [p.start for p in placed] == [0, *(p.stop for p in placed[:-1])]
            assert placed[-1].stop == len(stamps)
            for piece in placed:
                assert piece.t0 <= arrival
                times = piece.t0 + np.arange(piece.stop - piece.start) / self.rate_hz
                error.append(times - true[piece.start : piece.stop])
                when.append(true[piece.start : piece.stop] - 1000.0)
            pieces += placed
        t0 = np.array([p.t0 for p in pieces])
        assert (np.diff(t0) >= 0).all(), "time went backwards"
        assert all((p.gap_s > 0) == (p.kind not in ("", "start")) for p in pieces)
        return pieces, np.concatenate(error), np.concatenate(when)


def breaks(pieces):
    return [p for p in pieces[1:] if p.kind]


@some
@given(
    seed=st.integers(0, 2**32 - 1),
    drift=st.floats(-3e-4, 3e-4),
    push=st.sampled_from([1, 8, 33, 64, 137]),
    together=st.integers(1, 4),
)
def test_after_ten_seconds_the_stamps_are_right_to_a_millisecond(seed, drift, push, together):
    amplifier = Amplifier(16 if push > 1 else 11, seed, drift=drift, push=push, rate_hz=RATE_HZ if push > 1 else 512.0)
    pieces, error, when = amplifier.run(together)
    assert not breaks(pieces)
    assert np.abs(error[when > 10.0]).max() < 1e-3
    assert np.abs(error).max() < 0.012


@some
@given(seed=st.integers(0, 2**32 - 1), drift=st.floats(-3e-4, 3e-4))
def test_inside_a_run_the_times_never_step(seed, drift):
    pieces, _, _ = Amplifier(8, seed, drift=drift).run()
    t0 = np.array([p.t0 for p in pieces])
    steps = np.abs(np.diff(t0) * RATE_HZ - PUSH) / PUSH  # relative to the nominal distance
    arrival_jitter = 0.0003 * RATE_HZ / PUSH
    assert steps[20:].max() < SLEW + 1e-3 + arrival_jitter


def test_the_fit_agrees_with_a_straight_line_through_everything():
    amplifier = Amplifier(30, seed=3, drift=1.2e-4)
    _, error, _ = amplifier.run()
    index = np.arange(amplifier.stamps.size)
    slope, intercept = np.polyfit(index, amplifier.stamps.ravel() - 1000.0, 1)
    twin = 1000.0 + intercept + slope * index[-1]
    ours = amplifier.true.ravel()[-1] + error[-1]
    assert ours == pytest.approx(twin, abs=5e-4)
    assert amplifier.timeline.measured_rate_hz == pytest.approx(RATE_HZ * (1 + 1.2e-4), rel=3e-5)


@some
@given(seed=st.integers(0, 2**32 - 1), at_s=st.floats(1, 3), gap_s=st.floats(0.08, 3.0), together=st.integers(1, 3))
def test_lost_packets_are_one_gap_of_the_right_length(seed, at_s, gap_s, together):
    amplifier = Amplifier(16 + at_s, seed)
    first, end = amplifier.at(at_s), amplifier.at(at_s + gap_s)
    amplifier.kept[first:end] = False
    missing_s = (end - first) * PUSH / RATE_HZ
    pieces, error, when = amplifier.run(together)
    (gap,) = breaks(pieces)
    assert gap.kind == "lost"
    assert gap.gap_s == pytest.approx(missing_s, abs=0.012)
    assert np.abs(error[when > at_s + gap_s + 10.0]).max() < 1e-3


def test_a_packet_too_short_to_be_a_gap_is_made_good_within_seconds():
    amplifier = Amplifier(12, seed=1, jitter_s=0.0005)
    amplifier.kept[amplifier.at(3.0) : amplifier.at(3.0) + 2] = False  # 31 ms
    pieces, error, when = amplifier.run()
    assert not breaks(pieces)
    late = np.abs(error[when > 10.5])
    assert late.max() < 1e-3
    t0 = np.array([p.t0 for p in pieces])
    assert (np.abs(np.diff(t0) * RATE_HZ - PUSH) / PUSH).max() < 2 * SLEW + 0.03


def _hours_ahead(stamps, push):
    stamps[push:] += 7200.0


def _hours_back(stamps, push):
    stamps[push:] -= 7200.0


def _backwards(stamps, push):
    stamps[push:] = stamps[push, 0] - (stamps[push:] - stamps[push, 0])


def _stuck(stamps, push):
    stamps[push:] = stamps[push - 1, -1]


def _not_a_number(stamps, push):
    stamps[push:] = np.nan


def _infinite(stamps, push):
    stamps[push:] = np.inf


def _zero(stamps, push):
    stamps[push:] = 0.0


FAULTS = [_hours_ahead, _hours_back, _backwards, _stuck, _not_a_number, _infinite, _zero]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_insane_clock_is_one_gap_and_then_arrival_counts(fault, together):
    amplifier = Amplifier(10, seed=2, jitter_s=0.001)
    fault(amplifier.stamps, amplifier.at(4.0) + 1)
    pieces, error, when = amplifier.run(together)
    (gap,) = breaks(pieces)
    assert gap.kind == "clock"
    assert amplifier.timeline.by_arrival
    assert gap.gap_s < 0.15, "no samples are missing; only up to 50 ms of doubtful ones may be counted twice"
    assert np.abs(error[when > 4.3]).max() < 0.005


def test_the_size_of_a_clock_step_is_told():
    amplifier = Amplifier(6, seed=2, jitter_s=0.001)
    _hours_back(amplifier.stamps, amplifier.at(4.0))
    (gap,) = breaks(amplifier.run()[0])
    assert gap.step_s == pytest.approx(-7200.0, abs=0.05)
    _not_a_number(amplifier.stamps, amplifier.at(4.0))
    (gap,) = breaks(amplifier.run()[0])
    assert math.isnan(gap.step_s)


@pytest.mark.parametrize("fault", FAULTS)
def test_stamps_that_come_to_reason_are_believed_again_without_a_second_gap(fault):
    amplifier = Amplifier(22, seed=5, jitter_s=0.002)
    good = amplifier.stamps.copy()
    fault(amplifier.stamps, amplifier.at(4.0))
    back = amplifier.at(4.5)
    amplifier.stamps[back:] = good[back:]
    pieces, error, when = amplifier.run()
    assert len(breaks(pieces)) == 1
    assert not amplifier.timeline.by_arrival
    assert np.abs(error[when > 20.0]).max() < 1e-3


def test_a_clock_that_was_never_ours_is_no_gap():
    amplifier = Amplifier(6, seed=7)
    amplifier.stamps -= 900.0
    pieces, error, when = amplifier.run()
    assert not breaks(pieces)
    assert pieces[0].kind == "start"
    assert amplifier.timeline.by_arrival
    assert np.abs(error[when > 1.0]).max() < 0.005


def test_a_backlog_keeps_its_true_times():
    """The puller was stopped for three seconds; then everything comes at once."""
    amplifier = Amplifier(8, seed=8, jitter_s=0.001)
    stalled = slice(amplifier.at(4.0), amplifier.at(7.0))
    amplifier.arrivals[stalled] = amplifier.arrivals[amplifier.at(7.0)]
    pieces, error, _ = amplifier.run()
    assert not breaks(pieces)
    assert np.abs(error).max() < 0.004


def test_a_lost_connection_is_an_outage_even_when_it_was_short():
    amplifier = Amplifier(4, seed=9)
    stamps, arrivals = amplifier.stamps, amplifier.arrivals
    timeline = EmgTimeline(RATE_HZ)
    timeline.interrupt()
    assert timeline.place(stamps[0], arrivals[0])[0].kind == "start"
    timeline.interrupt()
    (piece,) = timeline.place(stamps[10], arrivals[10])
    assert piece.kind == "outage"
    assert piece.gap_s == pytest.approx(9 * PUSH / RATE_HZ, abs=0.012)


def test_an_empty_block_changes_nothing():
    amplifier = Amplifier(2, seed=9)
    timeline = EmgTimeline(RATE_HZ)
    first = timeline.place(amplifier.stamps[0], amplifier.arrivals[0])
    assert timeline.place(np.empty(0), amplifier.arrivals[0]) == []
    second = timeline.place(amplifier.stamps[1], amplifier.arrivals[1])
    twin = EmgTimeline(RATE_HZ)
    assert first == twin.place(amplifier.stamps[0], amplifier.arrivals[0])
    assert second == twin.place(amplifier.stamps[1], amplifier.arrivals[1])


@pytest.mark.filterwarnings("error")
@settings(max_examples=150, deadline=None, database=None)
@given(
    blocks=st.lists(
        st.tuples(
            st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.floats(990, 1100), max_size=40),
            st.floats(0, 0.3),
        ),
        max_size=30,
    )
)
def test_whatever_a_sender_says_time_never_runs_backwards_or_ahead(blocks):
    timeline, arrival, last_t0 = EmgTimeline(RATE_HZ), 1000.0, -math.inf
    for stamps, wait_s in blocks:
        arrival += wait_s
        pieces = timeline.place(np.array(stamps, np.float64), arrival)
        assert sum(p.stop - p.start for p in pieces) == len(stamps)
        assert all(p.stop > p.start for p in pieces)
        for piece in pieces:
            assert last_t0 <= piece.t0 <= arrival
            assert math.isfinite(piece.gap_s)
            assert piece.gap_s >= 0
            last_t0 = piece.t0
