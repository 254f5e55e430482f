"""The EMG source against real outlets on loopback: processes that are killed, and outlets whose clock goes wrong."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from engines.emg.demo_performance import demo_emg
from engines.emg.montage import FRIDLUND
from rt import clock, lsl
from rt.errors import BadSettings, MissingDevice
from rt.simulate import OutletSettings, serve
from rt.sources.lsl_emg import LslEmgSource
from rt.stage import Context

LABELS = list(FRIDLUND.labels)
RATE_HZ = 1024.0
_RUN = "import json, sys; from rt.simulate import *; run_outlet(OutletSettings(**json.loads(sys.argv[1])))"


class Reader:
    """A source that is read until something has come."""

    def __init__(self, **settings):
        self.context = Context("emg")
        self.source = LslEmgSource(LslEmgSource.Settings(**settings), self.context)
        self.source.open()
        self.chunks = []

    def read(self):
        emits = list(self.source.read(0.02))
        self.chunks += [chunk for _, chunk in emits]
        return emits

    def samples(self, count):
        """Read until there are so many samples; they, as one array."""
        deadline = time.monotonic() + 10.0
        while sum(len(c.data) for c in self.chunks) < count:
            assert time.monotonic() < deadline, "too few samples came"
            self.read()
        return np.concatenate([c.data for c in self.chunks])

    def events(self, kind):
        return [e for e in self.context.events if e.kind == kind]

    def until(self, condition, limit_s=10.0):
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, [e.text for e in self.context.events]
            self.read()


class Amplifier:
    """An outlet in this process whose column for label Fn holds n, with stamps as the test wants them."""

    def __init__(self, source_id, labels=LABELS, unit="microvolts", form="float32", name="Amp"):
        pylsl = lsl.library()
        info = pylsl.StreamInfo(name, "EMG", len(labels), RATE_HZ, form, source_id)
        lsl.describe(info, labels, unit)
        self.values = np.array([LABELS.index(label) + 1 if label in LABELS else 99 for label in labels])
        self.outlet = pylsl.StreamOutlet(info)

    def push(self, seconds, stamp=None, value=None):
        """In real time, 16 samples at once. stamp: function of the true time; NaN must be passed sample by sample."""
        block = np.tile(self.values, (16, 1)) if value is None else np.tile(value, (16, len(self.values)))
        end = clock.now() + seconds
        t = clock.now()
        while t < end:
            stamps = t - np.arange(15, -1, -1) / RATE_HZ
            self.outlet.push_chunk(block, [float(s) for s in (stamps if stamp is None else stamp(stamps))])
            t += 16 / RATE_HZ
            time.sleep(max(t - clock.now(), 0))


@pytest.fixture
def reader(lsl_id):
    readers = []

    def build(**settings):
        readers.append(Reader(**{"source_id": lsl_id, "wait_s": 8.0, **settings}))
        return readers[-1]

    yield build
    for each in readers:
        each.source.close()


@pytest.fixture
def outlet_process(lsl_id):
    """Start `simulate emg` as a process; all are killed at the end."""
    processes = []

    def start(**settings):
        words = json.dumps({"source_id": lsl_id, **settings})
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        processes.append(subprocess.Popen([sys.executable, "-c", _RUN, words], env=environment))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def simulated(lsl_id):
    """`simulate emg` in a thread of this process."""
    stop, threads = threading.Event(), []

    def start(**settings):
        threads.append(threading.Thread(target=serve, args=(OutletSettings(source_id=lsl_id, **settings), stop)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def test_every_sample_comes_in_montage_order_with_its_true_time(reader, simulated):
    start_s = clock.now() - 3.0
    simulated(start_s=start_s, seed=4)
    emg = reader()
    data = emg.samples(4000)
    first = emg.chunks[0]
    guess = round((first.t0 - start_s) * 4096)
    person = demo_emg(seed=4)
    near = person.block(guess - 60, 120 + len(data))
    (shift,) = [k for k in range(120) if np.array_equal(near[k], data[0])]
    np.testing.assert_array_equal(near[shift : shift + len(data)], data)
    for chunk in emg.chunks[20:]:
        true_t0 = start_s + (guess - 60 + shift + chunk.first_sample) / 4096
        assert chunk.t0 == pytest.approx(true_t0, abs=1e-3)
    assert emg.context.events == []
    lengths = [len(c.data) for c in emg.chunks[2:]]
    assert np.median(lengths) == 64, "the sender's pushes are handed on as they come"
    facts = emg.source._puller.facts()
    assert (facts["rate_hz"], facts["channels"], facts["gaps"]) == (4096.0, 22, 0)
    assert facts["samples"] >= 4000


def test_a_killed_and_restarted_outlet_is_back_in_three_seconds_with_a_marked_gap(reader, outlet_process, lsl_id):
    first = outlet_process()
    emg = reader()
    emg.samples(2000)
    first.kill()
    first.wait()
    t_killed = clock.now()
    emg.until(lambda: emg.events("ALARM"))
    assert "silent" in emg.events("ALARM")[0].text
    assert emg.events("ALARM")[0].t - t_killed < 1.5
    outlet_process()
    watch, wanted = lsl.Watch(lsl.library()), lsl.Wanted(source_id=lsl_id)
    while not watch.fitting(wanted):
        emg.read()
    t_there = clock.now()
    emg.until(lambda: any(c.gap_s for c in emg.chunks))
    back = next(c for c in emg.chunks if c.gap_s)
    assert back.t0 - t_there < 3.0
    (gap,) = emg.events("GAP")
    assert gap.data["cause"] == "outage"
    previous = emg.chunks[emg.chunks.index(back) - 1]
    assert back.gap_s == pytest.approx(back.t0 - previous.t_last - 1 / 4096, abs=1e-6)
    assert back.first_sample == previous.first_sample + len(previous.data)
    emg.samples(sum(len(c.data) for c in emg.chunks) + 500)
    assert len([c for c in emg.chunks if c.gap_s]) == 1


def test_a_restarted_outlet_with_another_channel_order_is_mapped_anew(reader, lsl_id):
    amplifier = Amplifier(lsl_id)
    emg = reader()
    amplifier.push(0.3)
    assert (emg.samples(100) == np.arange(1, 23)).all()
    del amplifier
    amplifier = Amplifier(lsl_id, labels=LABELS[::-1])
    for _ in range(60):
        amplifier.push(0.1)
        emg.read()
        if emg.events("GAP"):
            break
    amplifier.push(0.2)
    emg.read()
    data = np.concatenate([c.data for c in emg.chunks])
    assert emg.events("GAP")
    assert (data == np.arange(1, 23)).all(), "a column was shifted"


def test_a_restarted_outlet_with_other_channels_is_refused_until_the_right_one_comes(reader, lsl_id):
    amplifier = Amplifier(lsl_id)
    emg = reader()
    amplifier.push(0.2)
    emg.samples(50)
    del amplifier
    wrong = Amplifier(lsl_id, labels=LABELS[:20])
    emg.until(lambda: any("does not fit" in e.text for e in emg.events("ALARM")))
    before = len(emg.chunks)
    wrong.push(0.3)
    emg.read()
    assert len(emg.chunks) == before
    (alarm,) = [e for e in emg.events("ALARM") if "does not fit" in e.text]
    assert "missing F21, F22" in alarm.text
    del wrong
    right = Amplifier(lsl_id)
    for _ in range(60):
        right.push(0.1)
        emg.read()
        if len(emg.chunks) > before:
            break
    assert emg.chunks[before].gap_s > 0


@pytest.mark.parametrize(("form", "unit", "factor"), [("double64", "volts", 1e6), ("int16", "uV", 1.0)])
def test_formats_and_units_become_microvolt(reader, lsl_id, form, unit, factor):
    amplifier = Amplifier(lsl_id, labels=LABELS[::-1], form=form, unit=unit)
    emg = reader()
    amplifier.push(0.2)
    data = emg.samples(100)
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, np.tile(np.arange(1, 23) * factor, (len(data), 1)), rtol=1e-6)


def test_nan_passes_through(reader, lsl_id):
    amplifier = Amplifier(lsl_id)
    emg = reader()
    amplifier.push(0.2, value=np.nan)
    assert np.isnan(emg.samples(100)).all()
    assert emg.events("GAP") == []


CLOCK_FAULTS = {
    "hours ahead": lambda s: s + 7200,
    "hours back": lambda s: s - 7200,
    "backwards": lambda s: 2 * _T_FAULT[0] - s,
    "not a number": lambda s: s * np.nan,
    "stuck": lambda s: s * 0 + _T_FAULT[0],
}
_T_FAULT = [0.0]


@pytest.mark.parametrize("fault", CLOCK_FAULTS)
def test_a_clock_that_goes_wrong_is_one_gap_and_no_lie(reader, lsl_id, fault):
    amplifier = Amplifier(lsl_id)
    emg = reader()
    amplifier.push(0.15)
    emg.samples(50)
    _T_FAULT[0] = clock.now()
    amplifier.push(0.35, stamp=CLOCK_FAULTS[fault])
    emg.samples(sum(len(c.data) for c in emg.chunks) + 100)
    while emg.read():
        pass
    (gap,) = emg.events("GAP")
    assert gap.data["cause"] == "clock"
    json.dumps(gap.data, allow_nan=False)
    assert any("timed by arrival" in e.text for e in emg.events("ALARM"))
    now = clock.now()
    assert all(now - 3.0 < c.t0 <= now for c in emg.chunks)
    assert all(a.t0 <= b.t0 for a, b in itertools.pairwise(emg.chunks))


def test_silence_is_told_once_and_its_end_is_a_gap(reader, lsl_id):
    amplifier = Amplifier(lsl_id)
    emg = reader()
    amplifier.push(0.2)
    emg.samples(50)
    emg.until(lambda: emg.events("ALARM"))
    quiet_until = clock.now() + 1.1  # long enough to look for a replacement, which is not there
    while clock.now() < quiet_until:
        emg.read()
    assert len(emg.events("ALARM")) == 1
    amplifier.push(0.2)
    emg.until(lambda: emg.events("GAP"))
    assert emg.events("GAP")[0].data["cause"] == "lost"


def test_an_outlet_without_source_id_is_a_warning(reader, lsl_id):
    amplifier = Amplifier("", name=lsl_id)
    emg = reader(source_id="", name=lsl_id)
    amplifier.push(0.1)
    emg.samples(10)
    assert "no source_id" in emg.events("ALARM")[0].text


def test_what_is_not_there_or_does_not_fit_never_opens(reader, lsl_id):
    with pytest.raises(MissingDevice, match="appeared within"):
        reader(wait_s=0.3)
    outlet = Amplifier(lsl_id, labels=LABELS[:20])
    with pytest.raises(BadSettings, match="missing F21, F22"):
        reader()
    with pytest.raises(BadSettings, match="chunk_ms"):
        reader(chunk_ms=0.0)
    del outlet


def test_a_restarted_source_waits_for_an_amplifier_that_is_away(lsl_id):
    context = Context("emg", generation=1)
    source = LslEmgSource(LslEmgSource.Settings(source_id=lsl_id, wait_s=0.2), context)
    source.open()
    try:
        assert "is away" in context.events[0].text
        amplifier = Amplifier(lsl_id)
        got = []
        for _ in range(60):
            amplifier.push(0.1)
            got += source.read(0.01)
            if got:
                break
        assert (got[0][1].data == np.arange(1, 23)).all()
    finally:
        source.close()
