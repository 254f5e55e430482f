import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from engines.errors import BuildError  # noqa: E402
from engines.model import Form, exported  # noqa: E402
from engines.onnx_export import export_onnx  # noqa: E402


@pytest.fixture(scope="module")
def graph(small_onnx):
    model = onnx.load_from_string(small_onnx)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="module")
def half(small_model):
    model = onnx.load_from_string(exported(small_model.network(), Form("fp16", False), small_model.bundle))
    onnx.checker.check_model(model, full_check=True)
    return model


def dims(value):
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def test_pictures_go_in_and_out_as_bytes(graph):
    found = [(v.name, dims(v), v.type.tensor_type.elem_type) for v in (*graph.graph.input, *graph.graph.output)]
    assert found == [("in_face", [32, 32, 3], 2), ("out_face", [32, 32, 3], 2), ("out_edit", [32, 32], 2)]
    assert graph.opset_import[0].version == 20


def test_bytes_are_cast_first_and_last_as_tensorrt_wants_it(graph, half):
    for model in (graph, half):
        nodes = model.graph.node
        assert {n.op_type for n in nodes if "in_face" in n.input} == {"Cast"}
        assert {n.op_type for n in nodes if set(n.output) & {"out_face", "out_edit"}} == {"Cast"}


def test_nothing_in_it_tells_of_the_machine_that_wrote_it(small_onnx, graph):
    for word in (b"/work", b"/home", b"/root", b"site-packages", b"resnet_generator.py", b".py"):
        assert word not in small_onnx
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)


def test_weights_that_are_whole_float16_numbers_take_half_the_bytes(graph):
    types = {len(t.dims): t.data_type for t in graph.graph.initializer if len(t.dims) == 4 and max(t.dims) > 4}
    assert types == {4: onnx.TensorProto.FLOAT16}


def test_normalisation_stays_in_float32_when_the_rest_is_half(half):
    made_by = {output: node for node in half.graph.node for output in node.output}
    norms = [node for node in half.graph.node if node.op_type == "InstanceNormalization"]
    assert len(norms) == 7  # stem, 2 down, 2 in the block, 2 up
    for node in norms:
        cast = made_by[node.input[0]]
        assert cast.op_type == "Cast"
        assert cast.attribute[0].i == onnx.TensorProto.FLOAT
    halves = {t.name for t in half.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 8
    assert all(node.input[1] in halves for node in convolutions)


def test_what_cannot_be_written_as_onnx_is_one_sentence(manifest):
    class Odd(torch.nn.Module):
        def forward(self, face):
            if face.sum() > 3:  # depends on the data
                return (face,)
            return (face + 1,)

    with pytest.raises(BuildError, match="PyTorch cannot write this network as ONNX") as caught:
        export_onnx(Odd(), manifest.inputs, manifest.outputs[:1])
    assert "\n" not in str(caught.value)
