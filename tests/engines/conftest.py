"""Small networks for the tests of the engine layer: seconds to export, milliseconds to run."""

import dataclasses

import pytest

from engines.bundle import Bundle, Manifest, Training
from engines.spec import ArraySpec

SIDE = 32
FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3))
EDIT = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (SIDE, SIDE))
MANIFEST = Manifest(
    system="mc_cyclegan",
    network="attentive_generator",
    sizes={"ngf": 4, "blocks": 1, "in_channels": 3, "out_channels": 3},
    inputs=(FACE,),
    outputs=(FACE, EDIT),
    training=Training("nothing: initialised only", 0, True, "CC0", 5),
)


@pytest.fixture(scope="session")
def manifest():
    return MANIFEST


@pytest.fixture(scope="session")
def small_weights():
    """state_dict of the manifest's network; larger than freshly initialised, so that outputs are not all grey."""
    pytest.importorskip("torch")
    from engines.assembly import bare_network
    from engines.networks.blocks import initialise

    network = bare_network(MANIFEST).network
    initialise(network, 5)
    return {name: (8 * value if value.ndim > 1 else value) for name, value in network.state_dict().items()}


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory, small_weights):
    """A bundle on disk with its ONNX."""
    from engines.building import write_network_bundle

    path = tmp_path_factory.mktemp("bundles") / "small"
    write_network_bundle(path, MANIFEST, small_weights, "float16")
    return path


@pytest.fixture(scope="session")
def small_model(small_bundle):
    from engines.model import Model

    return Model.read(small_bundle)


@pytest.fixture(scope="session")
def without_onnx(small_model):
    """The same network in a bundle that has no ONNX, in memory."""
    from engines.model import Model

    bundle = small_model.bundle
    return Model(Bundle(dataclasses.replace(bundle.manifest), bundle.arrays), "bare")


@pytest.fixture(scope="session")
def small_onnx(small_model):
    from engines.model import CPU_FORM

    return small_model.onnx(CPU_FORM)
