"""What envelope, measures, quality and the papers' offline chain make of simulated sessions whose truth is known."""

import numpy as np
import pytest

from engines.emg.artefacts import LeadOff, Loss, Motion, Settling
from engines.emg.chain import PRESETS, chain_id
from engines.emg.envelope import Envelope
from engines.emg.jena import jena_offline
from engines.emg.measures import (
    Calibration,
    percent_mvc,
    reference_mvc,
    rest_statistics,
    signed_asymmetry,
    synkinesis_index,
)
from engines.emg.montage import FRIDLUND
from engines.emg.performance import Performance
from engines.emg.profile import HEALTHY, Profile, Synkinesis, healthy, palsy, recovery
from engines.emg.quality import Contact, Quality, QualitySettings
from engines.emg.simulator import DC_COUPLED, Amplifier, SyntheticEmg
from engines.emg.tasks import MAXIMUM, TASKS, Task, functional_clip, session_clips, task_named

RATE = 4096.0
F = FRIDLUND.column
STILL = functional_clip(TASKS[0])
SMILE = Task("Smile-Alone", "schaede", (("zygomaticus", 0.7),))


def exact(*clips, profile=HEALTHY):
    return Performance(clips, profile, variability=0.0)


def watch(emg, seconds, settings=None):
    """Contact of every 0.1 s, fed as it arrives."""
    quality, contacts, end = Quality(settings), [], 0
    for first in range(0, round(seconds * RATE), 409):
        for begin, piece in emg.pieces(first, 409):
            report = quality.process(piece, RATE, lost_samples=begin - end)
            end = begin + len(piece)
        contacts.append(report.contact)
    return np.array(contacts), report


def states(contacts, label, begin_s, end_s):
    return {Contact(c) for c in contacts[round(begin_s * 10) : round(end_s * 10), F(label)]}


def test_quality_sees_what_is_wrong_where_it_is_wrong():
    performance = Performance([STILL], HEALTHY, seed=2)
    faults = (
        LeadOff(5.0, 2.0, "F1", "rail"),
        LeadOff(5.0, 2.0, "F3", "flat"),
        LeadOff(5.0, 2.0, "F5", "hum"),
        Settling(0.0, ("F9",), 20_000.0, 2.0),
        Motion(9.0, 0.8, ("F13",), 4000.0),
    )
    contacts, _ = watch(SyntheticEmg(seed=2, performance=performance, artefacts=faults), 14.0)
    for label in ("F1", "F3", "F5"):
        assert states(contacts, label, 3.0, 5.0) == {Contact.STABLE}
        assert states(contacts, label, 5.5, 6.9) == {Contact.OFF}
        assert states(contacts, label, 12.0, 14.0) == {Contact.STABLE}
    assert states(contacts, "F9", 1.5, 4.0) == {Contact.SETTLING}
    assert states(contacts, "F9", 13.0, 14.0) == {Contact.STABLE}
    assert Contact.SETTLING in states(contacts, "F13", 9.0, 11.0)
    for label in ("F17", "F15", "F22"):  # blinks and neighbours of no matter
        assert states(contacts, label, 3.0, 14.0) == {Contact.STABLE}


def test_quality_sees_loss_mains_and_clipping():
    performance = Performance([functional_clip(SMILE)], HEALTHY, seed=2)
    losses = tuple(Loss(5.0 + 0.2 * i, 0.02) for i in range(10))
    contacts, _ = watch(SyntheticEmg(seed=2, performance=performance, artefacts=losses), 7.0)
    assert states(contacts, "F7", 3.0, 5.0) == {Contact.STABLE}
    assert states(contacts, "F7", 5.8, 6.8) == {Contact.ON}
    humming = SyntheticEmg(seed=2, performance=performance, amplifier=Amplifier(mains_uv=60.0))
    contacts, report = watch(humming, 4.0)
    assert (contacts[-10:, F("F7")] == Contact.ON).all()
    assert report.mains_ratio[F("F7")] > 0.9
    narrow = SyntheticEmg(seed=2, performance=performance, amplifier=Amplifier(range_uv=100.0))
    raw = narrow.block(0, round(4 * RATE))
    assert np.abs(raw).max() == 100.0
    contacts, report = watch(narrow, 3.5, QualitySettings(range_uv=100.0))
    assert contacts[-1, F("F19")] == Contact.ON
    assert report.clip_ratio[F("F19")] > 0.01
    assert report.clip_ratio[F("F1")] == 0.0


