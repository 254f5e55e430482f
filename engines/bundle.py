"""A bundle: what an engine needs to run, in one folder.

    manifest.json         what it is, what it expects, what it was made from, how good it is (DESIGN 13)
    weights.safetensors   the numbers
    model.onnx            the network with them, for processors without PyTorch; may be absent
    anything else         as it is, e.g. a video

Nothing in a bundle is executable, and every file is checked against the manifest's sha256 before it is parsed.
"""

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, BundleError
from engines.spec import ArraySpec

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
ONNX = "model.onnx"
LARGEST_MANIFEST_BYTES = 1 << 20

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Training:
    """Where a bundle's numbers come from."""

    data: str  # the data set, with its attribution
    people: int  # how many people taught it
    synthetic: bool  # True when they were made by the simulator
    licence: str  # of the training data
    seed: int | None  # of everything random; None when nothing was


@dataclass(frozen=True)
class Metric:
    """One measured quality."""

    value: float
    unit: str
    on: str  # the data it was measured on


@dataclass(frozen=True)
class Manifest:
    """Exactly the keys of manifest.json."""

    system: str  # the paper's system, e.g. "pixel_rr"
    network: str  # the architecture within it
    sizes: dict[str, Any]  # numbers and words that the builder needs
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    training: Training
    metrics: dict[str, Metric] = field(default_factory=dict)
    emg_chain: str | None = None  # id of the EMG chain that it was made with; None when it sees no EMG
    montage: str | None = None
    versions: dict[str, str] = field(default_factory=dict)  # of the libraries that made it
    sha256: dict[str, str] = field(default_factory=dict)  # file name -> hash; write_bundle fills it in


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been read and checked."""

    manifest: Manifest
    arrays: Arrays
    files: Mapping[str, bytes] = field(default_factory=dict)  # everything beside the weights, by name


def read_bundle(path: Path, system: str | None = None) -> Bundle:
    """Read a bundle and check it.

    path: its folder.  system: the system that the caller can run; None takes any.
    Raises BundleError, in one sentence, when a file is missing, altered or cut short, when the manifest has a
    missing or unknown key, or when the bundle was made for another system.
    """
    manifest = _manifest_from_json(_read_json(path / MANIFEST), path)
    if system is not None and manifest.system != system:
        raise BundleError(f"{path} is a bundle for {manifest.system}, not for {system}: choose another bundle")
    if WEIGHTS not in manifest.sha256:
        raise BundleError(f"{path / MANIFEST} names no sha256 for {WEIGHTS}: fetch or build the bundle again")
    contents = {name: _read_checked(path, name, digest) for name, digest in manifest.sha256.items()}
    weights = _parse_arrays(contents.pop(WEIGHTS), path / WEIGHTS)
    return Bundle(manifest, weights, contents)


def write_bundle(
    path: Path, manifest: Manifest, arrays: Mapping[str, npt.NDArray[Any]], files: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write a bundle, replacing an older one at the same place; the weights go first, the manifest last.

    path: its folder, made 0700; files are 0600.  files: more of them, name -> content.
    Returns the manifest with its sha256 filled in.
    """
    from safetensors.numpy import save

    weights = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    contents = {WEIGHTS: weights, **(files or {})}
    manifest = replace(
        manifest, sha256={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    )
    document = asdict(manifest)
    for side in ("inputs", "outputs"):
        document[side] = [spec.to_json() for spec in getattr(manifest, side)]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in contents.items():
        _write_private(path / name, content)
    _write_private(path / MANIFEST, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    return manifest


def _write_private(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise BundleError(f"{path} is larger than {LARGEST_MANIFEST_BYTES} bytes: that is no manifest")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path.parent} is no bundle, {path.name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON ({error}): fetch or build the bundle again") from error


def _read_checked(folder: Path, name: str, digest: str) -> bytes:
    if Path(name).name != name or name in ("", ".", ".."):
        raise BundleError(f"{folder / MANIFEST} names the file {name!r} outside its folder")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder} lacks {name} ({error.strerror}): fetch or build it again") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError(f"{folder / name} is altered or cut short (sha256 differs): fetch or build it again")
    return content


def _parse_arrays(content: bytes, path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(content))
    except (SafetensorError, KeyError) as error:
        raise BundleError(f"{path} is not a safetensors file that NumPy can hold ({error})") from error


def _manifest_from_json(value: Any, path: Path) -> Manifest:
    _check_keys(value, Manifest, f"{path / MANIFEST}")
    _check_keys(value["training"], Training, f"{path / MANIFEST}: training")
    for side in ("sizes", "metrics", "versions", "sha256"):
        if not isinstance(value[side], dict):
            raise BundleError(f"{path / MANIFEST}: {side} must be an object, found {value[side]!r}")
    for name, metric in value["metrics"].items():
        _check_keys(metric, Metric, f"{path / MANIFEST}: metrics.{name}")
    return Manifest(
        **{
            **value,
            "inputs": _specs(value["inputs"], path),
            "outputs": _specs(value["outputs"], path),
            "training": Training(**value["training"]),
            "metrics": {name: Metric(**metric) for name, metric in value["metrics"].items()},
        }
    )


def _specs(value: Any, path: Path) -> tuple[ArraySpec, ...]:
    if not isinstance(value, list):
        raise BundleError(f"{path / MANIFEST}: inputs and outputs must be lists of array specs")
    try:
        return tuple(ArraySpec.from_json(item) for item in value)
    except BadInput as error:
        raise BundleError(f"{path / MANIFEST}: {error}") from error


def _check_keys(value: Any, cls: type, where: str) -> None:
    """Refuse anything but an object with exactly the fields of cls, naming the nearest known key."""
    if not isinstance(value, dict):
        raise BundleError(f"{where} must be an object, found {type(value).__name__}")
    known = [f.name for f in fields(cls)]
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0.0)[0]
            raise BundleError(f"{where} has the unknown key {key!r}; the nearest known one is {near!r}")
    missing = [name for name in known if name not in value]
    if missing:
        raise BundleError(f"{where} lacks {', '.join(missing)}")
