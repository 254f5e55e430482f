"""Clips in MMM's layout: the tables go with the folder's own, and raw EMG takes the live chain."""

import json

import numpy as np
import pytest

from calibration.data.mmm import Recordings, _table
from calibration.offline.find import find_recordings
from calibration.offline.order import Order
from calibration.offline.processing import process
from engines.emg.envelope import Envelope, chain_id, preset
from engines.emg.jena import JENA_CHAIN_ID
from engines.emg.montage import FRIDLUND
from engines.loading import load
from rt import assets
from rt.errors import BadSettings
from rt.message import Chunk
from rt.recording.export_csv import as_of
from rt.recording.recorded import recorded_chunks

ORDER = Order(formats=("csv",))
CHAIN = chain_id(preset("standard"), 4096.0)


@pytest.fixture(autouse=True)
def without_model(monkeypatch):
    monkeypatch.setattr(assets, "find", lambda name: None)


def processed(folder, clip, tmp_path):
    found, _ = find_recordings([folder], tmp_path)
    [recording] = [recording for recording in found if recording.clip == str(clip.id)]
    result = process(recording, ORDER)
    names, values = _table(recording.target / "emg.csv") if clip.id.electrodes else ([], None)
    return result, json.loads((recording.target / "processed.json").read_text()), names, values


def test_a_clip_without_raw_emg_keeps_the_envelopes_that_lie_beside_it(mmm_folder, tmp_path):
    clip = Recordings.open(mmm_folder).clips[1]
    result, about, names, values = processed(mmm_folder, clip, tmp_path)
    assert (result.pictures, result.synthetic) == (48, False)
    ours = values[:, 1:][:, FRIDLUND.index_of(names[1:])]
    np.testing.assert_allclose(ours, clip.emg_uv(), rtol=1e-6)
    assert about["emg"]["chain"] == JENA_CHAIN_ID
    assert about["recording"]["kind"] == "clip"
    assert about["recording"]["subject"] == "099"
    assert "CC BY-NC" in about["recording"]["licence"]


def test_a_synthetic_clips_raw_emg_takes_the_live_chain(painted_cohort, tmp_path):
    [clip] = [clip for clip in Recordings.open(painted_cohort).clips if clip.id.electrodes][:1]
    result, about, names, values = processed(painted_cohort, clip, tmp_path)
    assert (result.pictures, result.synthetic) == (6, True)
    assert about["emg"]["chain"] == CHAIN
    assert about["recording"]["origin"] == "synthetic"
    raw = list(recorded_chunks(clip.file("emg_raw")))
    envelope = Envelope(preset("standard"))
    made = [Chunk(envelope.process(c.data, c.rate_hz), c.rate_hz, c.t0, 0, "envelope") for c in raw]
    expected = as_of(2.0 + np.arange(6) / 30, made, 22)
    np.testing.assert_allclose(values[:, 1:][:, FRIDLUND.index_of(names[1:])], expected, rtol=1e-6)


def test_a_clip_without_electrodes_has_no_muscles(painted_cohort, tmp_path):
    [clip] = [clip for clip in Recordings.open(painted_cohort).clips if not clip.id.electrodes][:1]
    _, about, _, _ = processed(painted_cohort, clip, tmp_path)
    assert not {"emg", "muscles", "expression_emg"} & set(about["tables"])  # what needs an amplifier
    assert {"frames", "mediapipe"} <= set(about["tables"])


def test_bundles_must_be_of_the_chain_that_made_the_envelopes(mmm_folder, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tiny_networks import write_emg, write_encoder

    monkeypatch.setattr("rt.networks.load", lambda model, *_: load(model, "cpu", "torch"))
    recording = find_recordings([mmm_folder], tmp_path)[0][1]
    encoder = str(write_encoder(tmp_path / "encoder"))
    live, offline = (
        str(write_emg(tmp_path / name, chain=id)) for name, id in (("live", CHAIN), ("jena", JENA_CHAIN_ID))
    )
    with pytest.raises(BadSettings, match=f"EMG chain {CHAIN}, this station runs {JENA_CHAIN_ID}"):
        process(recording, Order(None, ("csv",), "off", encoder, live, "off"))
    process(recording, Order(None, ("csv",), "off", encoder, offline, "off"))
    _, values = _table(recording.target / "estimated_muscles.csv")
    assert values.shape == (48, 45)
    assert np.isfinite(values).all()
