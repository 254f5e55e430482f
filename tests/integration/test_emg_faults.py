"""An amplifier that does everything wrong: order, units, NaN, clocks that jump by hours. Nothing crashes or lies.

The outlet is a real one, in the test's own process; it counts its samples in channel F1, and notes their time.
"""

import math
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from application import Application, recordings, run, shared_folders, station_file, until

from engines.emg.montage import FRIDLUND
from engines.emg.quality import Contact
from rt import clock, lsl
from rt.recording.recorded import recorded_chunks, recorded_events, recorded_table
from rt.recording.streams import EMG, ENVELOPE, MUSCLES

pytestmark = pytest.mark.integration

RATE_HZ = 2000.0
PUSH = 40  # samples
HOUR_S = 3600.0
LABELS = list(FRIDLUND.labels)


class Amplifier(threading.Thread):
    """An outlet whose channels are labelled `labels`; change `step_s`, `stamp`, `nan` while it runs.

    Channel k of the montage carries 100 k plus noise of 5, F1 the running number of its sample.
    """

    number = 0  # of the next sample, whichever amplifier sends it
    pushed: list[tuple[int, float]] = []  # of all amplifiers: number of a push's first sample, and when it was due

    def __init__(self, source_id, labels, unit="microvolts"):
        super().__init__(daemon=True)
        pylsl = lsl.library()
        info = pylsl.StreamInfo("Amplifier", "EMG", len(labels), RATE_HZ, pylsl.cf_float32, source_id)
        lsl.describe(info, labels, unit)
        self._outlet = pylsl.StreamOutlet(info)
        self._labels = labels
        self._scale = {"microvolts": 1.0, "millivolts": 1e-3}[unit]
        self._rng = np.random.default_rng(0)
        self._done = threading.Event()
        self.step_s = 0.0  # of the clock
        self.stamp = None  # what is pushed in place of a time
        self.nan = ""  # a channel that is not a number
        self.start()

    def run(self):
        t_next = clock.now()
        while not self._done.is_set():
            t_next += PUSH / RATE_HZ
            time.sleep(max(t_next - clock.now(), 0.0))
            numbers = np.arange(Amplifier.number, Amplifier.number + PUSH)
            rows = np.empty((PUSH, len(self._labels)), np.float32)
            for column, label in enumerate(self._labels):
                place = LABELS.index(label) if label in LABELS else -1
                rows[:, column] = numbers if place == 0 else 100 * place + 5 * self._rng.standard_normal(PUSH)
                if label == self.nan:
                    rows[:, column] = np.nan
            Amplifier.pushed.append((int(numbers[0]), t_next))
            Amplifier.number += PUSH
            stamp = t_next + self.step_s if self.stamp is None else self.stamp
            self._outlet.push_chunk(rows * self._scale, stamp)

    def close(self):
        self._done.set()
        self.join()
        self._outlet = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _in_other_order():
    """The labels of the montage backwards, and two channels that nobody asked for."""
    return ["TRIGGER", *reversed(LABELS), "BATTERY"]


def station(tmp_path, lsl_id, **emg):
    return station_file(
        tmp_path,
        subject="P01",
        camera={"kind": "synthetic"},
        emg={"kind": "lsl", "source_id": lsl_id, **emg},
        recording={"enabled": True, "folder": "recordings", "consent": {"emg": True}},
    )


