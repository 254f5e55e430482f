from dataclasses import dataclass

import pytest

from calibration.setting_words import as_json, changed, words
from rt.errors import BadSettings


@dataclass(frozen=True)
class Settings:
    size: int = 256
    rate: float = 2e-4
    flip: bool = True
    precision: str = "fp32"
    widths: tuple[int, ...] = (1, 2)

    def __post_init__(self):
        if self.size < 1:
            raise BadSettings("size must be 1 or more")


def test_words_become_what_the_defaults_are():
    given = words(["size=64", "rate=1", "flip=false", "precision=bf16", "widths=[3, 4]"])
    found = changed(Settings(), given)
    assert found == Settings(64, 1.0, False, "bf16", (3, 4))
    assert type(found.rate) is float
    assert as_json(found) == {"size": 64, "rate": 1.0, "flip": False, "precision": "bf16", "widths": [3, 4]}


def test_values_that_are_no_words_are_taken_as_they_are():
    assert changed(Settings(), {"size": 8}).size == 8
    assert changed(Settings(), {}) == Settings()


REFUSED = {
    "siz=3": "no setting 'siz'; the nearest known one is 'size'",
    "size=3.5": "size must be a whole number, found '3.5'",
    "size=true": "size must be a whole number",
    "size=": "size must be a whole number, found ''",
    "rate=fast": "rate must be a number, found 'fast'",
    "flip=1": "flip must be true or false",
    "widths=3": "widths must be a list",
    "size=0": "size must be 1 or more",
}


@pytest.mark.parametrize("word", REFUSED)
def test_refused_in_one_sentence(word):
    with pytest.raises(BadSettings, match=REFUSED[word].replace("[", r"\[")):
        changed(Settings(), words([word]))


@pytest.mark.parametrize("word", ["size", "=3", ""])
def test_no_assignment(word):
    with pytest.raises(BadSettings, match="name=value"):
        words([word])
