"""Muscles from the picture: one estimate for each expression, in per cent of what the bundle's numbers can mean."""

import numpy as np
import pytest

pytest.importorskip("torch")

from tiny_networks import CHAIN, PAPER, write_emg, write_encoder

from engines.bundle import read_bundle
from rt.errors import BadSettings
from rt.message import Expression, Muscles
from rt.stage import Context
from rt.stages.exp2emg import Exp2EmgSettings, Exp2EmgStage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def ours(folder):
    return write_emg(folder / "ours")


@pytest.fixture(scope="module")
def paper(folder):
    return write_emg(folder / "paper", sizes=PAPER, widths=[16])


def opened(bundle, **settings):
    settings = {"chain": CHAIN, "backend": "torch", **settings}
    stage = Exp2EmgStage(Exp2EmgSettings(str(bundle), **settings), Context("exp2emg"))
    stage.open()
    return stage


def expression(t, level=0.5, seq=4):
    return Expression(t, np.full(52, level, np.float32), "arkit52", "camera", seq)


def muscles(rest=2.0, reference=100.0):
    nothing = np.full(22, np.nan, np.float32)
    rest, reference = np.full(22, rest, np.float32), np.full(22, reference, np.float32)
    return Muscles(1.0, nothing, nothing, nothing[:11], np.zeros(22, np.uint8), rest, rest, reference)


def one(stage, message):
    [(port, found)] = list(stage.process("expression", message))
    assert port == "estimate"
    return found


def test_an_estimate_for_every_expression(ours):
    stage = opened(ours)
    for step in range(4):
        found = one(stage, expression(5 + step / 30, step / 4, seq=step))
    assert (found.t, found.seq) == (5 + 3 / 30, 3)
    assert found.percent.shape == found.spread.shape == (22,)
    assert (found.percent >= 0).all()
    assert (found.percent > 0).any()
    assert (found.spread > 0).all()
    facts = {"role": "exp2emg", "bundle": "ours", "precision": "fp32", "uncertainty": True, "learned_from": "Truth"}
    assert stage.context.facts.items() >= {**facts, "relative_to": "own maximum"}.items()
    stage.close()


def test_the_past_counts(ours):
    """The same face, come from another one, is another estimate."""
    stage = opened(ours)
    for step in range(6):
        still = one(stage, expression(5 + step / 30, 0.8))
    for step in range(6):
        moved = one(stage, expression(9 + step / 30, 0.8 if step == 5 else 0.0))
    assert np.abs(still.percent - moved.percent).max() > 0.01
    stage.close()


def test_a_paper_bundle_says_per_cent_of_the_strongest_muscle_until_there_is_a_calibration(paper):
    stage = opened(paper)
    assert stage.context.facts["relative_to"] == "strongest muscle"
    before = one(stage, expression(5.0))
    assert np.isnan(before.spread).all()
    assert list(stage.process("muscles", muscles(rest=0.0))) == []
    assert stage.context.facts["relative_to"] == "own maximum"
    np.testing.assert_allclose(one(stage, expression(5.1)).percent, before.percent, rtol=1e-5)  # all alike, no rest
    stage.process("muscles", muscles(rest=0.0, reference=np.nan))
    assert stage.context.facts["relative_to"] == "strongest muscle"
    stage.close()


def test_what_does_not_fit_is_refused_before_anything_opens(folder, ours):
    flame = write_emg(folder / "flame", profile="flame55", method="EIFER")
    wrong = [
        (ours, {"chain": "another"}, f"EMG chain {CHAIN}, this station runs another"),
        (ours, {"profile": "flame55"}, "expressions in arkit52, this station's encoder gives flame55"),
        (flame, {"profile": "flame55", "mediapipe": True}, "wants expressions in flame55"),
        (write_emg(folder / "eifer", method="EIFER"), {"mediapipe": True}, "learned from expressions of EIFER"),
        (write_emg(folder / "back", direction="emg2exp"), {}, "from muscles to expression, exp2emg is needed"),
        (write_encoder(folder / "encoder"), {}, "is for eifer, not from expression to muscles"),
        (folder / "nowhere", {}, "is no bundle"),
    ]
    for bundle, settings, sentence in wrong:
        with pytest.raises(BadSettings, match=sentence) as found:
            Exp2EmgStage(Exp2EmgSettings(str(bundle), **{"chain": CHAIN, **settings}), Context())
        assert str(found.value).startswith("muscles cannot be estimated: ")
        assert "\n" not in str(found.value)
    Exp2EmgStage(Exp2EmgSettings(str(flame), chain=CHAIN, profile="flame55"), Context())
    assert read_bundle(ours).manifest.montage == "fridlund"
