"""The judge learns what it is shown, the same way every time."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.expression_classes import classes_of  # noqa: E402
from calibration.expression_classifier import ExpressionClassifier, Lesson  # noqa: E402
from calibration.expression_faces import LabelledFaces  # noqa: E402
from engines.errors import BadInput  # noqa: E402


def lesson(folder, split, few=(0, 6)):
    labelled = LabelledFaces.of(FaceSet.open(folder).select(split))
    classes = classes_of(labelled.blendshapes)
    places = np.flatnonzero(np.isin(classes, few))
    return Lesson(np.stack([labelled.picture(int(place), 40) for place in places]), classes[places])


@pytest.fixture(scope="module")
def learned(smileys):
    return ExpressionClassifier(lesson(smileys, "train"), 25, 1)


def test_it_knows_neutral_from_surprised(learned, smileys):
    taught, unseen = lesson(smileys, "train"), lesson(smileys, "test")
    assert sorted(taught.classes.tolist()) == [0] * 4 + [6] * 4
    assert learned.accuracy(taught) == 1.0
    assert learned.classify(taught.pictures).tolist() == taught.classes.tolist()
    assert learned.accuracy(Lesson(taught.pictures, 6 - taught.classes)) == 0.0
    assert learned.accuracy(unseen) >= 0.75  # people never seen


def test_accuracy_is_a_mean_over_expressions(learned, smileys):
    taught = lesson(smileys, "train")
    neutral = taught.pictures[taught.classes == 0]
    many = Lesson(np.concatenate([neutral] * 3 + [neutral[:1]]), np.array([0] * 12 + [6]))
    assert learned.accuracy(many) == 0.5


def test_the_same_seed_gives_the_same_judge(learned, smileys):
    torch.rand(7)
    before = torch.random.get_rng_state()
    again = ExpressionClassifier(lesson(smileys, "train"), 25, 1)
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody else's chance is touched
    for one, other in zip(learned.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_two_lessons_become_one(smileys):
    one = lesson(smileys, "test")
    both = one.and_also(Lesson(one.pictures, one.classes))
    assert both.pictures.shape == (8, 64, 64, 3)
    assert both.classes.tolist() == one.classes.tolist() * 2


def test_what_cannot_be_learned_is_one_sentence(smileys):
    with pytest.raises(BadInput, match="two expressions or more"):
        ExpressionClassifier(lesson(smileys, "train", (0,)), 1, 1)
    with pytest.raises(BadInput, match="every picture has one class, found 1 and 2"):
        Lesson(np.zeros((1, 8, 8, 3), np.uint8), np.array([0, 1]))
    with pytest.raises(BadInput, match="every picture has one class"):
        Lesson(np.zeros((1, 8, 8, 3), np.uint8), np.array([-1]))
