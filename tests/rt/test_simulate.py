"""The simulated amplifier: seen through a plain pylsl inlet, and as a process that is asked to stop."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from engines.emg.demo_performance import demo_emg
from engines.emg.montage import FRIDLUND
from rt import clock, lsl
from rt.errors import BadSettings
from rt.simulate import OutletSettings, serve

_RUN = (
    "import json, sys; from rt.simulate import *; "
    "print(run_outlet(OutletSettings(**json.loads(sys.argv[1])), lambda text: print(text, flush=True)))"
)


@pytest.fixture
def pulled(lsl_id, until):
    """Serve in a thread and pull from the start for a while: (samples, stamps, info)."""
    stop = threading.Event()
    threads = []

    def pull(seconds, **settings):
        pylsl = lsl.library()
        start_s = clock.now() + 5.0  # the performance begins when the inlet is there, also on a slow machine
        wanted = OutletSettings(source_id=lsl_id, start_s=start_s, **settings)
        threads.append(threading.Thread(target=serve, args=(wanted, stop)))
        threads[0].start()
        watch = lsl.Watch(pylsl)
        inlet = pylsl.StreamInlet(until(lambda: watch.fitting(lsl.Wanted(source_id=lsl_id)))[0], recover=False)
        inlet.open_stream(timeout=3)
        samples, stamps = [], []
        while not stamps or stamps[-1][-1] < start_s + seconds:
            block, times = inlet.pull_chunk(0.1, 8192, min_samples=64, as_numpy=True)
            if len(times):
                samples.append(block)
                stamps.append(times)
        return np.concatenate(samples), np.concatenate(stamps) - start_s, inlet.info(timeout=3)

    yield pull
    stop.set()
    for thread in threads:
        thread.join()


def test_it_is_the_person_sample_by_sample_and_says_so(pulled, lsl_id):
    samples, stamps, info = pulled(0.3, seed=5)
    np.testing.assert_allclose(stamps, np.arange(len(stamps)) / 4096, atol=1e-6)
    np.testing.assert_array_equal(samples, demo_emg(seed=5).block(0, len(samples)))
    assert lsl.channel_texts(info, "label") == list(FRIDLUND.labels)
    assert set(lsl.channel_texts(info, "unit")) == {"microvolts"}
    assert (info.source_id(), info.type(), info.nominal_srate()) == (lsl_id, "EMG", 4096.0)
    assert info.desc().child_value("origin") == "synthetic"


def test_its_faults(pulled):
    samples, stamps, _ = pulled(
        0.95, nan_channel="zygomaticus_left", drop_every_s=0.4, drop_s=0.1, silence=(0.6, 0.15), chunk_samples=32
    )
    column = FRIDLUND.column("F20")
    assert np.isnan(samples[:, column]).all()
    assert np.isfinite(np.delete(samples, column, axis=1)).all()
    holes = [(a, b - a) for a, b in itertools.pairwise(stamps) if b - a > 0.05]
    np.testing.assert_allclose(holes, [(0.4, 0.1), (0.6, 0.15), (0.8, 0.1)], atol=0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_stops_cleanly_when_asked(lsl_id, number):
    command = [sys.executable, "-c", _RUN, json.dumps({"source_id": lsl_id})]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert "its signal is synthetic" in process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert int(out) >= 0


def test_it_ends_after_its_seconds(lsl_id):
    assert serve(OutletSettings(source_id=lsl_id, seconds=0.1, chunk_samples=100), threading.Event()) == 410


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(chunk_samples=0), "chunk_samples"),
        (dict(seconds=0.0), "seconds"),
        (dict(drop_every_s=1.0, drop_s=2.0), "drop_s"),
        (dict(silence=(0.0, 0.0)), "silence"),
        (dict(nan_channel="F99"), "no channel 'F99'"),
        (dict(rate_hz=100.0, chunk_samples=2), "900 Hz"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(BadSettings, match=words):
        serve(OutletSettings(**settings), threading.Event())
