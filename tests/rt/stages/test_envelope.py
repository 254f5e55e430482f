"""The envelope stage: bit-equal to the engine for any cutting, new after a gap, told by its chain id."""

import numpy as np
import pytest

from engines.emg.envelope import PRESETS, Envelope, chain_id, group_delay_ms
from engines.emg.simulator import SyntheticEmg
from rt.errors import BadSettings
from rt.message import Chunk
from rt.stage import Context
from rt.stages.envelope import EnvelopeStage, EnvelopeStageSettings

RATE_HZ = 4096.0
DATA = SyntheticEmg(seed=6).block(8192, 3000)


def run(blocks, gap_at=0, **settings):
    stage = EnvelopeStage(EnvelopeStageSettings(**settings), Context())
    stage.open()
    out, first = [], 0
    while first < len(DATA):
        count = next(blocks)
        gap_s = 0.5 if first <= gap_at < first + count and gap_at else 0.0
        chunk = Chunk(DATA[first : first + count], RATE_HZ, 5 + first / RATE_HZ, first, gap_s=gap_s)
        out += [message for _, message in stage.process("emg", chunk)]
        first += count
    return stage, out


def always(count):
    while True:
        yield count


def some(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(0, 200))


@pytest.mark.parametrize("blocks", [1, 7, 64, 3000])
@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_the_engine_bit_for_bit(preset, blocks):
    _, out = run(always(blocks), preset=preset)
    twin = Envelope(PRESETS[preset]).process(DATA, RATE_HZ)
    np.testing.assert_array_equal(np.concatenate([c.data for c in out]), twin)


def test_time_place_and_chain_stay_with_the_samples():
    stage, out = run(some(1))
    raw_first = 0
    for chunk in out:
        assert chunk.first_sample == raw_first
        assert chunk.t0 == 5 + raw_first / RATE_HZ
        assert (chunk.kind, chunk.chain) == ("envelope", chain_id(PRESETS["standard"], RATE_HZ))
        raw_first += len(chunk.data)
    assert stage.context.facts["chain"] == out[0].chain
    assert stage.context.facts["group_delay_ms"] == pytest.approx(
        group_delay_ms(PRESETS["standard"], RATE_HZ), abs=0.05
    )


def test_after_a_gap_everything_begins_anew():
    _, out = run(always(100), gap_at=1000)
    data = np.concatenate([c.data for c in out])
    np.testing.assert_array_equal(data[1000:], Envelope(PRESETS["standard"]).process(DATA[1000:], RATE_HZ))
    assert [c.gap_s for c in out if c.gap_s] == [0.5]


def test_emitted_arrays_are_never_written_again():
    _, out = run(always(100))
    assert len({c.data.ctypes.data for c in out}) == len(out)


def test_overrides_change_the_chain():
    _, out = run(always(3000), overrides={"lowpass_hz": 5.0, "band_hz": [30.0, 400.0]})
    assert out[0].chain != chain_id(PRESETS["standard"], RATE_HZ)
    assert out[0].chain == run(always(3000), overrides={"lowpass_hz": 5, "band_hz": [30, 400]})[1][0].chain


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(preset="standart"), "did you mean standard"),
        (dict(mains_hz=55.0), "50, 60"),
        (dict(overrides={"lowpas_hz": 5.0}), "did you mean lowpass_hz"),
        (dict(overrides={"zzz": 5.0}), "known: band_hz"),
        (dict(overrides={"lowpass_hz": "high"}), "envelope settings"),
        (dict(overrides={"rms_window_s": 0.1}), "not both"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(BadSettings, match=words):
        EnvelopeStage(EnvelopeStageSettings(**settings), Context())
