from calibration.taught import data_words, knows_split
from engines.bundle import Training


def test_who_was_taught_can_be_told_from_the_sets_seed():
    told = Training(data_words("faces", 7), 4, True, "CC0", 1)
    assert knows_split(told, 7)
    assert not knows_split(told, 8)
    assert not knows_split(Training(data_words("faces", 17), 4, True, "CC0", 1), 7)
    assert not knows_split(Training("faces", 4, True, "CC0", 7), 7)
