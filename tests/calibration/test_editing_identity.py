"""What is read off edits: action units beside the truth's, identity beside the input's, the true picture's, others'."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from calibration.editing import NOBODY, SITTING, Edits
from calibration.editing_identity import IDENTITY, SOMEBODY_ELSE, TRUE_PICTURE, UNITS, EditsRead
from calibration.metrics.expression import Reading
from engines.errors import FaceLost
from engines.face.blendshapes import BLENDSHAPE_INDEX

SIZE = 8


class Reader:
    """A picture's first pixel says it all: is there a face, how far its jaw is open in 1/100, who it is."""

    def __init__(self):
        self.read_so_far = 0

    def read(self, picture):
        self.read_so_far += 1
        there, jaw, who = picture[0, 0].tolist()
        blendshapes = np.zeros(52, np.float32)
        blendshapes[BLENDSHAPE_INDEX["jawOpen"]] = jaw / 100
        return Reading(blendshapes, np.full((478, 2), who, np.float32)) if there else None


class Fitter:
    """Identity is where the landmarks are; nobody can be fitted at 99."""

    def fit(self, landmarks_px, size):
        assert size == (SIZE, SIZE)
        if landmarks_px[0, 0] == 99:
            raise FaceLost("landmarks lie on one line")
        return SimpleNamespace(identity=landmarks_px[0] / 10)


def pictures(*of):
    found = np.zeros((len(of), SIZE, SIZE, 3), np.uint8)
    found[:, 0, 0] = of
    return found


@pytest.fixture
def edits():
    nothing = np.zeros((3, 52), np.float32)
    return Edits(
        pictures((1, 0, 10), (1, 0, 10), (1, 0, 40)), nothing, nothing, np.zeros(3, np.int64),
        pictures((1, 60, 12), (1, 60, 10), (1, 20, 41)), (SITTING, SITTING, NOBODY), ("ann", "ann", "bo"),
    )  # fmt: skip


def test_units_and_identity(edits):
    read = EditsRead(edits, Reader(), Fitter())
    assert read.measure(edits.truth) == pytest.approx({UNITS: 0, IDENTITY: (0.2 + 0 + 0.1) / 3})
    away = read.measure(edits.faces)  # lips parted and jaw dropped by 0.6 x 5 in two of 17 units; the third is nobody's
    assert away == pytest.approx({UNITS: 3 * 2 / 17, IDENTITY: 0})


def test_what_is_not_found_does_not_count(edits):
    read = EditsRead(edits, Reader(), Fitter())
    found = read.measure(pictures((0, 0, 10), (1, 60, 99), (1, 0, 50)))
    assert found == pytest.approx({UNITS: 0, IDENTITY: 1})
    assert read.measure(pictures((0, 0, 0), (0, 0, 0), (0, 0, 0))) == {}


def test_true_pictures_and_other_people_stand_beside(edits):
    rows = EditsRead(edits, Reader(), Fitter()).to_compare()
    assert rows[TRUE_PICTURE] == pytest.approx({IDENTITY: 0.1})  # of the two whose truth is their own
    assert rows[SOMEBODY_ELSE] == pytest.approx({IDENTITY: 3})


def test_inputs_and_true_pictures_are_read_once(edits):
    reader = Reader()
    read = EditsRead(edits, reader, Fitter())
    assert reader.read_so_far == 5  # three inputs and two true pictures
    read.measure(edits.faces)
    read.to_compare()
    assert reader.read_so_far == 8


def test_without_a_face_model_there_is_no_identity(edits):
    read = EditsRead(edits, Reader(), None)
    assert read.measure(edits.truth) == {UNITS: 0}
    assert read.to_compare() == {}
