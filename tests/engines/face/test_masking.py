import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.landmarks import FaceLandmarks
from engines.face.masking import PixelMask, region_weights, samples
from engines.face.mesh import FaceModel
from engines.face.raster import Raster

SIZE = 48
MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"


def two_triangles():
    """A small and a four times larger one, both facing the viewer, and one that faces away; area / 2 in px^2."""
    projected = np.array(
        [
            [4, 14, 0],
            [14, 14, 0],
            [4, 4, 0],
            [20, 40, 0],
            [40, 40, 0],
            [20, 20, 0],
            [44, 4, 0],
            [24, 4, 0],
            [44, 18, 0],
        ],
        np.float32,
    )
    return projected, np.array([[0, 1, 2], [3, 4, 5], [6, 8, 7]], np.int32)


def drawn(projected, triangles):
    raster = Raster(SIZE, SIZE)
    raster.draw(projected, triangles)
    return raster.triangle.copy()


def naive(projected, triangles, weight, seen, count, deviation, rng):
    """The masking function by the book: NumPy draws triangles, plain loops paste."""
    numbers, gains = rng.random((count, 3)), 1 + deviation * rng.standard_normal(count)
    a, b, c = (projected[triangles[:, i], :2].astype(np.float64) for i in range(3))
    area = (c - a)[:, 0] * (b - a)[:, 1] - (b - a)[:, 0] * (c - a)[:, 1]
    sums = np.cumsum(weight * np.maximum(area, 0))
    out = np.where(seen < 0, 1.0, 0.0)
    for (which, u, v), gain in zip(numbers, gains, strict=True):
        t = int(np.sum(sums <= which * sums[-1]))
        if u + v > 1:
            u, v = 1 - u, 1 - v
        x, y = np.rint(a[t] + u * (b[t] - a[t]) + v * (c[t] - a[t])).astype(int)
        if 0 <= x < len(seen) and 0 <= y < len(seen) and seen[y, x] >= 0:
            out[y, x] = max(gain, 0)
    return out


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("deviation", [0.0, 0.05, 3.0])
def test_kernel_is_its_slow_twin(seed, deviation):
    rng = np.random.default_rng(seed)
    projected = np.concatenate([rng.uniform(-4, SIZE + 4, (60, 2)), rng.normal(size=(60, 1))], 1).astype(np.float32)
    triangles = rng.permuted(np.tile(np.arange(60, dtype=np.int32), (40, 1)), axis=1)[:, :3].copy()
    weight = rng.choice(np.float32([0, 0.5, 1]), 40)
    seen = drawn(projected, triangles)
    found = PixelMask(triangles, weight, SIZE, SIZE).keep(
        projected, seen, 0.1, np.random.default_rng(9), gain_deviation=deviation
    )
    wanted = naive(projected, triangles, weight, seen, int(0.1 * SIZE**2), deviation, np.random.default_rng(9))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_number_of_samples_is_the_papers():
    assert samples(0.01, 224, 224) == 501
    assert samples(0.5, 224, 224) == 25088


def test_outside_is_kept_and_inside_is_black_but_for_the_samples():
    projected, triangles = two_triangles()
    seen = drawn(projected, triangles)
    keep = PixelMask(triangles, np.ones(3, np.float32), SIZE, SIZE).keep(
        projected, seen, 0.02, np.random.default_rng(0)
    )
    assert (keep[seen < 0] == 1).all()
    inside = keep[seen >= 0]
    assert set(np.unique(inside)) == {0, 1}
    assert 0 < inside.sum() <= samples(0.02, SIZE, SIZE)


@pytest.mark.parametrize(("weights", "share"), [((1, 1, 1), 0.2), ((1, 0.5, 1), 1 / 3), ((0, 1, 1), 0.0)])
def test_large_and_willing_triangles_get_more_samples(weights, share):
    projected, triangles = two_triangles()  # areas 1 : 4
    seen = drawn(projected, triangles)
    mask = PixelMask(triangles, np.array(weights, np.float32), SIZE, SIZE)
    keeps = [mask.keep(projected, seen, 0.004, np.random.default_rng(seed)) for seed in range(300)]
    hits = [np.sum([keep[seen == t].sum() for keep in keeps]) for t in range(2)]
    assert hits[0] / sum(hits) == pytest.approx(share, abs=0.04)


def test_samples_are_as_bright_as_drawn():
    projected, triangles = two_triangles()
    seen = drawn(projected, triangles)
    keep = PixelMask(triangles, np.ones(3, np.float32), SIZE, SIZE).keep(
        projected, seen, 0.3, np.random.default_rng(0), gain_deviation=0.05
    )
    gains = keep[(seen >= 0) & (keep > 0)]
    assert gains.mean() == pytest.approx(1, abs=0.02)
    assert gains.std() == pytest.approx(0.05, rel=0.2)


def test_a_face_from_behind_keeps_nothing_of_itself():
    projected, triangles = two_triangles()
    seen = np.zeros((SIZE, SIZE), np.int32)
    keep = PixelMask(triangles[2:], np.ones(1, np.float32), SIZE, SIZE).keep(
        projected, seen, 0.1, np.random.default_rng(0)
    )
    assert (keep == 0).all()


def test_read_only_input_and_a_given_output():
    projected, triangles = two_triangles()
    seen = drawn(projected, triangles)
    for array in (projected, triangles, seen):
        array.flags.writeable = False
    out = np.full((SIZE, SIZE), 7, np.float32)
    mask = PixelMask(triangles, np.ones(3, np.float32), SIZE, SIZE)
    assert mask.keep(projected, seen, 0.1, np.random.default_rng(1), out=out) is out
    np.testing.assert_array_equal(out, mask.keep(projected, seen, 0.1, np.random.default_rng(1)))


@pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
def test_lips_and_nose_are_sampled_less_and_the_neck_never():
    model = FaceModel.load(MODEL)
    table = FaceLandmarks.load()
    weight = region_weights(model)
    middle = model.neutral[model.triangles].mean(1)
    marks = table.positions(model.neutral)
    near = {name: np.argsort(((middle - marks[at]) ** 2).sum(1))[:5] for name, at in
            {"nose": 4, "upper lip": 0, "cheek": 50, "forehead": 151, "chin": 199}.items()}  # fmt: skip
    assert (weight[near["nose"]] == 0.5).all()
    assert (weight[near["upper lip"]] == 0.5).all()
    assert all((weight[near[name]] == 1).all() for name in ("cheek", "forehead", "chin"))
    beyond = (model.triangles >= 6706).any(1)
    assert (weight[beyond] == 0).all()
    narrow = model.part("narrow_face")
    np.testing.assert_array_equal(region_weights(narrow), weight[~beyond])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ratio": 1.5}, "share of pixels"),
        ({"projected": np.full((9, 3), np.nan, np.float32)}, "not a finite number"),
        ({"projected": np.zeros((2, 3), np.float32)}, "corner that does not exist"),
        ({"seen": np.zeros((3, 3), np.int32)}, "triangles seen"),
    ],
)
def test_what_does_not_fit_is_one_sentence(change, sentence):
    projected, triangles = two_triangles()
    given = {"projected": projected, "seen": drawn(projected, triangles), "ratio": 0.1, **change}
    with pytest.raises(BadInput, match=sentence):
        PixelMask(triangles, np.ones(3, np.float32), SIZE, SIZE).keep(rng=np.random.default_rng(0), **given)


def test_weights_that_cannot_be():
    with pytest.raises(BadInput, match="weight must be"):
        PixelMask(np.zeros((1, 3), np.int32), -np.ones(1, np.float32), 4, 4)
