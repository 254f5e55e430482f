import numpy as np

from engines.face.registration import attach_landmarks, bend_to_landmarks


def test_bending_meets_moved_landmarks_and_leaves_the_border(person_of):
    person = person_of("004")
    target = person.landmarks_px.copy()
    mouth = np.unique([61, 291, 0, 17, 13, 14, 37, 267, 84, 314, 40, 270, 91, 321])
    target[mouth, 1] += 3
    bent = bend_to_landmarks(person.anatomy, person.neutral, person.camera, target)
    table = person.anatomy.landmarks
    now = table.positions(person.camera.project(bent))[mouth, 1]
    before = table.positions(person.camera.project(person.neutral))[mouth, 1]
    assert np.median(now - before) > 2
    rim = np.flatnonzero(person.anatomy.edge_cm < 1e-6)
    np.testing.assert_allclose(bent[rim], person.neutral[rim], atol=1e-5)


def test_lips_and_lids_are_attached_to_their_own_side(person_of):
    person = person_of("034")
    found = attach_landmarks(person.anatomy, person.neutral, person.camera, person.landmarks_px)
    jaw = -person.anatomy.model.expression[person.anatomy.model.expression_index("jawOpen")][:, 1]
    assert jaw[found.vertex[14]] > jaw[found.vertex[13]] + 0.8  # lower and upper lip touch in the photo
    upper, lower = person.anatomy.margins[1]
    assert found.vertex[159] in upper
    assert found.vertex[145] in lower
