import numpy as np
import pytest

from engines.face.lids import lid_factor, meet_lids


def test_lids_that_crossed_meet_again_and_open_ones_stay():
    x = np.linspace(0, 2, 9)
    upper = np.stack([x, -0.3 * np.ones(9), np.zeros(9)], 1)  # has passed the lower one by 0.3 - on the right half only
    upper[:4, 1] = 0.4
    skin = np.stack([x, upper[:, 1] + 0.5, np.zeros(9)], 1)
    lower = np.stack([x, np.zeros(9), np.zeros(9)], 1)
    vertices = np.concatenate([upper, lower, skin]).astype(np.float32)
    before = vertices.copy()
    falls, share = np.r_[0:9, 18:27].astype(np.int32), np.r_[np.ones(9), np.full(9, 0.5)].astype(np.float32)
    room = np.zeros(32, np.float32)
    edges = np.arange(9, dtype=np.int32), np.arange(9, 18, dtype=np.int32)
    meet_lids(vertices, *edges, falls, share, room, np.float32(0.03))
    np.testing.assert_allclose(vertices[4:9, 1], -0.03, atol=1e-6)
    np.testing.assert_allclose(vertices[22:27, 1], before[22:27, 1] + 0.135, atol=1e-6)
    np.testing.assert_array_equal(vertices[:4], before[:4])
    np.testing.assert_array_equal(vertices[9:18], before[9:18])


def test_a_taller_eye_needs_a_longer_way(person_of):
    person = person_of("004")
    upper, _ = person.anatomy.margins[0]
    taller = person.neutral.copy()
    taller[upper, 1] += 0.3
    assert (
        lid_factor(person.anatomy, 0, taller)[upper].mean()
        > 1.15 * lid_factor(person.anatomy, 0, person.neutral)[upper].mean()
    )


@pytest.mark.parametrize("number", ["004", "099", "107"])
def test_a_shut_eye_shows_skin_and_a_line_of_lashes(number, person_of, studio, express):
    person = person_of(number)
    shown = studio.render(person, express(eyeBlink=1.0))
    upper, _ = person.anatomy.margins[1]
    edge = shown.projected[upper, :2]
    middle = edge[len(edge) // 2]
    column = shown.picture[int(middle[1]) - 8 : int(middle[1]) + 6, int(middle[0]) - 2 : int(middle[0]) + 3].mean(
        (1, 2)
    )
    assert 5 <= np.argmin(column) <= 11  # darkest at the lid's edge
    above = shown.picture[int(middle[1]) - 6 : int(middle[1]) - 3, int(middle[0]) - 3 : int(middle[0]) + 4].astype(
        float
    )
    assert (above[..., 2] > above[..., 0]).all()  # skin is redder than blue; the eyeball is not
    assert column.min() < 0.85 * above.mean()
