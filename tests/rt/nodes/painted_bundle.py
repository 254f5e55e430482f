"""Bundles that remove electrodes in a way that cannot be overlooked: they paint the whole face one colour.

The ONNX is written by hand, without PyTorch: face * 0 + colour. What real networks compute is tested with the engines.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from engines.bundle import Manifest, Training, write_bundle
from engines.spec import ArraySpec

GREEN_BGR = (5, 250, 5)
SIDE = 32


def write_painted(path: Path, side: int = SIDE) -> Path:
    """A bundle that paints every face green."""
    face, colour = (
        ArraySpec(name, "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (side, side, 3))
        for name in ("face", "colour")
    )
    edit = ArraySpec("edit", "height, width", "uint8", (0, 255), "1/255", None, (side, side))
    sizes = {"ngf": 4, "blocks": 1, "in_channels": 3, "out_channels": 3}
    training = Training("nothing: painted", 0, True, "CC0", 5)
    manifest = Manifest("mc_cyclegan", "attentive_generator", sizes, (face,), (colour, edit), training)
    write_bundle(path, manifest, {"none": np.zeros(1, np.float32)}, {"model.onnx": _onnx(side)})
    return path


def _onnx(side: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    def node(kind, inputs, output, **attributes):
        return helper.make_node(kind, inputs, [output], **attributes)

    picture, plane = [side, side, 3], [side, side]
    nodes = [
        node("Cast", ["in_face"], "floats", to=TensorProto.FLOAT),
        node("Mul", ["floats", "zero"], "black"),
        node("Add", ["black", "green"], "painted"),
        node("Cast", ["painted"], "out_colour", to=TensorProto.UINT8),
        node("ReduceMax", ["black", "axes"], "nothing", keepdims=0),
        node("Add", ["nothing", "full"], "everywhere"),
        node("Cast", ["everywhere"], "out_edit", to=TensorProto.UINT8),
    ]
    constants = {
        "zero": np.float32(0),
        "green": np.array(GREEN_BGR, np.float32),
        "full": np.float32(255),
        "axes": np.array([2], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "painted",
        [helper.make_tensor_value_info("in_face", TensorProto.UINT8, picture)],
        [
            helper.make_tensor_value_info("out_colour", TensorProto.UINT8, picture),
            helper.make_tensor_value_info("out_edit", TensorProto.UINT8, plane),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def altered(bundle: Path, to: Path, files: dict[str, bytes] | None = None, resealed: bool = True, **manifest) -> Path:
    """A copy with other files and manifest entries. resealed: the sha256 fit again, as a forger would see to."""
    to.mkdir()
    for file in bundle.iterdir():
        (to / file.name).write_bytes((files or {}).get(file.name, file.read_bytes()))
    document = {**json.loads((to / "manifest.json").read_text()), **manifest}
    if resealed:
        document["sha256"] = {name: hashlib.sha256((to / name).read_bytes()).hexdigest() for name in document["sha256"]}
    (to / "manifest.json").write_text(json.dumps(document))
    return to


def is_painted(picture: np.ndarray) -> bool:
    """Whether the middle of a picture, (height, width, 3), is green and nothing else."""
    height, width = picture.shape[:2]
    middle = picture[int(0.4 * height) : int(0.6 * height), int(0.45 * width) : int(0.55 * width)].astype(float)
    others = np.delete(middle, 1, axis=-1)
    return bool((middle[..., 1] > 200).mean() > 0.9 and (others < 90).mean() > 0.9)
