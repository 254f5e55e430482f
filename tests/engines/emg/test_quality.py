import numpy as np
import pytest

from engines.emg.quality import Contact, Quality, QualitySettings
from engines.errors import BadInput

RATE = 4096.0
T = np.arange(round(3 * RATE)) / RATE
WINDOW = 410  # 0.1 s


def muscle(rms_uv=20.0, seed=0):
    return np.random.default_rng(seed).normal(0.0, rms_uv, len(T))


def judged(signal_uv, seconds=3.0, settings=None):
    """Report on one channel after `seconds`, beside a good channel that must never be touched."""
    data = np.stack([signal_uv, muscle(seed=9)], axis=1).astype(np.float32)
    report = Quality(settings).process(data[: round(seconds * RATE)], RATE)
    assert report.contact[1] == Contact.STABLE or seconds < 1.5
    return report


def test_clean_muscle_settles_then_is_stable():
    assert judged(muscle(), 0.05).contact[0] == Contact.OFF
    assert judged(muscle(), 0.5).contact[0] == Contact.SETTLING
    assert judged(muscle()).contact[0] == Contact.STABLE


@pytest.mark.parametrize(
    ("signal_uv", "contact"),
    [
        (np.zeros_like(T), Contact.OFF),  # flat
        (np.full_like(T, np.nan), Contact.OFF),
        (np.full_like(T, 187_500.0), Contact.OFF),  # railed
        (muscle() + 2000 * np.sin(2 * np.pi * 50 * T), Contact.OFF),  # an electrode in the air
        (muscle() + 100 * np.sin(2 * np.pi * 50 * T), Contact.ON),  # hum
        (np.clip(muscle(50.0) + 800 * np.sin(2 * np.pi * 80 * T), -500, 500), Contact.ON),  # runs of equal extremes
        (muscle() + 3000 * T, Contact.SETTLING),  # the level drifts
        (muscle() + 50_000.0, Contact.STABLE),  # an electrode's offset is normal
        (muscle(300.0), Contact.STABLE),
        (np.round(muscle(1.0)), Contact.STABLE),  # coarse resolution is not clipping
    ],
)
def test_contact_of_typical_faults(signal_uv, contact):
    assert judged(signal_uv).contact[0] == contact


def test_numbers_are_the_textbook_ones():
    """One window, judged by one line of numpy each."""
    window = (muscle(30.0) + 15 * np.sin(2 * np.pi * 50 * T) + 4000.0)[:WINDOW].astype(np.float32)
    window[17] = np.nan
    quality = Quality(QualitySettings(range_uv=4070.0))
    report = quality.process(window[:, None], RATE)
    good = window[np.isfinite(window)].astype(np.float64)
    centred = np.nan_to_num(window.astype(np.float64) - good[0])
    tones = np.exp(-2j * np.pi * np.outer([50.0, 100.0, 150.0], np.arange(WINDOW)) / RATE)
    power = (2 * np.abs(tones @ centred / WINDOW) ** 2).sum()
    assert report.windows == 1
    assert report.rms_uv[0] == pytest.approx(good.std(), rel=1e-5)
    assert report.mains_uv[0] == pytest.approx(np.sqrt(power), rel=1e-5)
    assert report.mains_ratio[0] == pytest.approx(power / good.var(), rel=1e-5)
    assert report.clip_ratio[0] == pytest.approx((np.abs(good) >= 0.98 * 4070).sum() / WINDOW)
    assert report.clip_ratio[0] > 0
    assert report.bad_ratio[0] == pytest.approx(1 / WINDOW)


def test_drift_is_the_slope():
    assert judged(muscle() + 1234.0 * T).drift_uv_per_s[0] == pytest.approx(1234.0, rel=0.05)


@pytest.mark.parametrize("block", [1, 137, 410, 5000])
def test_verdicts_ignore_block_size(block):
    data = np.stack([muscle(), muscle() + 3000 * np.exp(-3 * T), np.clip(muscle(99.0), -80, 80)], axis=1)
    data = data[: 5 * WINDOW + 100].astype(np.float32)
    data[700:1100, 0] = np.nan
    whole, parts = Quality(), Quality()
    expected = whole.process(data, RATE)
    for i in range(0, len(data), block):
        report = parts.process(data[i : i + block], RATE)
    assert report.windows == expected.windows == 5
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(report, name), value, err_msg=name)


