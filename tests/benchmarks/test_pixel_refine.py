import numpy as np

from benchmarks.pixel_refine import visits_of
from calibration.recipes.pixel_pairs import FacePairs


def test_visits_are_one_person_s_in_order():
    pictures = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    points = np.zeros((6, 478, 2), np.float32)
    pairs = FacePairs(("a", "b", "a", "a", "b", "a"), pictures, pictures, points, points)
    found = visits_of(pairs, "a", [1, 3])
    assert found.people == ("a", "a")
    np.testing.assert_array_equal(found.neutral[:, 0, 0, 0], [2, 5])
