import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.emg.chain import PRESETS
from engines.emg.envelope import Envelope
from engines.emg.repetitions import Repetition, RepetitionCounter, RepetitionSettings, find_repetitions
from engines.errors import BadInput

RATE = 100.0  # min_on 5 samples, min_off 15


def bars(*pieces):
    """(level, samples) pieces -> an envelope; the range used below is 0 to 100."""
    return np.concatenate([np.full(n, level, np.float32) for level, n in pieces])


def found(envelope):
    return [(r.start, r.end) for r in find_repetitions(envelope, RATE, 0.0, 100.0)]


def repetitions_slowly(envelope, on, off, min_on, min_off):
    """Textbook: begin where the next min_on values are all >= on, end where the next min_off are all < off."""
    result, i = [], 0
    while i < len(envelope):
        if len(envelope) - i >= min_on and (envelope[i : i + min_on] >= on).all():
            end = i + min_on
            while end < len(envelope) and not (
                len(envelope) - end >= min_off and (envelope[end : end + min_off] < off).all()
            ):
                end += 1
            tail = end == len(envelope)
            if tail:  # it goes on at the end: up to the last value that is not below off
                while envelope[end - 1] < off:
                    end -= 1
            result.append((i, end, envelope[i : end + (0 if tail else min_off)].max()))
            if tail:
                break
            i = end + min_off
        else:
            i += 1
    return result


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0, 20), (50, 30), (0, 20)], [(20, 50)]),
        ([(0, 20), (50, 4), (0, 20)], []),  # 40 ms: no contraction
        ([(0, 20), (50, 5), (0, 20)], [(20, 25)]),  # 50 ms: one
        ([(0, 20), (10, 30), (0, 20)], [(20, 50)]),  # exactly the on level
        ([(0, 20), (9.9, 30), (0, 20)], []),
        ([(0, 20), (50, 30), (7, 40), (0, 20)], [(20, 90)]),  # between off and on: it goes on
        ([(0, 20), (50, 4), (7, 40), (0, 20)], []),  # never long enough above on
        ([(0, 20), (50, 30), (0, 14), (50, 30), (0, 20)], [(20, 94)]),  # 140 ms: the same contraction
        ([(0, 20), (50, 30), (0, 15), (50, 30), (0, 20)], [(20, 50), (65, 95)]),  # 150 ms: two
        ([(50, 30)], [(0, 30)]),
        ([(50, 30), (0, 5)], [(0, 30)]),  # the recording ends in the pause
    ],
)
def test_thresholds_and_shortest_times(pieces, expected):
    assert found(bars(*pieces)) == expected


def test_nan_neither_begins_nor_ends():
    hole = bars((0, 20), (50, 30), (0, 20))
    hole[30:40] = np.nan
    assert found(hole) == [(20, 50)]
    assert found(bars((0, 20), (np.nan, 50), (0, 20))) == []


def test_peak_and_running_count():
    counter = RepetitionCounter(RATE, 0.0, 100.0)
    assert counter.process(bars((0, 10), (50, 10), (80, 10))) == []
    assert counter.count == 1
    assert counter.active
    assert counter.process(bars((0, 20))) == [Repetition(10, 30, 80.0)]
    assert not counter.active
    assert counter.count == 1
    assert counter.finish() == []


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.sampled_from([0, 5, 7, 9, 11, 60]), st.integers(1, 30)), min_size=1, max_size=20),
    sizes=st.lists(st.integers(0, 40), max_size=15),
)
def test_any_cut_gives_the_textbook_answer(pieces, sizes):
    envelope = bars(*pieces)
    counter = RepetitionCounter(RATE, 0.0, 100.0)
    pieced, begin = [], 0
    for size in [*sizes, len(envelope)]:
        pieced += counter.process(envelope[begin : begin + size])
        begin += size
    pieced += counter.finish()
    assert pieced == repetitions_slowly(envelope, 10.0, 6.0, 5, 15)
    assert counter.count == len(pieced)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("block", [33, 28519])
def test_exactly_nine_contractions_in_the_real_recording(preset, block):
    """Biceps, 9 contractions in 28.5 s, plux 16 bit: microvolt = (raw / 2^16 - 1/2) x 3 V / gain 1000."""
    path = Path(os.environ.get("MYOMIRROR_DATA", "")) / "emg" / "emg_bursts.h5"
    if not path.is_file():
        pytest.skip("needs $MYOMIRROR_DATA with emg/emg_bursts.h5")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        device = file[next(iter(file))]
        rate_hz = float(device.attrs["sampling rate"])
        raw = device["raw/channel_3"][:].astype(np.float64)
    raw_uv = ((raw / 2**16 - 0.5) * 3e6 / 1000).astype(np.float32)
    chain = Envelope(PRESETS[preset])
    envelope = [chain.process(raw_uv[i : i + block], rate_hz)[:, 0] for i in range(0, len(raw_uv), block)]
    whole = np.concatenate(envelope)
    assert len(find_repetitions(whole, rate_hz)) == 9
    counter = RepetitionCounter(rate_hz, float(whole.min()), float(whole.max()))
    pieced = [r for piece in envelope for r in counter.process(piece)] + counter.finish()
    assert pieced == find_repetitions(whole, rate_hz)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput):
        RepetitionSettings(on_fraction=0.05)
    with pytest.raises(BadInput):
        RepetitionSettings(min_on_s=-1.0)
    for low, high, rate in ((1.0, 1.0, RATE), (0.0, np.nan, RATE), (0.0, 1.0, 0.0)):
        with pytest.raises(BadInput, match="low < high"):
            RepetitionCounter(rate, low, high)
    with pytest.raises(BadInput, match="one muscle"):
        RepetitionCounter(RATE, 0.0, 1.0).process(np.zeros((3, 2), np.float32))
    with pytest.raises(BadInput):
        find_repetitions(np.full(5, np.nan), RATE)
    assert RepetitionCounter(RATE, 0.0, 1.0).process(np.zeros(0, np.float32)) == []