def test_one_bad_window_does_not_shake_a_stable_contact_two_do():
    data = muscle()[:, None].astype(np.float32)
    quality = Quality()
    assert quality.process(data[: 20 * WINDOW], RATE).contact[0] == Contact.STABLE
    flat = np.zeros((WINDOW, 1), np.float32)
    assert quality.process(flat, RATE).contact[0] == Contact.STABLE
    assert quality.process(data[: 3 * WINDOW], RATE).contact[0] == Contact.STABLE
    assert quality.process(flat, RATE).contact[0] == Contact.STABLE
    assert quality.process(flat, RATE).contact[0] == Contact.OFF
    assert quality.process(data[: 3 * WINDOW], RATE).contact[0] == Contact.SETTLING
    assert quality.process(data[: 12 * WINDOW], RATE).contact[0] == Contact.STABLE


def test_hysteresis_in_level():
    """Hum just below the limit is accepted from below and still refused from above."""
    below = muscle(2.0) + 9.0 * np.sqrt(2) * np.sin(2 * np.pi * 50 * T)
    assert judged(below).contact[0] == Contact.STABLE
    above = below + np.where(T < 1.0, 20.0, 0.0) * np.sin(2 * np.pi * 50 * T)
    assert judged(above).contact[0] == Contact.ON


def test_lost_packets_are_told_and_spoil_the_contact():
    quality = Quality()
    data = muscle()[:, None].astype(np.float32)
    assert quality.process(data[: 20 * WINDOW], RATE).lost_ratio == 0.0
    for i in range(10):
        report = quality.process(data[i * 600 : i * 600 + 600], RATE, lost_samples=100)
    assert 0.05 < report.lost_ratio < 0.3
    assert report.contact[0] == Contact.ON
    for i in range(80):
        report = quality.process(data[(i % 20) * WINDOW : (i % 20 + 1) * WINDOW], RATE)
    assert report.lost_ratio < 0.01
    assert report.contact[0] == Contact.STABLE


def test_a_step_across_a_gap_is_no_drift():
    quality = Quality()
    data = muscle()[:, None].astype(np.float32)
    quality.process(data[: 20 * WINDOW + 100], RATE)
    report = quality.process(data[: 3 * WINDOW] + np.float32(5000.0), RATE, lost_samples=4)
    assert report.drift_uv_per_s[0] < 200.0


def test_no_mains_no_mains_numbers():
    report = judged(muscle() + 100 * np.sin(2 * np.pi * 50 * T), settings=QualitySettings(mains_hz=None))
    assert report.mains_uv[0] == 0
    assert report.contact[0] == Contact.STABLE


def test_empty_chunk_is_legal_and_a_new_stream_begins_anew():
    quality = Quality()
    empty = quality.process(np.zeros((0, 3), np.float32), RATE)
    assert empty.windows == 0
    assert empty.contact.tolist() == [Contact.OFF] * 3
    assert np.isnan(empty.rms_uv).all()
    data = np.stack([muscle(), muscle()], axis=1).astype(np.float32)
    assert quality.process(data, RATE).windows == 29
    assert quality.process(data[:0], RATE).windows == 29
    assert quality.process(data[:WINDOW, :1], RATE).windows == 1
    assert quality.process(data[:WINDOW, :1], 1000.0).windows == 4


def test_what_does_not_fit_is_refused():
    good = np.zeros((10, 2), np.float32)
    for data, rate, lost in ((good[:, 0], RATE, 0), (good[:, :0], RATE, 0), (good, 10.0, 0), (good, RATE, -1)):
        with pytest.raises(BadInput):
            Quality().process(data, rate, lost)
    for wrong in ({"range_uv": 0.0}, {"hysteresis": 0.5}, {"settle_s": float("nan")}):
        with pytest.raises(BadInput):
            QualitySettings(**wrong)
