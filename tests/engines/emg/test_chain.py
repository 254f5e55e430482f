import re
from dataclasses import replace

import pytest
from scipy import signal

from engines.emg.chain import (
    PRESETS,
    EnvelopeSettings,
    chain_id,
    front_sections,
    mains_harmonics_hz,
    preset,
)
from engines.emg.envelope import group_delay_ms
from engines.errors import BadInput


def test_chain_ids_never_change():
    """Stored in every calibration and recording: a change here orphans them all (then raise _CHAIN_VERSION)."""
    assert {name: chain_id(settings, 4096.0) for name, settings in PRESETS.items()} == {
        "fast": "3990e3c67d1c",
        "standard": "228709b68aa3",
        "calm": "3541c8c72dba",
    }


def test_chain_id_follows_the_numbers_and_not_the_name():
    settings = PRESETS["standard"]
    assert chain_id(replace(settings, name="mine"), 4096) == chain_id(settings, 4096.0)
    assert chain_id(replace(settings, lowpass_hz=6), 4096) == chain_id(settings, 4096.0)
    others = [
        chain_id(settings, 2000.0),
        chain_id(replace(settings, mains_hz=60.0), 4096.0),
        chain_id(replace(settings, mains_hz=None), 4096.0),
        chain_id(replace(settings, notch_q=31.0), 4096.0),
    ]
    assert len({chain_id(settings, 4096.0), *others}) == 5


@pytest.mark.parametrize("name", PRESETS)
def test_docstring_states_the_measured_group_delay(name):
    stated = re.search(rf"{name} .* ([\d.]+) ms", EnvelopeSettings.__doc__ or "")
    assert stated is not None
    assert group_delay_ms(PRESETS[name], 4096.0) == pytest.approx(float(stated[1]), abs=0.1)


def test_group_delay_is_the_textbook_one_plus_the_band_pass():
    # 2nd-order Butterworth low-pass at DC: sqrt(2) / (2 pi f); sliding RMS: half the window
    assert 1.0 < group_delay_ms(PRESETS["standard"], 4096.0) - 37.5 < 3.0
    assert 1.0 < group_delay_ms(PRESETS["calm"], 4096.0) - 125.0 < 3.0


def test_front_passes_the_band_and_stops_the_mains():
    sos = front_sections(PRESETS["standard"], 4096.0)
    _, gain = signal.sosfreqz(sos, worN=[1.0, 20.0, 50.0, 75.0, 100.0, 150.0, 200.0, 450.0, 2000.0], fs=4096.0)
    level = abs(gain)
    assert level[[2, 4, 5]] == pytest.approx(0, abs=1e-6)
    assert level[[3, 6]] == pytest.approx(1, abs=0.03)
    assert level[[1, 7]] == pytest.approx(0.707, abs=0.02)
    assert level[[0, 8]].max() < 0.01


def test_harmonics_stay_inside_the_band():
    narrow = replace(PRESETS["standard"], band_hz=(20.0, 120.0))
    assert mains_harmonics_hz(narrow) == [50.0, 100.0]
    assert mains_harmonics_hz(replace(narrow, mains_hz=None)) == []
    assert len(front_sections(replace(narrow, mains_hz=None), 4096.0)) == 2


def test_too_slow_an_amplifier_is_refused():
    with pytest.raises(BadInput, match="500 Hz is too low"):
        front_sections(PRESETS["standard"], 500.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"band_hz": (450.0, 20.0)},
        {"mains_hz": 55.0},
        {"mains_harmonics": 0},
        {"lowpass_hz": None},
        {"rms_window_s": 0.25},
        {"lowpass_hz": 100.0},
        {"lowpass_hz": None, "rms_window_s": 9.0},
        {"band_order": 9},
        {"notch_q": float("nan")},
    ],
)
def test_contradicting_settings_are_refused(wrong):
    with pytest.raises(BadInput):
        replace(PRESETS["standard"], **wrong)


def test_preset_names_the_nearest():
    assert preset("calm", 60.0) == replace(PRESETS["calm"], mains_hz=60.0)
    with pytest.raises(BadInput, match="did you mean standard"):
        preset("standart")
