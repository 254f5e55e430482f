"""Every loss beside its equation in NumPy, and what each of them does not see."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses import eifer  # noqa: E402

RNG = np.random.default_rng(4)


def pair(*shape):
    return tuple(RNG.normal(size=shape).astype(np.float32) for _ in range(2))


def tensors(arrays):
    return tuple(torch.from_numpy(array) for array in arrays)


def mean_square(a, b):
    return np.mean((a.astype(np.float64) - b) ** 2)


PICTURES, EXPRESSIONS, SHAPES, RIGID = (2, 3, 8, 8), (2, 52), (2, 10), (2, 6)


@pytest.mark.parametrize(
    ("loss", "shape", "twin"),
    [
        ("reconstruction_loss", PICTURES, lambda a, b: mean_square(a[0], b[0]) + mean_square(a[1], b[1])),
        ("identity_loss", PICTURES, lambda a, b: mean_square(a[0], b[0]) + mean_square(a[1], b[1])),
        ("minimal_change_loss", PICTURES, lambda a, b: mean_square(a[0], b[0]) + mean_square(a[1], b[1])),
        ("occlusion_expression_loss", EXPRESSIONS, lambda a, b: mean_square(a[0], b[0]) + mean_square(a[1], b[1])),
        ("occlusion_shape_loss", SHAPES, lambda a, b: mean_square(a[0], a[1]) + mean_square(b[0], b[1])),
        (
            "landmark_loss",
            (2, 468, 2),
            lambda a, b: sum(np.mean(((x.astype(np.float64) - y) ** 2).sum(-1)) for x, y in zip(a, b, strict=True)),
        ),
        ("rigid_transformation_loss", RIGID, lambda a, b: mean_square(a[0], b[0]) + mean_square(a[1], b[1])),
    ],
)
def test_it_is_its_equation(loss, shape, twin):
    first, second = pair(*shape), pair(*shape)
    found = getattr(eifer, loss)(tensors(first), tensors(second))
    assert found.item() == pytest.approx(twin(first, second), rel=1e-5)


def test_differences_are_squared():
    zero, one = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 3.0)
    assert eifer.reconstruction_loss((one, zero), (zero, zero)).item() == 9


def test_shape_is_compared_between_the_pictures_and_expression_is_not():
    (a, b), (c, d) = tensors(pair(*SHAPES)), tensors(pair(*SHAPES))
    assert eifer.occlusion_shape_loss((a, a), (c, c)).item() == 0
    assert eifer.occlusion_shape_loss((a, b), (a, b)).item() > 0
    assert eifer.occlusion_expression_loss((a, b), (a, b)).item() == 0
    assert eifer.occlusion_expression_loss((a, b), (c, d)).item() > 0


def test_half_precision_is_summed_in_single():
    big = torch.full((1, 3, 64, 64), 100.0, dtype=torch.float16)
    found = eifer.squared(big, -big)
    assert found.dtype == torch.float32
    assert found.item() == 40000
