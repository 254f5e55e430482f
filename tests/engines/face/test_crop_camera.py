import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.camera import Camera, rotation_from_vector
from engines.face.crop_camera import matrix_from_six, six_from_matrix

SIX = np.array([0.2, -0.4, 0.1, 8.0, 0.01, -0.02])


@pytest.mark.parametrize("size", [64, 224])
def test_there_and_back(size):
    np.testing.assert_allclose(six_from_matrix(matrix_from_six(SIX, size)[:2], size), SIX, rtol=1e-5, atol=1e-6)


def test_it_is_weak_perspective_as_the_encoders_have_it():
    vertex_cm = np.array([3.0, -2.0, 9.0])
    turned_m = rotation_from_vector(SIX[:3]) @ vertex_cm / 100
    half_sides = SIX[3] * (turned_m[:2] + SIX[4:])  # xy' = s (xy + t), y up
    for size in (100, 224):
        wanted = [(half_sides[0] + 1) * size / 2 - 0.5, (1 - half_sides[1]) * size / 2 - 0.5]
        np.testing.assert_allclose(matrix_from_six(SIX, size)[:2] @ [*vertex_cm, 1], wanted)


def test_the_same_numbers_in_a_crop_of_any_size():
    points = np.array([[0, 0, 0, 1], [5, -4, 3, 1.0]])
    small, large = (matrix_from_six(SIX, size)[:2] @ points.T for size in (50, 200))
    np.testing.assert_allclose((small + 0.5) * 4, large + 0.5)


def test_it_agrees_with_the_camera():
    camera = Camera(6.5, rotation_from_vector([0.1, 0.3, -0.2]), np.array([60.0, 70.0]))
    found = matrix_from_six(six_from_matrix(camera.matrix[:2], 128), 128)
    np.testing.assert_allclose(found, camera.matrix, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("matrix", [np.zeros((2, 4)), np.full((2, 4), np.nan), np.zeros((3, 4))])
def test_no_camera_is_one_sentence(matrix):
    with pytest.raises(BadInput, match="crop's camera"):
        six_from_matrix(matrix, 64)
