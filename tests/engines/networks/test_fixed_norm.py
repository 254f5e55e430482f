"""Batch norms written out: the same numbers, and weights that stay what the bundle stores."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from engines.networks.fixed_norm import FixedNorm, with_fixed_norms  # noqa: E402


def a_network():
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-3), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(8))
    )
    for norm in (network[1], network[3][0]):
        nn.init.normal_(norm.weight, 1, 0.3)
        nn.init.normal_(norm.bias)
    for _ in range(5):  # running statistics of its own
        network(2 * torch.rand(4, 3, 9, 9) + 1)
    return network.eval()


def test_the_same_numbers_and_the_network_is_left_alone():
    network, x = a_network(), torch.rand(2, 3, 9, 9)
    fixed = with_fixed_norms(network)
    with torch.no_grad():
        torch.testing.assert_close(fixed(x), network(x), atol=1e-5, rtol=1e-5)
    assert isinstance(network[1], nn.BatchNorm2d)
    assert [type(module) for module in (fixed[1], fixed[3][0])] == [FixedNorm, FixedNorm]


def test_float16_weights_stay_half_their_bytes_in_onnx():
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    from engines.onnx_export import export_onnx
    from engines.spec import ArraySpec

    network = a_network()
    network[0].weight.data = network[0].weight.data.half().float()
    spec = ArraySpec("x", "picture, channel, height, width", "float32", (0, 1), "1", None, (1, 3, 9, 9))
    out = ArraySpec("y", "picture, channel, height, width", "float32", (0, 1), "1", None, (1, 8, 7, 7))
    kept = onnx.load_from_string(export_onnx(with_fixed_norms(network), (spec,), (out,)))
    (weight,) = (tensor for tensor in kept.graph.initializer if len(tensor.dims) == 4)
    assert weight.data_type == onnx.TensorProto.FLOAT16
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight).astype(np.float32), network[0].weight.detach())
