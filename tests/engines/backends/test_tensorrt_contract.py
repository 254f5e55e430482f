"""TensorRT's real Python bindings, both major versions, without its libraries and without a graphics card.

The wheels that `.ci/fetch_tensorrt_bindings` fetched are unpacked; the three libraries that they want are stubs whose
factories give back nothing.  What can be seen then: that every name and every number of arguments that we use exists,
that the stand-in of the other tests offers nothing more, and what happens when TensorRT does not start.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WHEELS = Path(sys.prefix) / "tensorrt-bindings"
VERSIONS = ("10.16", "11.4")

STUBS = {
    "libnvinfer": (
        "createInferBuilder_INTERNAL createInferRefitter_INTERNAL createInferRuntime_INTERNAL getBuilderPluginRegistry "
        "getPluginRegistry"
    ),
    "libnvonnxparser": "createNvOnnxParser_INTERNAL createNvOnnxParserRefitter_INTERNAL getNvOnnxParserVersion",
    "libnvinfer_plugin": "initLibNvInferPlugins",
}

CODE = r"""
import ast, enum, inspect, json, re, sys, types

import tensorrt_bindings as real
sys.modules["tensorrt"] = real
import scripted_tensorrt as stand_in
from engines.backends import tensorrt_backend
from engines.errors import BackendMissing

def arguments(function):
    # pybind11 writes the signature into the docstring: name(self: X, a: Y, b: Z = 0) -> R; overloads give *args
    found = re.match(r"\w+\((.*)\)", (function.__doc__ or "").strip().splitlines()[0])
    if not found or "*args" in found.group(1):
        return None
    names = re.findall(r"(?:^|, )(\w+):", found.group(1))
    return len(names), found.group(1).count(" = ")

missing, misfits = [], []
def compare(name, ours, theirs):
    for word, value in vars(ours).items():
        if word.startswith("_") and word != "__init__":
            continue
        if not hasattr(theirs, word):
            missing.append(f"{name}.{word}")
        elif inspect.isfunction(value) and (found := arguments(getattr(theirs, word))):
            total, optional = found
            wanted = len(inspect.signature(value).parameters)
            if not total - optional <= wanted <= total:
                misfits.append(f"{name}.{word} takes {total}, {optional} optional; the stand-in {wanted}")

for name, value in vars(stand_in).items():
    if isinstance(value, types.ModuleType) or name in ("calls", "fails") or name.startswith("_"):
        continue
    if not hasattr(real, name):
        missing.append(name)
    elif isinstance(value, type) and issubclass(value, enum.Enum):
        missing += [f"{name}.{m.name}" for m in value if not hasattr(getattr(real, name), m.name)]
    elif isinstance(value, type):
        compare(name, value, getattr(real, name))

used = set()
for node in ast.walk(ast.parse(open(tensorrt_backend.__file__).read())):
    if isinstance(node, ast.Attribute):
        path, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            path.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id == "trt":
            used.add(".".join(path))
for name in sorted(used):
    for where in (real, stand_in):
        thing = where
        for word in name.split("."):
            thing = getattr(thing, word, None)
        if thing is None:
            missing.append(f"{where.__name__}: {name}")

logger = tensorrt_backend._logger(tensorrt_backend.tensorrt())
def sentence(work):
    try:
        work()
    except BackendMissing as error:
        return str(error)

print(json.dumps({
    "version": real.__version__,
    "missing": missing,
    "misfits": misfits,
    "used": sorted(used),
    "strongly_typed": int(real.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
    "uint8": str(real.nptype(real.DataType.UINT8)),
    "float": str(real.nptype(real.DataType.FLOAT)),
    "no_builder": sentence(lambda: tensorrt_backend.compile_plan(real, b"", logger)),
    "no_runtime": sentence(lambda: tensorrt_backend._made(real.Runtime, logger)),
    "without_a_card": tensorrt_backend.missing(),
}))
"""


@pytest.fixture(scope="module", params=VERSIONS)
def found(request, tmp_path_factory):
    """What the bindings of one version say, from a process of its own."""
    wheel = next(WHEELS.glob(f"tensorrt_cu13_bindings-{request.param}.*.whl"), None)
    if wheel is None:
        pytest.skip(f"the bindings of TensorRT {request.param} are not in {WHEELS}: run .ci/fetch_tensorrt_bindings")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stub libraries (Debian package: gcc)")
    folder = tmp_path_factory.mktemp("tensorrt")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for library, names in STUBS.items():
        source = folder / f"{library}.c"
        source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in names.split()))
        target = folder / f"{library}.so.{request.param.split('.')[0]}"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    paths = os.pathsep.join([str(folder), str(HERE), str(Path.cwd())])
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"].startswith(request.param)
    return json.loads(done.stdout)


def test_every_name_that_we_use_is_there(found):
    assert found["missing"] == []
    assert {"Builder", "OnnxParser", "Runtime", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"} <= set(found["used"])


def test_methods_take_as_many_arguments_as_we_give(found):
    assert found["misfits"] == []


def test_the_flag_and_the_types_mean_what_we_take_them_for(found):
    assert found["strongly_typed"] == {"10": 1, "11": 0}[found["version"][:2]]  # hence 1 << int(flag), never a number
    assert (found["uint8"], found["float"]) == ("<class 'numpy.uint8'>", "<class 'numpy.float32'>")


def test_when_it_does_not_start_it_is_one_sentence(found):
    expected = "TensorRT is installed but does not start: it needs an NVIDIA graphics card and a driver that fits it"
    assert found["no_builder"] == found["no_runtime"] == expected


def test_without_a_graphics_card_that_is_the_reason(found):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "sees no NVIDIA graphics card" in found["without_a_card"]
