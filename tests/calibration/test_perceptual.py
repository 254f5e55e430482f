"""The perceptual loss: 0 for equal faces, gradients for others, and VGG's weights only from a file that holds them."""

import pytest

torch = pytest.importorskip("torch")

from calibration.perceptual import _TAKEN, of_recogniser, of_vgg16  # noqa: E402
from engines.networks.recogniser import Recogniser, RecogniserSizes  # noqa: E402
from rt.errors import BadSettings  # noqa: E402


@pytest.fixture
def distance():
    torch.manual_seed(0)
    return of_recogniser(Recogniser(RecogniserSizes("face", (4, 4), 8)))


def test_equal_faces_are_not_apart(distance):
    face = torch.rand(2, 3, 16, 16)
    assert distance(face, face) == 0
    other = face.clone().requires_grad_()
    distance(other * 0.5, face).backward()
    assert other.grad.abs().sum() > 0
    assert all(not parameter.requires_grad for parameter in distance.parameters())


def test_its_batch_norms_stay(distance):
    before = {name: value.clone() for name, value in distance.state_dict().items()}
    distance.train()
    distance(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    assert all(torch.equal(value, before[name]) for name, value in distance.state_dict().items())


def test_flows_have_no_perceptual_loss():
    with pytest.raises(BadSettings, match="sees flows"):
        of_recogniser(Recogniser(RecogniserSizes(widths=(4, 4))))


def test_vgg_from_a_file(tmp_path, monkeypatch):
    import calibration.perceptual as module

    monkeypatch.setattr(module, "_VGG16", (4, 4, 0, 4, 4, 0, 4, 4, 4, 0, 4, 4, 4))
    with pytest.raises(BadSettings, match="does not hold torchvision's vgg16"):
        of_vgg16(tmp_path / "no.pth")
    state, channels = {}, 3
    for place in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21):
        state[f"features.{place}.weight"] = torch.randn(4, channels, 3, 3) * 0.2
        state[f"features.{place}.bias"] = torch.zeros(4)
        channels = 4
    torch.save(state, tmp_path / "vgg.pth")
    distance = of_vgg16(tmp_path / "vgg.pth")
    face = torch.rand(1, 3, 32, 32)
    assert distance(face, face) == 0
    assert distance(face, -face) > 0
    assert len(_TAKEN) == 4
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "half.pth")
    with pytest.raises(BadSettings, match="vgg16"):
        of_vgg16(tmp_path / "half.pth")
