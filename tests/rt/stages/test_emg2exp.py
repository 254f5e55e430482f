"""A face from muscles alone: at its own calm rate, and none before the muscles are calibrated."""

import numpy as np
import pytest

pytest.importorskip("torch")

from tiny_networks import CHAIN, PAPER, write_emg

from rt.errors import BadSettings
from rt.message import Muscles
from rt.stage import Context
from rt.stages.emg2exp import Emg2ExpSettings, Emg2ExpStage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def bundle(folder):
    return write_emg(folder / "ours", direction="emg2exp", uncertainty=False)


def opened(bundle):
    stage = Emg2ExpStage(Emg2ExpSettings(str(bundle), CHAIN, backend="torch"), Context("emg2exp"))
    stage.open()
    return stage


def muscles(t, percent=40.0, reference=100.0):
    values = np.full(22, percent, np.float32) if np.isscalar(percent) else percent
    full = np.full(22, reference, np.float32)
    envelope = np.full(22, 30, np.float32)
    rest = np.zeros(22, np.float32)
    return Muscles(t, envelope, values, np.zeros(11, np.float32), np.full(22, 3, np.uint8), rest, rest, full)


def said(stage, *messages):
    return [found for message in messages for _, found in stage.process("muscles", message)]


def test_a_face_of_the_muscles_moment(bundle):
    stage = opened(bundle)
    [found] = said(stage, muscles(7.0))
    assert (found.t, found.source, found.profile, found.seq) == (7.0, "emg", "arkit52", -1)
    assert found.values.shape == (52,)
    [stronger] = said(stage, muscles(9.0, 90.0))
    assert np.abs(stronger.values - found.values).max() > 1e-3
    facts = {"role": "emg2exp", "bundle": "ours", "calibrated": True}
    assert stage.context.facts.items() >= facts.items()
    stage.close()


def test_thirty_a_second_are_enough_and_a_clock_that_was_set_back_is_followed(bundle):
    stage = opened(bundle)
    found = said(stage, *(muscles(7 + step / 120) for step in range(120)))
    assert 25 <= len(found) <= 31
    assert said(stage, muscles(7.9)) == []  # a little late
    assert len(said(stage, muscles(2.0))) == 1
    stage.close()


def test_nothing_before_there_is_a_calibration(bundle):
    stage = opened(bundle)
    assert said(stage, muscles(1.0, np.full(22, np.nan, np.float32), np.nan)) == []
    assert stage.context.facts["calibrated"] is False
    assert len(said(stage, muscles(2.0))) == 1
    assert stage.context.facts["calibrated"] is True
    stage.close()


def test_a_muscle_without_contact_is_at_rest(bundle):
    off = np.full(22, 40, np.float32)
    off[3] = np.nan
    resting = off.copy()
    resting[3] = 0
    stage = opened(bundle)
    [found] = said(stage, muscles(1.0, off))
    [same] = said(stage, muscles(5.0, resting))
    np.testing.assert_allclose(found.values, same.values, atol=1e-6)
    stage.close()


def test_a_paper_bundle_divides_by_the_loudest_reference(folder):
    stage = opened(write_emg(folder / "paper", sizes=PAPER, direction="emg2exp", end="tanh"))
    [found] = said(stage, muscles(1.0, percent=80.0, reference=60.0))
    [same] = said(stage, muscles(5.0, percent=10.0, reference=60.0))  # the envelope counts, not %MVC
    np.testing.assert_allclose(found.values, same.values, atol=1e-6)
    [other] = said(stage, muscles(9.0, percent=10.0, reference=300.0))
    assert np.abs(other.values - found.values).max() > 1e-3
    stage.close()


def test_what_does_not_fit_is_refused_before_anything_opens(folder, bundle):
    wrong = [
        (bundle, "another", f"EMG chain {CHAIN}, this station runs another"),
        (write_emg(folder / "forth"), CHAIN, "from expression to muscles, emg2exp is needed"),
        (folder / "nowhere", CHAIN, "is no bundle"),
    ]
    for path, chain, sentence in wrong:
        with pytest.raises(BadSettings, match=sentence) as found:
            Emg2ExpStage(Emg2ExpSettings(str(path), chain), Context())
        assert str(found.value).startswith("the face cannot be driven by muscles: ")
        assert "\n" not in str(found.value)
