"""Signals without pictures: the same people as the cohort's, the live chain read as a session reads it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from calibration.cohort_plan import CohortSettings, plan_clips, plan_people
from calibration.cohort_signals import RATE_HZ, Signals
from calibration.data.emg_signals import (
    JENA,
    chain_id_of,
    live_envelope,
    make_signals,
    people_of,
    read_signals,
    recorded,
    recordings_of,
)
from engines.emg.chain import chain_id, preset
from engines.emg.envelope import Envelope
from engines.errors import BadInput
from rt.message import Chunk
from rt.stages.join import History

TASKS = ("Face-At-Rest", "Smile-Closed")
SHORT = CohortSettings(participants=1, sessions=1, tasks=TASKS, seconds=2.0, mishaps=0.0)


@pytest.fixture(scope="module")
def signals():
    return Signals(SHORT, recordings_of(SHORT)[0])


def test_people_are_those_of_the_rendered_cohort():
    settings = CohortSettings(participants=9, patients=0.5)
    photos = [f"photo_{n}" for n in range(40)]
    for signal, filmed in zip(people_of(settings), plan_people(settings, photos), strict=True):
        assert replace(signal, photos=(), weights=()) == replace(filmed, photos=(), weights=())


def test_clips_are_those_of_the_rendered_cohort(signals):
    rows = recorded(SHORT, signals.plan, "standard")
    plans = [plan for plan in plan_clips(SHORT, people_of(SHORT)) if plan.id.electrodes]
    assert [clip.id for clip in rows] == [plan.id for plan in plans]
    for clip, plan in zip(rows, plans, strict=True):
        assert clip.expression.shape == (plan.frames(2.0), 52)
        assert clip.envelope_uv.shape == clip.intact.shape == (60, 22)
        np.testing.assert_allclose(clip.expression, signals.performed(plan.place, 60).expression, atol=1e-6)


def test_the_live_envelope_is_what_the_join_reads(signals):
    """Twin: the stages, chunk by chunk, as a session runs them."""
    t_s = 0.31 + np.arange(20) / 30
    envelope, history, emg = Envelope(preset("standard")), History(22), signals.emg
    expected, first = [], 0
    for t in t_s:
        while first / emg.true_rate_hz <= t + 0.02:
            block = envelope.process(emg.block(first, 57), RATE_HZ)
            history.add(Chunk(data=block, rate_hz=emg.true_rate_hz, t0=first / emg.true_rate_hz, first_sample=first))
            first += 57
        found = history.as_of(t, 0.1)
        expected.append(found[1].copy())
    np.testing.assert_array_equal(live_envelope(signals, t_s, "standard"), np.stack(expected))


def test_muscles_are_early_and_skin_is_late(signals):
    """The envelope of a smile rises before the smile shows: electromechanical delay against the chain's own."""
    t_s = signals.performance.first_s[4] + np.arange(0, 16, 1 / 30)
    smile = signals.performance.expression(t_s)[:, 44]
    muscle = live_envelope(signals, t_s, "fast")[:, 19]
    lags = range(-10, 11)
    fit = [np.corrcoef(np.roll(muscle, lag)[30:-30], smile[30:-30])[0, 1] for lag in lags]
    assert 0 < lags[int(np.argmax(fit))] <= 5
    assert max(fit) > 0.8


def test_jena_offline_is_the_cohorts_own(signals):
    rows = recorded(SHORT, signals.plan, JENA)
    place = signals.plan.ids.index(rows[1].id)
    np.testing.assert_array_equal(rows[1].envelope_uv, signals.clip_emg(place, 60).envelope_uv)


def test_lost_samples_are_marked_not_invented():
    settings = replace(SHORT, mishaps=60.0, seconds=None, tasks=("Face-At-Rest",))
    rows = recorded(settings, recordings_of(settings)[0], "standard")
    assert all(np.isfinite(clip.envelope_uv).all() for clip in rows)
    assert not all(clip.intact.all() for clip in rows)


def test_nothing_rings_in_what_is_called_intact():
    """A lead that comes back from the rail is a step of 0.2 V: with its echo left in, a bar stands at a millivolt."""
    settings = replace(SHORT, participants=2, mishaps=0.5, seconds=None, tasks=tuple(CohortSettings().tasks))
    rows = recorded(settings, recordings_of(settings)[1], "standard")
    loudest = max(float(clip.envelope_uv.max()) for clip in rows)
    intact = max(float(clip.envelope_uv[clip.intact].max(initial=0)) for clip in rows)
    assert loudest > 1000
    assert intact < 300


def test_ids_of_chains():
    assert chain_id_of("standard") == chain_id(preset("standard"), 4096.0)
    assert len({chain_id_of(name) for name in ("fast", "standard", "calm", JENA)}) == 4
    with pytest.raises(BadInput, match="no EMG chain 'slow': choose fast, standard, calm, jena_offline"):
        chain_id_of("slow")


def test_a_folder_is_read_as_it_was_made(signals_folder):
    settings = json.loads((signals_folder / "signals.json").read_text())["settings"]
    settings = CohortSettings(**{**settings, "tasks": tuple(settings["tasks"])})
    made = recorded(settings, recordings_of(settings)[2], "standard")
    read = [rows for rows in read_signals(signals_folder, "standard") if rows.id.pid == made[0].id.pid]
    for one, other in zip(made, read, strict=True):
        assert one.id == other.id
        for name in ("expression", "envelope_uv", "intact"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture
def copied(signals_folder, tmp_path):
    return shutil.copytree(signals_folder, tmp_path / "signals")


def test_an_interrupted_folder_is_refused_and_goes_on(copied):
    about = json.loads((copied / "signals.json").read_text())
    settings = CohortSettings(**{**about["settings"], "tasks": tuple(about["settings"]["tasks"])})
    (copied / "signals.json").write_text(json.dumps({**about, "complete": False}))
    lost = copied / "003_1S.npz"
    before = lost.read_bytes()
    lost.unlink()
    with pytest.raises(BadInput, match="are not finished"):
        list(read_signals(copied, "standard"))
    kept = (copied / "001_1S.npz").stat().st_mtime_ns
    assert make_signals(settings, ("standard",), copied, 1, lambda n: None) == 5
    assert lost.read_bytes() == before
    assert (copied / "001_1S.npz").stat().st_mtime_ns == kept
    assert len(list(read_signals(copied, "standard"))) == 20


def test_other_signals_are_not_mixed_in(copied, tmp_path):
    with pytest.raises(BadInput, match="holds other signals"):
        make_signals(SHORT, ("standard",), copied, 1, lambda n: None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="something else than signals"):
        make_signals(SHORT, ("standard",), tmp_path / "full", 1, lambda n: None)
    with pytest.raises(BadInput, match="at least one EMG chain"):
        make_signals(SHORT, (), tmp_path / "new", 1, lambda n: None)
    with pytest.raises(BadInput, match="processes must be 1 or more, found 0"):
        make_signals(SHORT, ("standard",), tmp_path / "new", 0, lambda n: None)


def test_damaged_files_are_refused_in_one_sentence(copied):
    with pytest.raises(BadInput, match="no envelopes of calm: it has standard; choose with chain="):
        list(read_signals(copied, "calm"))
    path = copied / "002_1S.npz"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(BadInput, match=r"002_1S\.npz is no recording of signals") as caught:
        list(read_signals(copied, "standard"))
    assert "\n" not in str(caught.value)
    (copied / "signals.json").write_text("{")
    with pytest.raises(BadInput, match=r"signals\.json cannot be read"):
        list(read_signals(copied, "standard"))
