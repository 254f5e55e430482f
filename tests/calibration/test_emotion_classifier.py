import sys
import types

import numpy as np
import pytest

from calibration.emotion_classifier import EMOTIONS, find_classifier
from engines.errors import BadInput

FACES = np.zeros((3, 32, 32, 3), np.uint8)


@pytest.fixture
def module(monkeypatch):
    found = types.ModuleType("somebodys_network")
    found.classify = lambda faces: np.tile(np.eye(6)[2], (len(faces), 1))
    found.wrong = lambda faces: np.zeros((len(faces), 7))
    found.nan = lambda faces: np.full((len(faces), 6), np.nan)
    found.number = 3
    monkeypatch.setitem(sys.modules, found.__name__, found)


def test_a_users_function_is_called(module):
    scores = find_classifier("somebodys_network:classify")(FACES)
    assert scores.shape == (3, len(EMOTIONS))
    assert EMOTIONS[scores[0].argmax()] == "fearful"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("somebodys_network", "MODULE:FUNCTION"),
        ("no_such_module:classify", "cannot be imported"),
        ("somebodys_network:nothing", "cannot be imported"),
        ("somebodys_network:number", "no function"),
    ],
)
def test_what_is_no_classifier_is_one_sentence(module, name, said):
    with pytest.raises(BadInput, match=said):
        find_classifier(name)


@pytest.mark.parametrize("name", ["wrong", "nan"])
def test_wrong_answers_are_refused(module, name):
    with pytest.raises(BadInput, match=r"must return \(3, 6\) finite"):
        find_classifier(f"somebodys_network:{name}")(FACES)
