"""The synthetic amplifier keeps the schedule, and what it gives is the synthetic person's signal."""

import time

import numpy as np
import pytest

from engines.emg.demo_performance import demo_emg
from rt import clock
from rt.errors import BadSettings
from rt.sources.synthetic_emg import SyntheticEmgSettings, SyntheticEmgSource
from rt.stage import Context


def opened(**settings):
    source = SyntheticEmgSource(SyntheticEmgSettings(**settings), Context("emg"))
    source.open()
    return source


def read_for(source, seconds):
    chunks, end = [], clock.now() + seconds
    while clock.now() < end:
        for _, chunk in source.read(0.02):
            assert chunk.t_last <= clock.now(), "a sample came before it was taken"
            chunks.append(chunk)
    return chunks


def test_samples_follow_each_other_and_are_the_person_s():
    start_s = clock.now() - 2.0
    source = opened(start_s=start_s, seed=3)
    chunks = read_for(source, 0.3)
    first = round((chunks[0].t0 - start_s) * 4096)
    assert 2.0 <= first / 4096 < 2.5, "a performance that began earlier is not caught up with"
    data = np.concatenate([c.data for c in chunks])
    np.testing.assert_array_equal(data, demo_emg(seed=3).block(first, len(data)))
    for chunk in chunks:
        assert chunk.t0 == pytest.approx(start_s + (first + chunk.first_sample) / 4096, abs=1e-9)
        assert chunk.gap_s == 0.0
    assert [c.first_sample for c in chunks] == [0, *np.cumsum([len(c.data) for c in chunks])[:-1]]


def test_a_reader_that_was_away_gets_everything():
    source = opened(seed=3, rate_hz=1024.0)
    first = read_for(source, 0.1)
    time.sleep(0.8)
    rest = read_for(source, 0.1)
    assert max(len(c.data) for c in rest) <= 512
    data = np.concatenate([c.data for c in first + rest])
    np.testing.assert_array_equal(data, demo_emg(1024.0, 3).block(0, len(data)))


def test_nothing_comes_before_a_chunk_is_full_and_it_says_what_it_is():
    source = opened(chunk_ms=200.0)
    assert list(source.read(0.01)) == []
    assert source.context.facts["origin"] == "synthetic"
    assert source.context.facts["channels"] == 22


@pytest.mark.parametrize(
    ("settings", "words"),
    [(dict(chunk_ms=0.0), "chunk_ms"), (dict(rate_hz=500.0), "900"), (dict(mains_hz=0.0), "mains")],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(BadSettings, match=words):
        opened(**settings)
