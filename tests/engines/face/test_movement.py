import numpy as np

from engines.face.movement import Movement, move


def test_moving_is_the_weighted_sum_of_the_models_displacements(face_model):
    movement = Movement.of(face_model)
    weights = np.zeros(len(face_model.expression), np.float32)
    weights[[3, 30, 50]] = 0.4, 1.0, 0.7
    out = np.full(face_model.neutral.shape, 9, np.float32)
    move(movement.starts, movement.vertex, movement.delta, weights, out)
    wanted = np.tensordot(weights, face_model.expression, 1)
    np.testing.assert_allclose(out, wanted, atol=6e-4)  # displacements below 2e-4 cm are left out
    assert len(movement.vertex) < 0.3 * face_model.expression.shape[0] * face_model.expression.shape[1]
