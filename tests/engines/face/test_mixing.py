import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.person import Person


@pytest.fixture(scope="module")
def people(person_of):
    return [person_of(number) for number in ("034", "129", "107")]


@pytest.fixture(scope="module")
def mixed(people):
    return Person.mixed(people, [1, 1, 1], seed=4)


def test_a_mixture_is_seen_where_its_truth_says(mixed, studio, express, read_face):
    shown = studio.render(mixed, express(mouthSmile=0.7))
    points, scores = read_face(shown.picture)
    assert np.median(np.linalg.norm(points - shown.landmarks_px, axis=1)) < 2
    assert scores["mouthSmileLeft"] > 0.3


def test_a_mixture_is_nobody_of_those_it_comes_from(mixed, people, studio, express):
    """In the face it is further from each of them than a photo is from itself, and no less sharp than half of one."""
    shown = studio.render(mixed, express())
    mask = shown.face_mask > 200
    own = shown.picture.astype(float)[mask]
    for person in people:
        other = studio.render(person, express()).picture.astype(float)[mask]
        assert np.abs(own - other).mean() > 6


def test_mixing_keeps_enough_sharpness(mixed, people):
    def sharpness(photo):
        points = mixed.landmarks_px
        low, high = points.min(0).astype(int), points.max(0).astype(int)
        grey = photo[low[1] : high[1], low[0] : high[0]].astype(float).mean(2)
        return np.abs(np.diff(grey, axis=1)).mean()

    assert sharpness(mixed.photo) > 0.5 * np.mean([sharpness(person.photo) for person in people])


def test_the_seed_makes_another_shape_and_the_same_seed_the_same(mixed, people):
    np.testing.assert_array_equal(Person.mixed(people, [1, 1, 1], seed=4).photo, mixed.photo)
    other = Person.mixed(people, [1, 1, 1], seed=5)
    assert np.abs(other.neutral - mixed.neutral).max() > 0.1


def test_what_does_not_fit_is_a_sentence(people):
    with pytest.raises(BadInput, match="two or more"):
        Person.mixed(people[:1], [1], seed=0)
    with pytest.raises(BadInput, match="not all 0"):
        Person.mixed(people, [0, 0, 0], seed=0)
    with pytest.raises(BadInput, match="strangeness"):
        Person.mixed(people, [1, 1, 1], seed=0, strangeness=3)