def test_everything_goes_wrong_and_nothing_lies(tmp_path, lsl_id):
    path = station(tmp_path, lsl_id, channels={label: label for label in LABELS})
    with (
        Amplifier(lsl_id, _in_other_order()) as amplifier,
        Application(tmp_path, "live", path, "--headless") as session,
    ):
        session.wait_until_running()

        def goes_on(what):
            seen = session.count("envelope.envelope->recorder.envelope")
            until(lambda: session.count("envelope.envelope->recorder.envelope") > seen + 30, what, 10.0)

        goes_on("EMG")
        amplifier.nan = "F7"
        goes_on("EMG beside a channel that is not a number")
        amplifier.nan = ""
        for step_s in (3 * HOUR_S, 0.0, -2 * HOUR_S, -2 * HOUR_S - 0.3):
            amplifier.step_s = step_s
            goes_on(f"EMG after a clock step to {step_s:g}")
        amplifier.step_s = 0.0
        for stamp in (clock.now(), math.nan, math.inf, 1e-3):
            amplifier.stamp = stamp
            goes_on(f"EMG with the same stamp {stamp} for ever")
        amplifier.stamp = None
        goes_on("EMG with true stamps again")
        amplifier.close()
        with Amplifier(lsl_id, LABELS[:-2]):
            until(lambda: "came back but does not fit" in session.output, "refused", 10.0)
        with Amplifier(lsl_id, LABELS, unit="millivolts"):
            goes_on("EMG from an amplifier with another order and another unit")
            assert session.stop() == 0, session.output
    report = session.report
    assert report["frames"]["closed"]
    assert report["restarts"] == {}
    assert report["latency_ms"]["photon_to_pixel"]["max"] < 1000
    (recording,) = recordings(tmp_path / "recordings")
    _mapped_by_name(recording / "signals.xdf")
    _dated_truly(recording / "signals.xdf")
    _broken_channel_is_told(recording / "signals.xdf")


def _mapped_by_name(signals):
    data = np.concatenate([chunk.data for chunk in recorded_chunks(signals, EMG)])
    assert data.shape[1] == 22
    for place in range(1, 22):
        column = data[:, place]
        assert np.nanmax(np.abs(column - 100 * place)) < 50, LABELS[place]
    assert not np.isnan(np.delete(data, LABELS.index("F7"), axis=1)).any()


def _dated_truly(signals):
    """No recorded time runs backwards, and none is far from when the sample was really taken."""
    numbers, whens = np.array(Amplifier.pushed).T
    for stream in (EMG, ENVELOPE):
        chunks = list(recorded_chunks(signals, stream))
        assert all(b.t0 > a.t_last for a, b in pairwise(chunks))
        assert all(abs(b.t0 - a.t_last - b.gap_s - 1 / RATE_HZ) < 0.02 for a, b in pairwise(chunks) if b.gap_s)
    for chunk in recorded_chunks(signals, EMG):
        number = chunk.data[-1, 0]
        t_pushed = whens[np.searchsorted(numbers, number, side="right") - 1]
        assert -0.02 < t_pushed - chunk.t_last < 0.3, chunk.first_sample
    events = [event for event in recorded_events(signals) if event.kind == "GAP" and event.node == "emg"]
    assert {"clock", "outage"} <= {event.data.get("cause") for event in events}
    steps = [abs(event.data["step_s"]) for event in events if event.data.get("step_s")]
    assert max(steps) > 2 * HOUR_S  # what the clock did is told


def _broken_channel_is_told(signals):
    """While F7 is not a number: nothing is said of its muscle, and of the others as before."""
    table = recorded_table(signals, MUSCLES)
    contact = {label: table.values[:, table.columns.index(f"{label}_contact")] for label in LABELS}
    raw = [(c.t_last, np.isnan(c.data[:, LABELS.index("F7")]).all()) for c in recorded_chunks(signals, EMG)]
    broken = [t for t, nan in raw if nan]
    during = (table.stamps > broken[0] + 0.5 * (broken[-1] - broken[0])) & (table.stamps < broken[-1])
    assert during.any()
    assert (contact["F7"][during] == Contact.OFF).all()
    assert not (contact["F9"][during] == Contact.OFF).all()
    envelope = [c for c in recorded_chunks(signals, ENVELOPE) if broken[0] + 0.3 < c.t0 < broken[-1] - 0.05]
    assert envelope
    assert all(np.isnan(c.data[:, LABELS.index("F7")]).all() for c in envelope)
    assert all(np.isfinite(np.delete(c.data, LABELS.index("F7"), axis=1)).all() for c in envelope)


WRONG = {
    "channels are missing": (LABELS[:-2], "microvolts", ("F21, F22", "F20")),
    "labels are those of another montage": ([f"EMG{n}" for n in range(22)], "microvolts", ("F1", "EMG0, EMG1")),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_amplifier_that_does_not_fit_is_refused_with_what_was_found(tmp_path, lsl_id, what):
    labels, unit, said = WRONG[what]
    before = shared_folders()
    with Amplifier(lsl_id, labels, unit):
        done = run("live", station(tmp_path, lsl_id), "--headless")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("myomirror: ")
    assert all(text in done.stderr for text in said), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"station.yaml"}
    assert shared_folders() <= before