def test_a_dc_coupled_amplifier_is_fit_too():
    performance = Performance([STILL], HEALTHY, seed=2)
    emg = SyntheticEmg(seed=2, performance=performance, amplifier=DC_COUPLED)
    contacts, _ = watch(emg, 8.0)
    assert np.abs(emg.block(0, 1)).max() > 3000
    assert (contacts[40:] == Contact.STABLE).all()


def live(performance, seed):
    """Envelope of the live chain and the calibration from it: rest clip first, then the maximum."""
    emg = SyntheticEmg(seed=seed, performance=performance, person=seed)
    envelope = Envelope(PRESETS["standard"]).process(emg.block(0, round(performance.duration_s * RATE)), RATE)
    rest = rest_statistics(envelope[round(RATE) : round((performance.first_s[1] - 1) * RATE)])
    best = [held for held in performance.held if held.task == "Maximum"]
    repetitions = [envelope[round((h.start_s - 0.3) * RATE) : round((h.end_s + 0.1) * RATE)] for h in best]
    calibration = Calibration(
        chain_id(PRESETS["standard"], RATE),
        FRIDLUND.labels,
        tuple(rest.mean_uv),
        tuple(rest.sd_uv),
        tuple(reference_mvc(repetitions, RATE)),
        "synthetic maximum",
    )
    return envelope, calibration


def mean_over(performance, envelope, task):
    """(channel,) mean envelope over the holds of a task, after the chain's delay."""
    holds = [held for held in performance.held if held.task == task]
    assert holds
    pieces = [envelope[round((held.start_s + 0.3) * RATE) : round(held.end_s * RATE)] for held in holds]
    return np.mean([piece.mean(axis=0) for piece in pieces], axis=0)


CALIBRATE = (STILL, functional_clip(MAXIMUM, hold_s=3.0))


@pytest.mark.parametrize(("seed", "residual"), [(1, 1.0), (2, 0.6), (3, 0.3)])
def test_a_synkinesis_gain_of_04_reads_as_an_index_of_40(seed, residual):
    profile = Profile(
        "known",
        (("zygomaticus_left", residual), ("orbicularis_oculi_left", residual)),
        (Synkinesis("zygomaticus_left", "orbicularis_oculi_left", 0.4),),
    )
    performance = exact(*CALIBRATE, functional_clip(SMILE, hold_s=3.0), profile=profile)
    envelope, calibration = live(performance, seed)
    percent = percent_mvc(mean_over(performance, envelope, "Smile-Alone"), calibration)[None]
    index = synkinesis_index(percent, [F("zygomaticus_left")])[0]
    assert index[F("orbicularis_oculi_left")] == pytest.approx(40.0, abs=5.0)
    assert index[F("orbicularis_oculi_right")] < 4.0


def test_recovery_reads_as_falling_asymmetry_and_rising_synkinesis():
    asymmetry, index = [], []
    for profile in recovery("left", 3):
        performance = Performance([*CALIBRATE, task_named("Smile-Closed")], profile, seed=1, person=1)
        envelope, calibration = live(performance, 1)
        mean = mean_over(performance, envelope, "Smile-Closed")
        pairs = [muscle for muscle, _, _ in FRIDLUND.pairs()]
        asymmetry.append(signed_asymmetry(mean, calibration, FRIDLUND)[pairs.index("zygomaticus")])
        index.append(synkinesis_index(percent_mvc(mean, calibration)[None], [F("zygomaticus_left")])[0, F("F18")])
    assert asymmetry[0] > asymmetry[1] + 10 > asymmetry[2] + 20
    assert index[0] + 10 < index[1] < index[2] - 10


