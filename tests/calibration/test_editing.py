"""What editors are asked for, who edits, and the numbers they get."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines  # noqa: E402
from calibration.data.face_set import FaceSet  # noqa: E402
from calibration.editing import ByEngine, ByNetwork, choose_edits  # noqa: E402
from calibration.editing_peers import Copied, PixelMaps  # noqa: E402
from calibration.editing_score import Judging, editing_metrics, said_of_truth, score, set_exam  # noqa: E402
from calibration.editing_sheet import choose_rows, draw_continuous, on_the_way  # noqa: E402
from calibration.editor_bundle import editor_manifest  # noqa: E402
from calibration.expression_classes import classes_of  # noqa: E402
from calibration.expression_faces import LabelledFaces  # noqa: E402
from calibration.recipes.pixel_rr import PixelRRSettings, fit  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Training  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.face.pixel_map import apply_pixel_map  # noqa: E402
from engines.networks.cascade_editor import CascadeEditor, EditorSizes, initialise_editor  # noqa: E402

SIZES = EditorSizes(40, 1, (), 2, 0, between=4)


class Oracle:
    """Knows the answer."""

    name = "oracle"

    def __init__(self, edits):
        self.answers = {(face.tobytes(), goal.tobytes()): truth for face, goal, truth in zip(
            edits.faces, edits.target, edits.truth, strict=True)}  # fmt: skip

    def edit(self, faces, source, target):
        return np.stack(
            [self.answers[face.tobytes(), goal.tobytes()] for face, goal in zip(faces, target, strict=True)]
        )


@pytest.fixture(scope="module")
def train(smileys):
    return LabelledFaces.of(FaceSet.open(smileys).select("train"))


@pytest.fixture(scope="module")
def unseen(smileys):
    return LabelledFaces.of(FaceSet.open(smileys).select("test"))


@pytest.fixture(scope="module")
def editor():
    network = CascadeEditor(SIZES)
    initialise_editor(network, 1)
    with torch.no_grad():
        for weight in network.modules_in_row.parameters():
            weight.mul_(5)
    return network.eval()


def test_edits_go_to_another_expression_of_the_same_sitting(unseen):
    edits = choose_edits(unseen, 40, 99, 0)
    assert len(edits.faces) == 14
    assert set(edits.of) == {"sitting"}
    assert (classes_of(edits.target) == edits.classes).all()
    assert (classes_of(edits.source) != edits.classes).all()
    assert len(set(edits.classes.tolist())) >= 5  # evenly over expressions
    for person, truth, goal in zip(edits.people, edits.truth, edits.target, strict=True):
        shown = (unseen.blendshapes == goal).all(1)
        (place,) = np.flatnonzero(shown & (np.array(unseen.people) == person))
        np.testing.assert_array_equal(unseen.picture(place, 40), truth)
    again = choose_edits(unseen, 40, 5, 0)
    np.testing.assert_array_equal(again.faces, edits.faces[:5])


def test_without_sittings_it_is_the_same_person_and_without_names_anybody(unseen):
    alone = LabelledFaces.of(unseen.faces)
    alone.sitting[:] = np.arange(len(alone))
    assert set(choose_edits(alone, 40, 9, 0).of) == {"person"}
    nameless = LabelledFaces.of(unseen.faces)
    nameless.blendshapes[:] = 0.6
    edits = choose_edits(nameless, 40, 9, 0)
    assert set(edits.classes.tolist()) == {-1}


def test_a_bundle_edits_as_its_network(editor, unseen, tmp_path):
    write_network_bundle(
        tmp_path / "b", editor_manifest(SIZES, Training("", 0, True, "", 1), {}), editor.state_dict(), "float32", False
    )
    edits = choose_edits(unseen, 40, 3, 0)
    engine = engines.load(tmp_path / "b", backend="torch", device="cpu")
    given = edits.faces, edits.source, edits.target
    one, other = ByNetwork(editor).edit(*given), ByEngine(engine, "facs17", "b").edit(*given)
    assert np.abs(one.astype(int) - other).max() <= 1
    assert np.abs(one.astype(int) - edits.faces).mean() > 1


def test_pixel_rr_is_fitted_on_the_pairs_of_a_sitting(train):
    maps = PixelMaps.fitted(train, 40)
    assert sorted(maps.maps) == list(range(7))
    classes = classes_of(train.blendshapes)
    goals = np.flatnonzero(classes == 4)
    pairs = [
        (i, goal) for goal in goals for i in range(len(train)) if i != goal and train.people[i] == train.people[goal]
    ]
    one, other = (np.stack([train.picture(pair[k], 40) for pair in pairs]) for k in (0, 1))
    wanted = fit(one, other, PixelRRSettings(size=40))
    np.testing.assert_allclose(maps.maps[4].gain, wanted.gain, rtol=1e-5)
    face = np.ascontiguousarray(one[:1])
    labels = train.blendshapes[goals[:1]]
    made = maps.edit(face, labels, labels)
    np.testing.assert_array_equal(made[0], apply_pixel_map(face[0], wanted, 1.0, np.empty_like(face[0])))
    alone = LabelledFaces.of(train.faces)
    alone.sitting[:] = np.arange(len(alone))
    assert PixelMaps.fitted(alone, 40) is None


class Nearest:
    """Stands for the classifier, which takes seconds to learn: whose picture is nearest, as edges."""

    def __init__(self, lesson, steps, seed):
        self.known, self.lesson = np.unique(lesson.classes), lesson

    def accuracy(self, lesson):
        mine, theirs = (self.edges(one.pictures) for one in (self.lesson, lesson))
        nearest = ((mine[None] - theirs[:, None]) ** 2).sum(2).argmin(1)
        right = self.lesson.classes[nearest] == lesson.classes
        return float(np.mean([right[lesson.classes == each].mean() for each in np.unique(lesson.classes)]))

    @staticmethod
    def edges(pictures):
        small = np.stack([cv2.resize(picture, (40, 40)) for picture in pictures])
        return np.diff(small.astype(float).mean(3), axis=1)[:, 4:36, 8:32].reshape(len(pictures), -1)


@pytest.fixture(scope="module")
def exam(train, unseen):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calibration.editing_score.ExpressionClassifier", Nearest)
        yield set_exam(train, unseen, 40, Judging(steps=1, most=20, seed=0))


def test_who_knows_the_answer_wins(exam):
    teach = exam._replace(to_teach=exam.edits)  # the oracle knows only these
    best, worst = score(Oracle(exam.edits), teach), score(Copied(), exam)
    assert set(best) == set(worst) == {"accuracy_real", "accuracy_made", "accuracy_both", "psnr", "frechet"}
    assert best["accuracy_real"] == worst["accuracy_real"] > 50
    assert best["accuracy_made"] > 50
    assert worst["accuracy_made"] < 30
    assert best["psnr"] == pytest.approx(68.13, abs=0.01)  # an error of 0.01 at least
    assert worst["psnr"] < 30
    assert said_of_truth(exam.edits) == "14 edits against the same sitting"


def test_without_a_judge_nothing_is_classified(train, unseen):
    exam = set_exam(train, unseen, 40, Judging(steps=0, most=5))
    assert set(score(Copied(), exam)) == {"psnr", "frechet"}


def test_a_manifests_metrics_say_what_they_are_on(editor, train, unseen):
    metrics = editing_metrics(editor, train, unseen, Judging(steps=1, most=4), "2 people")
    assert metrics["psnr"].on == metrics["psnr_copying_input"].on == "2 people, 4 edits against the same sitting"
    assert metrics["frechet"].unit == "grey level squared"
    assert "classifier trained by us" in metrics["accuracy_both"].on
    assert metrics["psnr"].value != metrics["psnr_copying_input"].value


def test_the_way_begins_and_ends_where_it_should(editor, unseen):
    edits = choose_rows(choose_edits(unseen, 40, 14, 0), 3)
    way = on_the_way(editor, edits, (0.0, 0.5, 1.0))
    assert [part.shape for part in way] == [(3, 40, 40, 3)] * 3 + [(3, 40, 40)]
    np.testing.assert_array_equal(way[2], ByNetwork(editor).edit(edits.faces, edits.source, edits.target))
    assert len(set(edits.people[:2])) == 2
    assert len(set(edits.classes[:2].tolist())) == 2
    sheet = draw_continuous(editor, edits, "A title")
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 40 + 8 * 166 - 6
    first = sheet[84 + 18 : 84 + 18 + 160, 20 : 20 + 160]
    assert np.abs(first[::4, ::4].astype(int) - edits.faces[0]).mean() < 12


def test_too_few_faces_is_one_sentence(unseen):
    alone = LabelledFaces.of(unseen.faces)
    alone.blendshapes[1:] = np.nan
    one = LabelledFaces(alone.faces, alone.at[:1], alone.people[:1], alone.blendshapes[:1], alone.sitting[:1])
    with pytest.raises(BadInput, match="too few faces to edit one into another"):
        choose_edits(one, 40, 5, 0)
