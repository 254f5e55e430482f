import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.person import Person


def test_the_face_at_rest_lies_on_the_photos_landmarks(person_of, read_face, london_photo):
    points, _ = read_face(london_photo("004"))
    person = person_of("004")
    assert np.abs(person.landmarks_px - points).max() < 1e-3
    on_mesh = person.anatomy.landmarks.positions(person.camera.project(person.neutral))[:468, :2]
    assert np.median(np.linalg.norm(on_mesh - points[:468], axis=1)) < 0.5


def test_the_lids_of_each_person_meet_in_a_blink(person_of):
    """The model's own blink leaves eyes of another height half open or crosses the lids."""
    for number in ("004", "034"):
        person = person_of(number)
        anatomy = person.anatomy
        for side, letter in enumerate("LR"):
            row = anatomy.model.expression_index(f"eyeBlink_{letter}")
            part = slice(anatomy.movement.starts[row], anatomy.movement.starts[row + 1])
            shut = person.neutral.copy()
            shut[anatomy.movement.vertex[part]] += person.delta[part]
            upper, lower = (person.camera.project(shut)[edge] for edge in anatomy.margins[side])
            gap_px = np.interp(upper[3:-3, 0], lower[:, 0], lower[:, 1]) - upper[3:-3, 1]
            assert np.abs(gap_px).max() < 0.12 * person.camera.scale


def test_the_same_photo_makes_the_same_person(face_model, person_of, read_face, london_photo):
    again = Person.from_photo(face_model, london_photo("004"), read_face(london_photo("004"))[0])
    for name in ("neutral", "photo", "shut", "furrows", "fixed", "delta"):
        np.testing.assert_array_equal(getattr(again, name), getattr(person_of("004"), name))


def test_a_photo_without_a_face_is_a_sentence(face_model, read_face):
    wall = np.full((300, 300, 3), 180, np.uint8)
    points, _ = read_face(wall)
    with pytest.raises(BadInput, match="no face was found"):
        Person.from_photo(face_model, wall, points)


def test_what_does_not_fit_is_a_sentence(face_model):
    wall = np.full((300, 300, 3), 180, np.uint8)
    points = np.random.default_rng(0).uniform(50, 250, (478, 2))
    with pytest.raises(BadInput, match="landmarks must be"):
        Person.from_photo(face_model, wall, points[:68])
    with pytest.raises(BadInput, match="cut off"):
        Person.from_photo(face_model, wall, points + 100)
    with pytest.raises(BadInput, match="200 px"):
        Person.from_photo(face_model, wall[:100], points)
    with pytest.raises(BadInput, match="no face can be fitted"):
        Person.from_photo(face_model, wall, np.full((478, 2), 100.0))
