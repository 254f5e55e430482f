import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.errors import BadInput  # noqa: E402
from engines.face.blendshapes import BLENDSHAPE_INDEX  # noqa: E402
from engines.face.crop_camera import matrix_from_six  # noqa: E402
from engines.face.crop_geometry import SKIN, CropGeometry  # noqa: E402
from engines.face.landmarks import FaceLandmarks  # noqa: E402
from engines.face.mesh import FaceModel, expression_from_arkit52  # noqa: E402

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="needs MYOMIRROR_ASSETS")
SIZE = 64
SIX = (0.05, 0.2, -0.1, 8.0, 0.0, 0.02)


@pytest.fixture(scope="module")
def model():
    return FaceModel.load(MODEL)


@pytest.fixture(scope="module")
def geometry(model):
    return CropGeometry(model, SIZE)


def said(**changes):
    rng = np.random.default_rng(3)
    values = {"expression": rng.random(52), "shape": rng.normal(size=7), "pose": SIX[:3], "camera": SIX[3:]}
    values = {name: np.asarray(value)[None] for name, value in {**values, **changes}.items()}
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}


def test_vertices_and_landmarks_lie_where_numpy_puts_them(model, geometry):
    given = said()
    found = geometry.place(**given)
    shape, expression = given["shape"][0].numpy(), expression_from_arkit52(given["expression"][0].numpy())
    vertices = model.vertices(shape, expression)
    wanted = np.column_stack([vertices, np.ones(len(vertices))]) @ matrix_from_six(SIX, SIZE).T
    np.testing.assert_allclose(found.projected[0].numpy(), wanted[:6706], atol=2e-3)
    marks_px = FaceLandmarks.load().positions(wanted)[list(SKIN), :2]
    np.testing.assert_allclose((found.landmarks[0].numpy() + 1) * SIZE / 2 - 0.5, marks_px, atol=2e-3)


def test_landmarks_alone_are_the_same_with_the_same_gradients(geometry):
    given = {name: value.requires_grad_() for name, value in said().items()}
    ways = [geometry.landmarks(**given), geometry.place(**given).landmarks]
    torch.testing.assert_close(*ways, atol=1e-5, rtol=1e-5)
    slopes = [torch.autograd.grad((marks**3).sum(), list(given.values())) for marks in ways]
    for quick, slow in zip(*slopes, strict=True):
        torch.testing.assert_close(quick, slow, atol=1e-3, rtol=1e-4)
    for wrong, sentence in (({"shape": np.zeros(101)}, "identity"), ({"expression": np.zeros(55)}, "arkit52")):
        with pytest.raises(BadInput, match=sentence):
            geometry.landmarks(**said(**wrong))


def test_the_render_is_a_grey_face_with_holes_on_black(geometry):
    opened = np.zeros(52)
    opened[BLENDSHAPE_INDEX["jawOpen"]] = 1
    picture = geometry.render(geometry.place(**said(expression=opened, shape=np.zeros(1), pose=np.zeros(3))))
    assert picture.shape == (1, 1, SIZE, SIZE)
    assert ((picture[0, 0].numpy() > 0) == (geometry.seen >= 0)).mean() > 0.99
    filled = (geometry.seen >= 0).mean()
    assert 0.2 < filled < 0.9
    middle = geometry.seen[SIZE // 2 :, SIZE // 2]  # down from the middle: lip, hole, lip, chin
    assert (np.diff((middle >= 0).astype(int)) != 0).sum() >= 3


def test_gradients_reach_every_number(geometry):
    given = {name: value.requires_grad_() for name, value in said().items()}
    placed = geometry.place(**given)
    rows = torch.linspace(0, 1, SIZE)[:, None]
    (geometry.render(placed)[0, 0] * rows).sum().backward(retain_graph=True)
    placed.landmarks.square().sum().backward()
    for name, value in given.items():
        assert value.grad.abs().max() > 0, name
        assert torch.isfinite(value.grad).all(), name


def test_another_profile_is_refused(geometry):
    with pytest.raises(BadInput, match="profile arkit52, found 55"):
        geometry.place(**said(expression=np.zeros(55)))
