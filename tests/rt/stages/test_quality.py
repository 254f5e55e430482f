"""Contact verdicts as messages: ten a second, the same for any cutting, and honest about gaps and broken channels."""

import numpy as np
import pytest

from engines.emg.quality import Contact
from engines.emg.simulator import SyntheticEmg
from rt.errors import BadSettings
from rt.message import Chunk
from rt.stage import Context
from rt.stages.quality import QualityStage, QualityStageSettings

RATE_HZ = 2048.0


def verdicts(data, block, gap_at=None):
    stage = QualityStage(QualityStageSettings(), Context())
    out = []
    for first in range(0, len(data), block):
        gap_s = 0.3 if gap_at is not None and first <= gap_at < first + block else 0.0
        chunk = Chunk(data[first : first + block], RATE_HZ, 10 + first / RATE_HZ, first, gap_s=gap_s)
        out += [message for _, message in stage.process("emg", chunk)]
    return out


def test_a_window_is_one_message_however_the_signal_is_cut():
    data = SyntheticEmg(rate_hz=RATE_HZ, seed=2).block(0, 4096)
    small, large = verdicts(data, 50), verdicts(data, 205)
    assert len(small) == len(large) == 19
    for a, b in zip(small, large, strict=True):
        np.testing.assert_array_equal(a.contact, b.contact)
        np.testing.assert_array_equal(a.mains_ratio, b.mains_ratio)
    assert (small[-1].contact == Contact.STABLE).all()
    assert small[-1].contact.dtype == np.uint8
    assert small[0].t == pytest.approx(10 + 249 / RATE_HZ)


def test_a_dead_and_a_broken_channel():
    data = SyntheticEmg(rate_hz=RATE_HZ, seed=2).block(0, 4096).copy()
    data[:, 3] = 7.0
    data[:, 4] = np.nan
    data[:, 5] = np.clip(data[:, 5] * 1e6, -187_500, 187_500)
    last = verdicts(data, 64)[-1]
    assert last.flat[3]
    assert last.contact[3] == last.contact[4] == last.contact[5] == Contact.OFF
    assert last.clipping[5]
    assert not last.clipping[0]
    assert (last.contact[6:] == Contact.STABLE).all()


def test_lost_samples_spoil_the_verdict_for_a_while():
    data = SyntheticEmg(rate_hz=RATE_HZ, seed=2).block(0, 8192)
    states = [int(v.contact[0]) for v in verdicts(data, 64, gap_at=6000)]
    assert Contact.STABLE in states[:28]
    assert Contact.ON in states[28:]


def test_settings_that_cannot_work():
    with pytest.raises(BadSettings, match="range_uv"):
        QualityStage(QualityStageSettings(range_uv=0.0), Context())
