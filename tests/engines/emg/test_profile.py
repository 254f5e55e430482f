import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from engines.emg.muscles import ACTION_INDEX
from engines.emg.profile import (
    HEALTHY,
    PALSY_RESIDUAL,
    REST_TONE,
    Profile,
    Synkinesis,
    healthy,
    palsy,
    recovery,
    synkinetic,
)
from engines.errors import BadInput

F = FRIDLUND.column


def test_healthy_changes_nothing():
    np.testing.assert_array_equal(HEALTHY.gain, 1.0)
    assert not HEALTHY.synkinesis_matrix.any()
    assert not HEALTHY.hidden.any()
    np.testing.assert_array_equal(HEALTHY.rest, REST_TONE)
    assert set(HEALTHY.asymmetry_percent().values()) == {0.0}


def test_healthy_people_have_natural_asymmetry():
    people = [healthy(seed) for seed in range(200)]
    found = np.array([[p.asymmetry_percent()[m] for m in ("medial_frontalis", "zygomaticus")] for p in people])
    assert np.abs(found).max() <= 25.0 + 1e-9
    assert np.abs(found.mean(axis=0)).max() < 3.0  # neither side is favoured
    assert 6.0 < np.abs(found[:, 0]).mean() < 10.0  # below the published 11 %: the electrodes add theirs
    assert np.abs(found[:, 1]).mean() > np.abs(found[:, 0]).mean()  # zygomaticus 17 % above frontalis 11 %
    assert all(p.gain[ACTION_INDEX["lid_close_left"]] == 1.0 for p in people)
    assert healthy(3) == healthy(3) != healthy(4)


@pytest.mark.parametrize("grade", PALSY_RESIDUAL)
def test_a_palsy_weakens_one_nerve(grade):
    profile = palsy("left", grade)
    residual = PALSY_RESIDUAL[grade]
    for action in ("zygomaticus", "medial_frontalis", "lid_close", "lip_depress"):
        assert profile.gain[ACTION_INDEX[f"{action}_left"]] == residual
        assert profile.gain[ACTION_INDEX[f"{action}_right"]] == 1.0
    for action in ("masseter_left", "lid_raise_left", "jaw_open"):  # other nerves
        assert profile.gain[ACTION_INDEX[action]] == 1.0
    expected = 100 * (1 - residual) / (1 + residual)
    assert profile.asymmetry_percent()["zygomaticus"] == pytest.approx(expected)
    assert palsy("right", grade).asymmetry_percent()["zygomaticus"] == pytest.approx(-expected)


def test_synkinesis_has_the_published_pairs_on_one_side():
    matrix = synkinetic("right", strength=0.4).synkinesis_matrix
    assert matrix[F("zygomaticus_right"), F("orbicularis_oculi_right")] == pytest.approx(0.4)
    for source, target in (
        ("orbicularis_oculi", "zygomaticus"),
        ("orbicularis_oculi", "orbicularis_oris"),
        ("orbicularis_oris", "orbicularis_oculi"),
    ):
        assert matrix[F(f"{source}_right"), F(f"{target}_right")] > 0.1
    assert not matrix[:, 1::2].any()
    assert not matrix[1::2].any()


def test_recovery_is_a_warning():
    profiles = recovery("left", 6)
    asymmetry = [p.asymmetry_percent()["zygomaticus"] for p in profiles]
    synkinesis = [p.synkinesis_matrix[F("zygomaticus_left"), F("orbicularis_oculi_left")] for p in profiles]
    assert all(np.diff(asymmetry) < 0)
    assert asymmetry[0] > 70
    assert all(np.diff(synkinesis) >= 0)
    assert synkinesis[0] == 0.0
    assert synkinesis[-1] == pytest.approx(0.5)
    assert all("asymmetry falls, synkinesis rises: not improvement" in p.label for p in profiles)
    assert profiles[2].name == "recovery-left-3-of-6"


def test_a_later_entry_replaces_an_earlier_one():
    profile = Profile("x", (("zygomaticus", 0.5), ("zygomaticus_left", 0.2)))
    assert profile.gain[F("zygomaticus_right")] == 0.5
    assert profile.gain[F("zygomaticus_left")] == 0.2


def test_bad_profiles_are_sentences():
    with pytest.raises(BadInput, match=r"gain of zygomaticus_left is -0\.2; it must lie in 0 to 2"):
        Profile("x", (("zygomaticus_left", -0.2),))
    with pytest.raises(BadInput, match="is nan"):
        Profile("x", (("mentalis", float("nan")),))
    with pytest.raises(BadInput, match="did you mean 'zygomaticus_left'"):
        Profile("x", (("zygomaticus_lft", 0.5),))
    with pytest.raises(BadInput, match="synkinesis has a side"):
        Profile("x", synkinesis=(Synkinesis("zygomaticus", "mentalis_left", 0.4),))
    with pytest.raises(BadInput, match="needs two muscles"):
        Profile("x", synkinesis=(Synkinesis("mentalis_left", "mentalis_left", 0.4),))
    with pytest.raises(BadInput, match="jaw_open has no channel"):
        Profile("x", co_contraction=(("jaw_open", 0.4),))
    with pytest.raises(BadInput, match="tone of mentalis is 2"):
        Profile("x", tone=(("mentalis", 2),))
    with pytest.raises(BadInput, match="no palsy 'bad'; choose from mild"):
        palsy("left", "bad")
    with pytest.raises(BadInput, match="right or on the left, not 'top'"):
        synkinetic("top")
    with pytest.raises(BadInput, match="at least 2 sessions"):
        recovery("left", 1)
    with pytest.raises(BadInput, match="seed must not be negative"):
        healthy(-1)