def test_a_palsy_reads_as_its_asymmetry():
    performance = exact(*CALIBRATE, functional_clip(SMILE), profile=palsy("left", "moderate"))
    envelope, calibration = live(performance, 4)
    mean = mean_over(performance, envelope, "Smile-Alone")
    gain = SyntheticEmg(seed=4, performance=performance, person=4).electrode_gain
    right, left = gain[F("F19")], 0.45 * gain[F("F20")]
    pairs = [muscle for muscle, _, _ in FRIDLUND.pairs()]
    found = signed_asymmetry(mean, calibration, FRIDLUND)[pairs.index("zygomaticus")]
    assert found == pytest.approx(100 * (right - left) / (right + left), abs=5.0)


@pytest.fixture(scope="module")
def offline_session():
    """One whole session through the papers' chain: {task: [(frame, 22) envelope of each clip]}."""
    performance = Performance(session_clips(2), healthy(2), seed=2, person=2)
    emg = SyntheticEmg(seed=2, performance=performance, person=2)
    clips = {}
    for clip, first_s in zip(performance.clips, performance.first_s, strict=False):
        raw = emg.block(round(first_s * RATE), round(clip.duration_s * RATE))
        clips.setdefault(clip.task.name, []).append(jena_offline(raw, RATE))
    return clips


def test_offline_envelopes_have_the_published_shape(offline_session):
    """FACTS 1.2: median about 7 microvolt; the maximum of about 1800 needs an artefact or a very strong person."""
    every = np.concatenate([envelope for clips in offline_session.values() for envelope in clips])
    assert 4.0 < np.median(every) < 12.0
    assert 150 < every.max() < 2000
    assert every.max() / np.median(every) > 20
    rest = np.concatenate(offline_session["Face-At-Rest"])
    assert np.median(rest) < np.median(every)


def test_each_task_is_led_by_its_muscle(offline_session):
    """Strongest of all muscles relative to what the muscle reaches in the session, and on both sides."""
    peak = {
        task: np.mean([np.quantile(envelope, 0.9, axis=0) for envelope in clips], axis=0)
        for task, clips in offline_session.items()
    }
    reach = np.max(list(peak.values()), axis=0)
    for task, muscle in (
        ("Forehead-Raise", "frontalis"),
        ("surprised", "frontalis"),
        ("Eye-Gentle", "orbicularis_oculi"),
        ("Eye-Tight", "orbicularis_oculi"),
        ("Smile-Closed", "zygomaticus"),
        ("Smile-Open", "zygomaticus"),
        ("happy", "zygomaticus"),
        ("Nose-Wrinkler", "levator_labii_superioris"),
        ("Snarl", "levator_labii_superioris"),
        ("Lip-Pucker", "orbicularis_oris"),
    ):
        by_muscle = (peak[task] / reach).reshape(11, 2).mean(axis=1)
        assert FRIDLUND.pairs()[by_muscle.argmax()][0].endswith(muscle), task
    for muscle, tasks in (
        ("medial_frontalis", {"Forehead-Raise"}),
        ("corrugator_supercilii", {"angry", "Eye-Tight"}),
        ("zygomaticus", {"Smile-Open", "Smile-Closed", "happy"}),
        ("orbicularis_oculi", {"Eye-Tight"}),
        ("orbicularis_oris", {"Lip-Pucker", "Cheeks-Blow"}),
        ("depressor_anguli_oris", {"Depress-Lip", "sad"}),
    ):
        for side in ("right", "left"):
            assert max(peak, key=lambda task: peak[task][F(f"{muscle}_{side}")]) in tasks
