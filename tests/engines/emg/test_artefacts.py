import json

import numpy as np
import pytest

from engines.emg.artefacts import (
    HUM_UV,
    Faults,
    Gap,
    LeadOff,
    Loss,
    Mishaps,
    Motion,
    Settling,
    as_record,
    draw_artefacts,
)
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput, UnknownChannel

RATE = 4096.0
RANGE = 187_500.0


def applied(artefacts, seconds=10.0, first=0, quiet=None):
    faults = Faults(artefacts, FRIDLUND, RATE, 50.0, seed=3)
    out = np.zeros((round(seconds * RATE), 22), np.float32) if quiet is None else quiet.copy()
    faults.apply(first, RANGE, out)
    return out


EVERYTHING = (
    Motion(1.0, 0.5, ("F19", "F20")),
    Settling(0.0, ("F1",), 3000.0, 1.0),
    LeadOff(2.0, 1.5, "F3", "rail"),
    LeadOff(3.0, 1.5, "F5", "flat"),
    LeadOff(4.0, 1.5, "F7", "hum"),
    Motion(2.2, 0.5, ("F3",)),
)


@pytest.mark.parametrize("block", [1, 137, 4096])
def test_faults_do_not_see_the_blocks(block):
    quiet = np.random.default_rng(1).standard_normal((round(5 * RATE), 22)).astype(np.float32)
    whole = applied(EVERYTHING, quiet=quiet)
    faults = Faults(EVERYTHING, FRIDLUND, RATE, 50.0, seed=3)
    begin, end = round(3.9 * RATE), round(4.1 * RATE)
    pieces = quiet[begin:end].copy()
    for i in range(begin, end, block):
        faults.apply(i, RANGE, pieces[i - begin : min(i - begin + block, end - begin)])
    np.testing.assert_array_equal(pieces, whole[begin:end])


def test_a_motion_swings_and_dies_out_on_its_channels_only():
    out = applied([Motion(1.0, 0.6, ("F19", "F17"), amplitude_uv=1000.0, swing_hz=4.0)])
    for label in ("F19", "F17"):
        signal = out[:, FRIDLUND.column(label)]
        assert not signal[: round(RATE)].any()
        assert 300 < np.abs(signal).max() < 1000
        assert np.abs(signal[round(1.6 * RATE) :]).max() < 100
        swings = np.flatnonzero(np.diff(np.sign(signal[round(1.0 * RATE) : round(1.5 * RATE)])) != 0)
        assert len(swings) == pytest.approx(4, abs=1)  # two zero crossings per cycle
    others = np.delete(out, [FRIDLUND.column("F19"), FRIDLUND.column("F17")], axis=1)
    assert not others.any()


def test_settling_is_the_exponential():
    out = applied([Settling(0.0, (), 2000.0, 2.0)])
    assert (np.abs(out[0]) >= 1000).all()
    np.testing.assert_allclose(out[round(2 * RATE)], out[0] * np.exp(-1), rtol=1e-3)


def test_a_lead_is_off_in_three_ways():
    quiet = np.full((round(10 * RATE), 22), 7.0, np.float32)
    out = applied(EVERYTHING, quiet=quiet)
    inside = lambda a, b: slice(round(a * RATE) + 1, round(b * RATE) - 1)  # noqa: E731
    rail = out[inside(2.0, 3.5), FRIDLUND.column("F3")]
    assert set(np.abs(rail)) == {RANGE}  # also where the electrode was knocked meanwhile
    assert not out[inside(3.0, 4.5), FRIDLUND.column("F5")].any()
    hum = out[inside(4.0, 5.5), FRIDLUND.column("F7")][: round(RATE)]
    assert hum.std() == pytest.approx(HUM_UV, rel=0.01)
    assert np.abs(np.fft.rfft(hum))[1:].argmax() + 1 == 50
    np.testing.assert_array_equal(out[round(5.6 * RATE) :, FRIDLUND.column("F3")], 7.0)


def test_lost_samples_are_ranges():
    faults = Faults([Loss(2.0, 0.1), Loss(1.0, 0.25), Loss(1.2, 0.1)], FRIDLUND, 1000.0, 50.0, seed=0)
    assert faults.gaps == (Gap(1000, 300), Gap(2000, 100))  # merged and in order
    assert faults.arrived(0, 1000) == [Gap(0, 1000)]
    assert faults.arrived(900, 1200) == [Gap(900, 100), Gap(1300, 700)]
    assert faults.arrived(1050, 100) == []
    assert faults.arrived(2050, 100) == [Gap(2100, 50)]
    assert faults.arrived(5000, 0) == []
    everything = [n for piece in faults.arrived(0, 3000) for n in range(piece.first, piece.first + piece.samples)]
    lost = {n for gap in faults.gaps for n in range(gap.first, gap.first + gap.samples)}
    assert everything == [n for n in range(3000) if n not in lost]


def test_bad_luck_is_drawn_from_the_seed():
    many = Mishaps(motions_per_min=20, lead_offs_per_min=10, losses_per_min=10, settling_share=0.5)
    drawn = draw_artefacts(300.0, FRIDLUND, 7, many)
    assert drawn == draw_artefacts(300.0, FRIDLUND, 7, many)
    assert drawn != draw_artefacts(300.0, FRIDLUND, 8, many)
    assert [a.at_s for a in drawn] == sorted(a.at_s for a in drawn)
    counts = {kind: sum(isinstance(a, kind) for a in drawn) for kind in (Motion, LeadOff, Loss, Settling)}
    assert 70 < counts[Motion] < 130
    assert 25 < counts[LeadOff] < 80
    assert 25 < counts[Loss] < 80
    assert counts[Settling] == 1
    assert draw_artefacts(300.0, FRIDLUND, 7, Mishaps(0, 0, 0, 0)) == ()
    applied(drawn)


def test_a_motion_takes_neighbours():
    drawn = draw_artefacts(600.0, FRIDLUND, 1, Mishaps(motions_per_min=20))
    sites = np.array([channel.site_xy for channel in FRIDLUND.channels])
    for motion in drawn:
        if isinstance(motion, Motion):
            here = sites[[FRIDLUND.column(label) for label in motion.channels]]
            assert np.hypot(*np.ptp(here, axis=0)) < 100


def test_records_are_json():
    for artefact in (*EVERYTHING, Loss(1.0, 0.2)):
        record = json.loads(json.dumps(as_record(artefact)))
        assert record["artefact"] == type(artefact).__name__
        assert record["at_s"] == artefact.at_s


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="Motion: at_s must be 0 or more, got -1"):
        applied([Motion(-1.0)])
    with pytest.raises(BadInput, match="Loss: duration_s"):
        applied([Loss(1.0, float("inf"))])
    with pytest.raises(BadInput, match="off as rail, flat, hum, not 'broken'"):
        applied([LeadOff(1.0, 1.0, "F1", "broken")])
    with pytest.raises(UnknownChannel):
        applied([LeadOff(1.0, 1.0, "F99")])
    with pytest.raises(BadInput, match="motions_per_min"):
        Mishaps(motions_per_min=-1)
    with pytest.raises(BadInput, match="duration and a seed"):
        draw_artefacts(0.0, FRIDLUND, 1)
