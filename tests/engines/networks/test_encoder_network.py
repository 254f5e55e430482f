"""The encoder as engines run it: ranges kept, colours in order, and the same on every backend."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines  # noqa: E402
from calibration.encoder_bundle import encoder_manifest, output_specs  # noqa: E402
from calibration.face_bundle import face_spec  # noqa: E402
from engines.assembly import bare_network  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.bundle import Training  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from engines.networks.encoder_network import EncoderNetwork  # noqa: E402
from engines.networks.face_encoder import EncoderSizes, FaceEncoder, initialise_encoder  # noqa: E402

SIZES = EncoderSizes(arrangement="shared", width=0.1, shapes=4)
FACE = face_spec("face", 64)
MADE_UP = Training("nothing", 0, True, "CC0", 1)


def encoder(sizes=SIZES):
    network = FaceEncoder(sizes)
    initialise_encoder(network, 1)
    for head in network.heads.values():  # not all near one value: else nothing could be told apart
        torch.nn.init.normal_(head.weight, 0, 0.05, torch.Generator().manual_seed(5))
    return network.eval()


def face(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_it_is_the_network_on_rgb_from_zero_to_one():
    network = encoder()
    found = EncoderNetwork(network, [FACE], output_specs(SIZES))(torch.from_numpy(face()))
    rgb = torch.from_numpy(face()[:, :, ::-1].transpose(2, 0, 1)[None] / np.float32(255))
    for spec, values in zip(output_specs(SIZES), found, strict=True):
        wanted = getattr(network(rgb), spec.name)[0].clamp(*spec.range)
        torch.testing.assert_close(values, wanted, rtol=1e-4, atol=1e-5)
        assert values.shape == spec.shape


def test_rgb_in_is_not_turned():
    network = encoder()
    other = dataclasses.replace(FACE, colour="RGB")
    ways = [(FACE, face()), (other, face()[:, :, ::-1].copy())]
    found = [EncoderNetwork(network, [spec], output_specs(SIZES))(torch.from_numpy(array)) for spec, array in ways]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_outputs_keep_the_ranges_they_state():
    network = encoder()
    torch.nn.init.constant_(network.heads["shape"].bias, 50)
    (found,) = EncoderNetwork(network, [FACE], output_specs(SIZES)[1:2])(torch.from_numpy(face()))
    assert (found == 4).all()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "bundle"
    manifest = encoder_manifest(SIZES, 64, MADE_UP, {})
    write_network_bundle(folder, manifest, encoder().state_dict(), "float32", with_onnx=False)
    return folder


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_every_backend_says_what_pytorch_says(bundle, backend):
    pytest.importorskip(backend)
    reference = engines.load(bundle, backend="torch", device="cpu")
    other = engines.load(bundle, backend=backend, precision="fp32", threads=1)
    for seed in range(3):
        wanted = {name: values.copy() for name, values in reference.run({"face": face(seed)}).items()}
        found = other.run({"face": face(seed)})
        assert set(found) == {"expression", "shape", "pose", "camera", "confidence"}
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, atol=2e-4)
    assert wanted["expression"].std() > 0.01


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sizes": {"profile": "arkit52"}}, "sizes lack shapes, arrangement, width"),
        ({"sizes": {**dataclasses.asdict(SIZES), "profile": "arkit53"}}, "profile is arkit52 or flame55"),
        ({"inputs": (dataclasses.replace(FACE, shape=(16, 16, 3)),)}, "32 px or more"),
        ({"inputs": (dataclasses.replace(FACE, colour="YUV"),)}, "BGR or RGB"),
        ({"outputs": (dataclasses.replace(output_specs(SIZES)[0], shape=(55,)),)}, r"float32 \(52,\)"),
        ({"outputs": (dataclasses.replace(output_specs(SIZES)[0], name="mood"),)}, "no output 'mood'"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_in_one_sentence(change, sentence):
    manifest = dataclasses.replace(encoder_manifest(SIZES, 64, MADE_UP, {}), **change)
    with pytest.raises(BundleError, match=sentence) as caught:
        bare_network(manifest)
    assert "\n" not in str(caught.value)
