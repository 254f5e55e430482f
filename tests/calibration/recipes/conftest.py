"""Toy people for the pixel recipes: shades on a real mesh's landmarks, moved and recoloured in a known way."""

import numpy as np
import pytest

from calibration.recipes.pixel_pairs import FacePairs
from engines.face.pixel_mesh import LANDMARKS, MESH, load_pixel_mesh, mesh_of, redraw, with_rim
from engines.shipped import bundle_folder

GAIN, BIAS = 0.7, 60.0


@pytest.fixture(scope="session")
def toy_pairs():
    """`make_toys`, for the tests: pytest imports this file, they cannot."""
    return make_toys


def make_toys(people: int, size: int = 48, seed: int = 0, own_shift: float = 0.0) -> FacePairs:
    """People whose mouth corners go up by 4 % of the crop, and whose skin becomes GAIN x + BIAS.

    own_shift: how much further this population's corners go, shares of the crop.
    """
    rng = np.random.default_rng(seed)
    rest = load_pixel_mesh(bundle_folder("pixel-happy")).rest.reshape(MESH, 2) * size - 0.5
    weight = np.exp(-((rest - rest[[61, 291]][:, None]) ** 2).sum(-1) / (2 * (0.06 * size) ** 2)).sum(0)
    way = np.column_stack([np.zeros(MESH), -(0.04 + own_shift) * size * weight])
    triangles, pictures, shapes = mesh_of(rest), [], []
    for _ in range(people):
        shape = rest + rng.normal(0, 0.01 * size, 2)
        picture = _shades(rng, size)
        moved = shape + way
        source, goal = with_rim(shape), with_rim(moved)
        goal[MESH:] = source[MESH:]
        target = np.clip(GAIN * redraw(picture, source, goal, triangles) + BIAS, 0, 255)
        pictures.append((picture, np.rint(target).astype(np.uint8)))
        shapes.append((_with_irises(shape), _with_irises(moved)))
    both, places = np.array(pictures), np.array(shapes, np.float32)
    names = tuple(f"toy-{seed}-{number:02d}" for number in range(people))
    return FacePairs(names, *(array[:, k].copy() for array in (both, places) for k in range(2)))


def _shades(rng, size):
    axis = np.arange(size) / size
    planes = [np.sin(a * axis + c)[:, None] + np.cos(b * axis + c)[None] for a, b, c in rng.uniform(3, 9, (3, 3))]
    return np.clip(np.stack(planes, 2) * 45 + 125, 0, 255).astype(np.uint8)


def _with_irises(shape):
    return np.concatenate([shape, np.repeat(shape[[468 - 1]], LANDMARKS - MESH, axis=0)])
