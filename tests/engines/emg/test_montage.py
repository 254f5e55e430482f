import numpy as np
import pytest

from engines.emg.montage import FRIDLUND, KURAMOTO, MONTAGES, montage_called, montage_of
from engines.errors import BadInput, UnknownChannel

# FACTS 1.1, order 2: the columns of the public one-person recordings.
MMM_MUSCLES = [
    "Corrugator Supercilii",
    "Depressor Ang. Oris",
    "Depressor Supercilii Procerus",
    "Lateraler Frontalis",
    "Levator Labii Superioris",
    "Masseter",
    "Medialer Frontalis",
    "Mentalis",
    "Orbicularis Oculi",
    "Orbicularis Oris",
    "Zygomaticus",
]
MMM_COLUMNS = [f"{muscle}_{side}" for muscle in MMM_MUSCLES for side in "lr"]


def test_fridlund_has_the_person_right_on_odd_numbers():
    assert FRIDLUND.labels == tuple(f"F{n}" for n in range(1, 23))
    for number, channel in enumerate(FRIDLUND.channels, 1):
        assert channel.side == ("right" if number % 2 else "left")
        assert np.sign(channel.site_xy[0]) == (-1 if number % 2 else 1)
    assert FRIDLUND.channels[18].name == "zygomaticus_right"
    assert FRIDLUND.channels[19].site_xy == (53.0, -23.0)
    assert FRIDLUND.channels[19].uv == (0.765, 0.615)


def test_kuramoto_is_eighteen_sites_against_k24():
    numbers = {n for n in range(1, 21) if n not in (11, 12)}
    assert set(KURAMOTO.labels) == {f"K{n}" for n in numbers}
    assert KURAMOTO.reference is not None
    assert KURAMOTO.reference.label == "K24"
    assert len(KURAMOTO.pairs()) == 8


def test_mmm_columns_map_by_name():
    index = FRIDLUND.index_of(MMM_COLUMNS)
    assert [MMM_COLUMNS[i] for i in index[[0, 1, 6, 18]]] == [
        "Medialer Frontalis_r",
        "Medialer Frontalis_l",
        "Depressor Supercilii Procerus_r",
        "Zygomaticus_r",
    ]
    assert sorted(index) == list(range(22))


@pytest.mark.parametrize("seed", [0, 1])
def test_any_order_of_labels_comes_back_in_montage_order(seed):
    labels = np.random.default_rng(seed).permutation(FRIDLUND.labels)
    assert tuple(labels[FRIDLUND.index_of(list(labels))]) == FRIDLUND.labels


@pytest.mark.parametrize("text", ["F19", "f19", "EMG F19", "Zygomaticus_r", "right zygomaticus", "zygomaticus_right"])
def test_reasonable_spellings_mean_the_same_channel(text):
    assert FRIDLUND.column(text) == 18


def test_no_spelling_means_two_channels():
    for montage in (FRIDLUND, KURAMOTO):
        for i, channel in enumerate(montage.channels):
            assert montage.column(channel.label) == i
            assert montage.column(channel.name) == i


def test_wrong_labels_are_refused_with_what_was_found():
    with pytest.raises(UnknownChannel, match=r"missing F22.*found F1, .*F21"):
        FRIDLUND.index_of(FRIDLUND.labels[:-1])
    with pytest.raises(UnknownChannel, match="not understood AUX"):
        FRIDLUND.index_of([*FRIDLUND.labels, "AUX"])
    with pytest.raises(UnknownChannel, match="F1 comes twice, as 'F1' and 'Medialer Frontalis_r'"):
        FRIDLUND.index_of([*FRIDLUND.labels, "Medialer Frontalis_r"])


def test_a_mapping_names_the_channels_and_ignores_the_others():
    two = FRIDLUND.subset(["F20", "F19"])
    index = two.index_of(["trigger", "A1", "A2"], {"A1": "F19", "A2": "zygomaticus_left"})
    assert index.tolist() == [2, 1]
    with pytest.raises(UnknownChannel, match="no channel A9; it has A1"):
        two.index_of(["A1"], {"A9": "F19"})


def test_pairs_and_subsets():
    assert ("zygomaticus", 18, 19) in FRIDLUND.pairs()
    assert len(FRIDLUND.pairs()) == 11
    assert FRIDLUND.subset(["F20", "F1", "F19"]).pairs() == (("zygomaticus", 2, 0),)
    for wrong in (["F19", "Zygomaticus_r"], [], ["F23"]):
        with pytest.raises(UnknownChannel):
            FRIDLUND.subset(wrong)


@pytest.mark.parametrize("name", ["fridlund", "kuramoto"])
def test_a_montage_is_found_by_its_channels(name):
    labels = MONTAGES[name].labels
    assert montage_of(labels[3:6]) is MONTAGES[name]
    assert montage_of((*labels, "EKG")) is None


def test_a_montage_is_found_by_its_name():
    assert montage_called("kuramoto") is KURAMOTO
    assert montage_called("fridlund", ("F20", "F19")) == FRIDLUND.subset(["F20", "F19"])
    with pytest.raises(BadInput, match="no montage 'mine'; known: fridlund, kuramoto"):
        montage_called("mine")
