import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.assembly import assemble, bare_network  # noqa: E402
from engines.bundle import Bundle  # noqa: E402
from engines.errors import BundleError  # noqa: E402


def test_the_weights_are_those_of_the_bundle(small_model, small_weights):
    network = assemble(small_model.bundle)
    assert not network.training
    for name, value in network.network.state_dict().items():
        half = small_weights[name].half().float() if value.ndim > 1 else small_weights[name]
        torch.testing.assert_close(value, half, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": "diffusion"}, "'diffusion' is not one of resnet_generator, attentive_generator"),
        ({"sizes": {"ngf": 4, "bloks": 1, "in_channels": 3, "out_channels": 3}}, "'bloks'; the nearest .* 'blocks'"),
        ({"sizes": {"ngf": 4, "in_channels": 3, "out_channels": 3}}, "sizes lack blocks"),
        ({"sizes": {"ngf": "4", "blocks": 1, "in_channels": 3, "out_channels": 3}}, "ngf .* found '4'"),
        ({"sizes": {"ngf": 4, "blocks": 1, "in_channels": 6, "out_channels": 3}}, "inputs have 3 channels, .* wants 6"),
        ({"sizes": {"ngf": 8, "blocks": 1, "in_channels": 3, "out_channels": 3}}, "do not have the shapes"),
        ({"sizes": {"ngf": 4, "blocks": 2, "in_channels": 3, "out_channels": 3}}, "they lack 'blocks.1.first"),
        ({"sizes": {"ngf": 4, "blocks": 0, "in_channels": 3, "out_channels": 3}}, "have no use for 'blocks.0.first"),
    ],
)
def test_a_manifest_that_does_not_fit_its_weights_is_refused_in_one_sentence(small_model, change, sentence):
    manifest = dataclasses.replace(small_model.bundle.manifest, **change)
    with pytest.raises(BundleError, match=sentence) as caught:
        assemble(Bundle(manifest, small_model.bundle.arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(30, 32, 3), (32, 30, 3)])
def test_a_picture_that_cannot_be_halved_twice_is_refused(manifest, shape):
    face = dataclasses.replace(manifest.inputs[0], shape=shape)
    with pytest.raises(BundleError, match="sides divide by 4"):
        bare_network(dataclasses.replace(manifest, inputs=(face,), outputs=(face,)))


def test_an_output_of_another_size_than_the_input_is_refused(manifest):
    larger = dataclasses.replace(manifest.outputs[0], shape=(64, 64, 3))
    with pytest.raises(BundleError, match="of one size"):
        bare_network(dataclasses.replace(manifest, outputs=(larger,)))


def test_a_weight_too_many_is_refused(small_model):
    arrays = {**small_model.bundle.arrays, "extra": np.zeros(3, np.float32)}
    with pytest.raises(BundleError, match=r"no use for 'extra'$"):
        assemble(Bundle(small_model.bundle.manifest, arrays))
