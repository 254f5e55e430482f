import os

import numpy as np
import pytest

from benchmarks import raster_speed
from benchmarks.raster_speed import Scene, compare, face_model, numpy_twin, opencv, ours, scene, targets


def folded_sheet(size=48):
    """A sheet with hills that partly hide each other; colours follow the place."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:13, :13] * 5.0 - 4.3
    xy = np.stack([x, y], -1) + rng.uniform(-2, 2, (13, 13, 2))
    z = 20 * np.sin(x / 9) * np.cos(y / 7)
    corner = np.arange(169).reshape(13, 13)
    a, b, c, d = (one.ravel() for one in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    triangles = np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])]).astype(np.int32)
    projected = np.column_stack([xy.reshape(-1, 2), z.ravel()]).astype(np.float32)
    return Scene(size, projected, triangles, rng.uniform(0, 1, (169, 3)).astype(np.float32))


def test_opencv_draws_what_we_draw():
    """An independent rasteriser, to the same pixel grid: the pixels, the depth and the colours."""
    at = folded_sheet()
    work, raster, picture = ours(at)
    peer, depth, colours = opencv(at)
    work()
    peer()
    np.testing.assert_array_equal(depth < 3999, raster.triangle >= 0)
    seen = raster.triangle >= 0
    np.testing.assert_allclose(2000 - depth[seen], raster.depth[seen], atol=0.2)
    assert np.abs(picture - colours)[seen].mean() < 2e-3  # we snap to 1/256 px, and it corrects for perspective
    compare(at)


def test_the_numpy_twin_draws_the_same_picture_too():
    at = folded_sheet()
    work, raster, picture = ours(at)
    twin = numpy_twin(at)
    work()
    found = twin()
    same = np.abs(found - picture).max(-1) < 0.02
    assert same[raster.triangle >= 0].mean() > 0.99  # it does not snap, so an edge may fall on the other side


def test_different_pictures_are_noticed(monkeypatch):
    at = folded_sheet()
    monkeypatch.setattr(raster_speed, "opencv", lambda _: opencv(Scene(at.size, at.projected + 1, *at_rest(at))))
    with pytest.raises(ValueError, match="draw different pictures"):
        compare(at)


def at_rest(at):
    return at.triangles, at.colours


ROWS = [
    {"what": "draw and three attributes: face, 224 x 224", "ours_us": 900, "peer": "cv2.x", "ratio": 3.0},
    {"what": "draw and three attributes: face, 224 x 224", "ours_us": 900, "peer": "NumPy", "ratio": 600.0},
    {"what": "draw and three attributes: whole head", "ours_us": 3000, "peer": "cv2.x", "ratio": 1.5},
    {"what": "draw and three attributes: whole head", "ours_us": 3000, "peer": "NumPy", "ratio": 300.0},
    {"what": "draw and texture 1024 x 1024: whole head", "ours_us": 13000, "peer": "cv2.x", "ratio": 2.0},
]


def test_the_hardest_case_of_each_peer_counts():
    assert [(t.value, t.reached) for t in targets(ROWS)] == [(0.9, True), (13.0, False), (1.5, False), (300.0, True)]


def test_without_the_face_model_one_sentence_says_where_it_belongs(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"set \$MYOMIRROR_ASSETS"):
        face_model({"MYOMIRROR_ASSETS": str(tmp_path)})


@pytest.mark.skipif("MYOMIRROR_ASSETS" not in os.environ, reason="$MYOMIRROR_ASSETS with the face model is not set")
def test_opencv_draws_the_face_model_as_we_do():
    model = face_model()
    compare(scene(model.part("face"), 224, 26.0, 0.0))
    compare(scene(model, 160, 34.0, -2.0))
