"""Vectors through every backend that is here, as one bundle; specs that do not fit are refused."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines  # noqa: E402
from engines.assembly import assemble, bare_network  # noqa: E402
from engines.building import verify, write_network_bundle  # noqa: E402
from engines.bundle import Bundle, Manifest, Training, read_bundle  # noqa: E402
from engines.emg.emg_bundle import EmgBundle  # noqa: E402
from engines.errors import BundleError  # noqa: E402
from engines.networks.emg_mlp import initialise_mlp  # noqa: E402
from engines.weights import pack  # noqa: E402

SIZES = {
    "direction": "exp2emg",
    "profile": "arkit52",
    "normalisation": "calibration",
    "taps_ms": [0, 33, 100],
    "widths": [16, 16],
    "end": "open",
    "scaling": "root",
    "uncertainty": True,
    "rest": False,
}


def manifest_of(**changes):
    sizes = {**SIZES, **changes}
    inputs, outputs = EmgBundle.of(sizes).specs(sizes["uncertainty"])
    training = Training("nobody", 0, True, "CC0", 1)
    return Manifest("eifer_emg", "emg_mlp", sizes, inputs, outputs, training, {}, "0123456789ab", "fridlund")


def network_of(manifest):
    network = bare_network(manifest)
    initialise_mlp(network.network, 3)
    with torch.no_grad():
        network.network.head.weight.mul_(3)
    return network.eval()


@pytest.mark.parametrize(
    ("changes", "given", "found"),
    [
        ({}, ("expression", (3, 52)), {"emg": (22,), "emg_sd": (22,)}),
        ({"taps_ms": [0], "uncertainty": False}, ("expression", (52,)), {"emg": (22,)}),
        (
            {"direction": "emg2exp", "profile": "flame55", "uncertainty": False, "taps_ms": [0, 50]},
            ("emg", (2, 22)),
            {"expression": (55,)},
        ),
    ],
)
def test_both_directions_both_profiles(changes, given, found):
    manifest = manifest_of(**changes)
    name, shape = given
    assert (manifest.inputs[0].name, manifest.inputs[0].shape) == (name, shape)
    outputs = network_of(manifest)(torch.rand(shape))
    assert {spec.name: tuple(array.shape) for spec, array in zip(manifest.outputs, outputs, strict=True)} == found


def test_outputs_keep_within_their_range():
    manifest = manifest_of()
    network = network_of(manifest)
    network.network.output_gain.fill_(1e4)
    for array, spec in zip(network(torch.rand(3, 52)), manifest.outputs, strict=True):
        assert spec.range[0] <= array.min()
        assert array.max() <= spec.range[1]


def test_every_backend_here_computes_the_same(tmp_path):
    pytest.importorskip("onnxscript")
    manifest = manifest_of()
    network = network_of(manifest)
    write_network_bundle(tmp_path / "b", manifest, network.network.state_dict())
    records = verify(tmp_path / "b")
    assert {record.backend for record in records} >= {"torch", "openvino"}
    assert all(record.agrees for record in records)
    given = np.random.default_rng(0).random((3, 52), np.float32)
    expected = network(torch.from_numpy(given))[0].detach().numpy()
    assert expected.max() > 0.05
    engine = engines.load(tmp_path / "b", device="cpu", precision="fp32")
    np.testing.assert_allclose(engine.run({"expression": given})["emg"], expected, atol=1e-4)
    engine.close()
    assert read_bundle(tmp_path / "b").manifest.emg_chain == "0123456789ab"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"direction": "both"}, "direction of an EMG bundle is exp2emg or emg2exp, found 'both'"),
        ({"profile": "arkit"}, "no expression profile 'arkit'; the nearest one is 'arkit52'"),
        ({"taps_ms": [33, 0]}, "taps_ms must begin with 0 and rise"),
        ({"widths": 16}, "widths must be a list of whole numbers, found 16"),
        ({"profile": "flame55"}, "float32 of shape \\(3, 55\\)"),
        ({"end": "sigmoid"}, "sizes do not fit: end of an EMG network"),
        ({"scalling": "root"}, "unknown key 'scalling'; the nearest known one is 'scaling'"),
        ({"widths": [16, 32]}, "do not have the shapes"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_in_one_sentence(change, sentence):
    manifest = manifest_of()
    arrays = pack({n: v.numpy() for n, v in network_of(manifest).network.state_dict().items()}, "float32")
    with pytest.raises(BundleError, match=sentence) as caught:
        assemble(Bundle(replace(manifest, sizes={**manifest.sizes, **change}), arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (lambda specs: specs[:1], "outputs cannot be emg"),
        (lambda specs: specs[::-1], "outputs cannot be emg_sd, emg"),
        (lambda specs: (replace(specs[0], dtype="uint8"), specs[1]), "must be float32"),
    ],
)
def test_outputs_that_the_network_has_not_are_refused(outputs, sentence):
    manifest = manifest_of()
    with pytest.raises(BundleError, match=sentence):
        bare_network(replace(manifest, outputs=outputs(manifest.outputs)))
