"""The differentiable twin: the same vertices and pixels as NumPy's, and gradients as finite differences find them."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.camera import Camera, rotation_from_vector
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'myomirror[torch]'")

from engines.face import mesh_torch  # noqa: E402
from engines.face.mesh_torch import TorchFaceModel, project  # noqa: E402

LOOKS = tuple(f"eyeLook{way}_{side}" for way in ("In", "Out", "Up", "Down") for side in "LR")


def small_model():
    """12 random vertices, the last 10 of them a left eyeball; two expressions and the looks."""
    rng = np.random.default_rng(7)
    ball = rng.normal(size=(10, 3))
    neutral = np.vstack([rng.normal(size=(2, 3)), 1.5 * ball / np.linalg.norm(ball, axis=1, keepdims=True)])
    names = ("jawOpen", "mouthPucker", *LOOKS)
    return FaceModel(
        neutral=neutral.astype(np.float32),
        triangles=np.array([[0, 1, 2]], np.int32),
        uvs=np.zeros((1, 2), np.float32),
        triangle_uvs=np.zeros((1, 3), np.int32),
        expression=rng.normal(size=(len(names), 12, 3)).astype(np.float32),
        expression_names=names,
        identity=rng.normal(size=(4, 12, 3)).astype(np.float32),
        regions={"face": (0, 2), "eyeball_left": (2, 12)},
    )


def weights(seed, batch, modes, expressions):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(batch, modes))), torch.tensor(rng.random((batch, expressions)))


def test_vertices_are_numpys():
    model = small_model()
    twin = TorchFaceModel(model)
    identity, expression = weights(0, 3, 3, 10)
    found = twin.vertices(identity.float(), expression.float())
    for one, who, what in zip(found, identity, expression, strict=True):
        np.testing.assert_allclose(one, model.vertices(who, what), atol=1e-5)


def test_the_real_models_pixels_are_numpys():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    model = FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))
    part = model.part("narrow_face", "eyeball_left", "eyeball_right")
    table = FaceLandmarks.load().on(part)
    identity, expression = (values.float() for values in weights(1, 2, 60, 57))
    turns = torch.tensor([[0.1, -0.4, 0.2], [0.0, 0.0, 0.0]])
    scale, shift = torch.tensor([15.0, 30.0]), torch.tensor([[320.0, 240.0], [10.0, 20.0]])
    rotation = mesh_torch.rotation_from_vector(turns)
    seen = project(TorchFaceModel(part).vertices(identity, expression), scale, rotation, shift)
    points = mesh_torch.landmarks(table, seen)
    for row in range(2):
        camera = Camera(float(scale[row]), rotation_from_vector(turns[row]), shift[row].double().numpy())
        expected = camera.project(part.vertices(identity[row], expression[row]))
        np.testing.assert_allclose(seen[row], expected, atol=2e-3)
        np.testing.assert_allclose(points[row], table.positions(expected), atol=2e-3)


@pytest.mark.parametrize("expression_scale", [1.0, 0.0])  # 0: eyes straight on, where an angle has no direction
@pytest.mark.parametrize("turn_scale", [0.5, 0.0])
def test_gradients_are_finite_differences(expression_scale, turn_scale):
    twin = TorchFaceModel(small_model()).double()
    identity, expression = weights(2, 2, 4, 10)
    rng = np.random.default_rng(3)
    turns = torch.tensor(rng.normal(size=(2, 3)) * turn_scale)
    scale, shift = torch.tensor([15.0, 20.0]).double(), torch.tensor(rng.normal(size=(2, 2)))
    inputs = tuple(v.requires_grad_() for v in (identity, expression * expression_scale, turns, scale, shift))

    def picture(identity, expression, turns, scale, shift):
        rotation = mesh_torch.rotation_from_vector(turns)
        return project(twin.vertices(identity, expression), scale, rotation, shift)

    assert torch.autograd.gradcheck(picture, inputs, eps=1e-6, atol=1e-5)


def test_gradients_lead_back_to_the_weights():
    """Gradient descent from neutral finds the weights of a given mesh."""
    model = small_model()
    twin = TorchFaceModel(model)
    truth = torch.tensor(model.vertices([0.5, -1.0], np.r_[0.8, 0.2, np.zeros(8)]))
    identity, expression = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 10, requires_grad=True)
    descent = torch.optim.Adam([identity, expression], lr=0.05)
    for _ in range(300):
        descent.zero_grad()
        loss = ((twin.vertices(identity, expression)[0] - truth) ** 2).mean()
        loss.backward()
        descent.step()
    assert loss.item() < 1e-4
    np.testing.assert_allclose(identity.detach()[0], [0.5, -1.0], atol=0.05)


def test_nothing_in_it_is_trained_and_all_of_it_moves():
    twin = TorchFaceModel(small_model())
    assert list(twin.parameters()) == []
    assert {buffer.dtype for buffer in twin.double().buffers()} == {torch.float64, torch.int64}


def test_a_model_without_eyes_has_nothing_to_turn():
    model = small_model().part("face")
    found = TorchFaceModel(model).vertices(torch.ones(1, 1), torch.ones(1, 10))
    np.testing.assert_allclose(found[0], model.vertices([1], np.ones(10)), atol=1e-5)


def test_weights_of_another_shape_are_refused():
    twin = TorchFaceModel(small_model())
    with pytest.raises(BadInput, match=r"identity must be \(B, 0..4\) weights, found \(1, 5\)"):
        twin.vertices(torch.zeros(1, 5), torch.zeros(1, 10))
    with pytest.raises(BadInput, match=r"expression must be \(2, 10\) weights, found \(1, 10\)"):
        twin.vertices(torch.zeros(2, 4), torch.zeros(1, 10))
