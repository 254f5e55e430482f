"""Which faces are learned from, what they are to show, and where eyes, nose and mouth are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.face_set import FaceRow, FaceSet, FaceSetWriter  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.expression_classes import EXPRESSIONS, classes_of, prototypes  # noqa: E402
from calibration.expression_faces import ExpressionChoices, ExpressionFaces, LabelledFaces  # noqa: E402
from calibration.face_truth import unknown  # noqa: E402
from calibration.planes import planes_of  # noqa: E402
from engines.emg.muscles import shown_by  # noqa: E402
from engines.emg.tasks import task_named  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.face.action_units import labels_from_arkit52, mirrored  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))


@pytest.fixture(scope="module")
def labelled(smileys):
    return LabelledFaces.of(FaceSet.open(smileys).select("train"))


def faces_of(labelled, batch=4, parts=2, **choices):
    choices = ExpressionChoices(**{"size": 40, "profile": "facs17", "flip": 0.0, **choices})
    return ExpressionFaces(labelled, choices, batch, parts, 1, HERE)


def place_of(labelled, planes):
    """Which face a picture is, by its pixels."""
    stored = planes_of([labelled.picture(place, 40) for place in range(len(labelled))])
    return int((stored - planes).abs().amax((1, 2, 3)).argmin())


def test_the_seven_expressions():
    assert EXPRESSIONS == ("neutral", "angry", "disgusted", "fearful", "happy", "sad", "surprised")
    whole = np.stack([np.zeros(52), *(shown_by(task_named(name).intent) for name in EXPRESSIONS[1:])])
    assert classes_of(whole).tolist() == list(range(7))
    assert classes_of(0.8 * whole).tolist() == list(range(7))
    np.testing.assert_allclose(prototypes("arkit52"), whole, atol=1e-6)
    weak = classes_of(0.3 * whole)
    assert not (weak[1:] == np.arange(1, 7)).any()
    blinking = np.zeros((1, 52))
    blinking[0, 9:11] = 1
    assert classes_of(blinking).tolist() == [0]
    pucker = shown_by(task_named("Snarl").intent)[None]
    lost = np.full((1, 52), np.nan)
    assert classes_of(lost).tolist() == [-1]
    assert classes_of(pucker)[0] in (-1, EXPRESSIONS.index("disgusted"))


def test_a_wish_is_a_face_its_labels_and_somebody_elses(labelled):
    faces = faces_of(labelled)
    assert faces.steps_per_epoch == 4  # 28 faces, 8 per step
    labels = labels_from_arkit52(labelled.blendshapes, "facs17")
    for wish in faces.batch(0):
        for n in range(4):
            place = place_of(labelled, wish.face[n])
            np.testing.assert_allclose(wish.source[n], labels[place], atol=1e-6)
            assert np.abs(labels - wish.target[n].numpy()).max(1).min() < 1e-6
        assert not wish.known.any()


def test_the_same_number_gives_the_same_batch_and_an_epoch_shows_every_face(labelled):
    one, other = faces_of(labelled, 7, 2), faces_of(labelled, 7, 2)
    one.batch(5)
    for wish, again in zip(one.batch(1), other.batch(1), strict=True):
        for part, same in zip(wish, again, strict=True):
            assert torch.equal(part, same)
    seen = {place_of(labelled, face) for n in range(2) for wish in one.batch(n) for face in wish.face}
    assert seen == set(range(28))


def test_true_pictures_are_of_the_same_sitting(labelled):
    people = [labelled.people[i] for i in range(len(labelled))]
    labels = labels_from_arkit52(labelled.blendshapes, "facs17")
    known = 0
    for wish in faces_of(labelled, paired=0.6).batch(0) + faces_of(labelled, paired=0.6).batch(1):
        for n in range(4):
            if wish.known[n]:
                place, truth = (place_of(labelled, picture[n]) for picture in (wish.face, wish.truth))
                assert people[place] == people[truth]
                assert place != truth
                np.testing.assert_allclose(wish.target[n], labels[truth], atol=1e-6)
                known += 1
    assert 4 <= known < 16


def test_flipped_pictures_have_flipped_labels(labelled):
    plain = faces_of(labelled, profile="arkit52", paired=1.0).batch(0)[0]
    flipped = faces_of(labelled, profile="arkit52", paired=1.0, flip=1.0).batch(0)[0]
    torch.testing.assert_close(flipped.face, plain.face.flip(3))
    torch.testing.assert_close(flipped.truth, plain.truth.flip(3))
    np.testing.assert_array_equal(flipped.target, mirrored(plain.target.numpy(), "arkit52"))


def test_cameras_change_face_and_truth_alike(labelled):
    wish = faces_of(labelled, paired=1.0).batch(0)[0]
    seen = faces_of(labelled, paired=1.0, variation=1.0).batch(0)[0]
    assert (seen.face - wish.face).abs().mean() > 0.02
    change = [(a - b).mean((2, 3)) for a, b in ((seen.face, wish.face), (seen.truth, wish.truth))]
    assert (change[0] - change[1]).abs().max() < 0.1


def test_classes_are_nothing_between(labelled):
    wish = faces_of(labelled, classes=True).batch(0)[0]
    known = torch.from_numpy(prototypes("facs17"))
    for labels in (wish.source, wish.target):
        assert (labels[:, None] - known).abs().amax(2).amin(1).max() < 1e-6


def test_patches_lie_where_the_landmarks_do(labelled):
    places = labelled.patches(40)
    assert [patch[2:] for patch in places] == [(12, 28), (12, 16), (12, 20)]
    for (top, left, height, width), middle in zip(places, (14.6, 21.5, 29.5), strict=True):
        assert abs(top + height / 2 - middle) <= 1
        assert abs(left + width / 2 - 20.5) <= 1
    (top, left, height, width), *_ = labelled.patches(128)
    assert (height, width) == (40, 92)
    assert abs(top + height / 2 - 128 / 40 * 14.7) <= 2


def test_faces_that_nobody_knows_are_left_out(tmp_path):
    about = {"synthetic": False, "origin": "nobody", "licence": "CC0", "seed": 0}
    picture = np.zeros((36, 36, 3), np.uint8)
    row = FaceRow("a", "london", "a", 0, "train")
    for count in (1, 3):
        with FaceSetWriter(tmp_path / str(count), 36, 4, 4, True, about, truth_modes=2) as faces:
            for i in range(4):
                known = unknown(2)._replace(expression=np.zeros(52, np.float32))
                faces.add(row, picture, picture, picture[:, :, 0], known if i < count else unknown(2))
    with pytest.raises(BadInput, match="knows the expressions of 1 faces"):
        LabelledFaces.of(FaceSet.open(tmp_path / "1"))
    labelled = LabelledFaces.of(FaceSet.open(tmp_path / "3"))
    assert len(labelled) == 3
    assert labelled.sitting.tolist() == [0, 1, 2]  # where poses are not known, no two are the same
    with pytest.raises(BadInput, match="knows no landmarks"):
        labelled.patches(36)


def test_what_cannot_work_is_one_sentence(labelled, oval_faces):
    with pytest.raises(BadInput, match=r"python -m calibration.expression_stills"):
        LabelledFaces.of(FaceSet.open(oval_faces))
    alone = LabelledFaces.of(labelled.faces)
    alone.sitting[:] = np.arange(len(alone))
    with pytest.raises(BadInput, match="shows no sitting with two expressions"):
        faces_of(alone, paired=0.5)
    with pytest.raises(BadSettings, match="--set batch=4"):
        ExpressionFaces(labelled, ExpressionChoices(40, "facs17"), 3, 1, 1, Ranks(torch.device("cpu"), 0, 2))
