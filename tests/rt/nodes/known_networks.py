"""Bundles whose answers anybody can work out, so that a whole session can be checked from picture to page and file.

    encoder    every blendshape is the face's mean brightness, 0..1
    exp2emg    channel k is shape k, of the own maximum; its deviation is a tenth
    emg2exp    every shape is the mean of all channels

The ONNX is written by hand, without PyTorch. What real networks compute is tested with the engines.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from engines.bundle import Manifest, Training, write_bundle
from engines.emg.chain import chain_id, preset
from engines.emg.emg_bundle import EmgBundle
from engines.spec import ArraySpec

SIDE = 64
CHAIN = chain_id(preset("standard", 50), 4096.0)
DEVIATION = 0.1
_TRAINING = Training("nothing: written by hand", 0, True, "CC0", None)
_SIZES = {
    "direction": "exp2emg", "profile": "arkit52", "normalisation": "calibration", "taps_ms": [0],
    "widths": [1], "end": "open", "scaling": "plain", "uncertainty": True, "rest": False,
}  # fmt: skip


def write_known_encoder(path: Path) -> Path:
    """Every blendshape is the mean brightness of the face."""
    face = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (SIDE, SIDE, 3))
    shown = ArraySpec("expression", "parameter", "float32", (0, 1), "1", None, (52,))
    sizes = {"profile": "arkit52", "shapes": 1, "arrangement": "shared", "width": 0.1}
    manifest = Manifest("eifer", "face_encoder", sizes, (face,), (shown,), _TRAINING)
    nodes = [
        ("Cast", ["in_face"], "floats", {"to": 1}),
        ("ReduceMean", ["floats"], "mean", {"keepdims": 0}),
        ("Div", ["mean", "full"], "share", {}),
        ("Mul", ["share", "ones"], "out_expression", {}),
    ]
    constants = {"full": np.float32(255), "ones": np.ones(52, np.float32)}
    write_bundle(path, manifest, _nothing(), {"model.onnx": _onnx(manifest, nodes, constants)})
    return path


def write_known_exp2emg(path: Path) -> Path:
    """Channel k is shape k."""
    nodes = [
        ("MatMul", ["in_expression", "first"], "out_emg", {}),
        ("Mul", ["out_emg", "zero"], "nothing", {}),
        ("Add", ["nothing", "deviation"], "out_emg_sd", {}),
    ]
    constants = {
        "first": np.eye(52, 22, dtype=np.float32),
        "zero": np.float32(0),
        "deviation": np.full(22, DEVIATION, np.float32),
    }
    return _write_emg(path, _SIZES, nodes, constants)


def write_known_emg2exp(path: Path) -> Path:
    """Every shape is the mean of all channels."""
    nodes = [("MatMul", ["in_emg", "mean"], "out_expression", {})]
    constants = {"mean": np.full((22, 52), 1 / 22, np.float32)}
    return _write_emg(path, {**_SIZES, "direction": "emg2exp", "uncertainty": False}, nodes, constants)


def _write_emg(path: Path, sizes: dict[str, Any], nodes: list[Any], constants: dict[str, Any]) -> Path:
    inputs, outputs = EmgBundle.of(sizes).specs(sizes["uncertainty"])
    manifest = Manifest("eifer_emg", "emg_mlp", sizes, inputs, outputs, _TRAINING, emg_chain=CHAIN, montage="fridlund")
    files = {"model.onnx": _onnx(manifest, nodes, constants), "people.json": json.dumps({"method": "Truth"}).encode()}
    write_bundle(path, manifest, _nothing(), files)
    return path


def _nothing() -> dict[str, Any]:
    return {"none": np.zeros(1, np.float32)}


def _onnx(manifest: Manifest, nodes: list[Any], constants: dict[str, Any]) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    types = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
    sides = [
        [helper.make_tensor_value_info(f"{side}_{spec.name}", types[spec.dtype], spec.shape) for spec in specs]
        for side, specs in (("in", manifest.inputs), ("out", manifest.outputs))
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [out], **more) for kind, given, out, more in nodes],
        "known",
        *sides,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())
