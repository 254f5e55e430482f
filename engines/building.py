"""Making what backends run, and believing none of them before it has been compared with PyTorch.

Model.network()   the bundle's PyTorch module, float32: the truth
  -> ONNX         engines/onnx_export.py, in the form that the backend wants
  -> artefact     a compiled model or plan, in the user's cache
  -> compared     engines/agreement.py; written into a record beside the artefact
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from engines import agreement
from engines.agreement import Distance
from engines.backends.torch_backend import TorchEngine
from engines.bundle import ONNX, WEIGHTS, Bundle, Manifest, Metric, write_bundle
from engines.cache import cache_folder, digest, write_private
from engines.errors import BackendMissing, BuildError
from engines.loading import Way, open_engine, survey, ways
from engines.model import CPU_FORM, Model, exported
from engines.spec import Engine
from engines.weights import pack

_LIBRARIES = ("torch", "onnx", "onnxscript", "openvino", "onnxruntime", "tensorrt", "pycuda", "numpy")


@dataclass(frozen=True)
class BuildRecord:
    """What was built, with what, and how far it is from PyTorch in float32 on the CPU."""

    bundle: str
    network: str
    backend: str
    device: str
    precision: str
    weights_sha256: str
    distance: dict[str, Distance]  # by output, see engines/agreement.py
    allowed: Distance
    probes: int
    seed: int
    versions: dict[str, str]

    @property
    def agrees(self) -> bool:
        """Whether every output is within what the precision allows."""
        try:
            agreement.check(self.distance, self.precision, self.backend)
        except BuildError:
            return False
        return True

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {**asdict(self), "agrees": self.agrees}


def build(
    bundle: Path | str, backend: str | None = None, precision: str | None = None, device: str = "auto"
) -> BuildRecord:
    """Make what a backend needs to run a bundle, compare it with PyTorch, and write the record into the cache.

    backend, precision, device: as in `engines.load`; None and "auto" build for what `load` would take.
    Raises BuildError when the backend computes something else than PyTorch; BackendMissing, BundleError and BadInput as
    `engines.load` does.
    """
    model = Model.read(bundle)
    way = _first_present(device, backend)
    record = compare(model, way, precision)
    agreement.check(record.distance, record.precision, str(way))
    name = digest(record.weights_sha256.encode(), repr((way, record.precision)).encode())
    write_private(cache_folder("builds") / f"{name}.json", (json.dumps(record.to_json(), indent=1) + "\n").encode())
    return record


def verify(bundle: Path | str) -> list[BuildRecord]:
    """Compare everything that can run a bundle on this machine with PyTorch, in every precision it has.

    Returns one record per backend, device and precision; `agrees` says how it went.  Raises BackendMissing without
    PyTorch; BundleError.
    """
    model = Model.read(bundle)
    present = [found for found in survey() if found.why_not is None]
    return [compare(model, found.way, precision) for found in present for precision in found.precisions]


def compare(model: Model, way: Way, precision: str | None) -> BuildRecord:
    """Open a model in one way and measure its distance from PyTorch.  Raises as `engines.load` does."""
    engine = open_engine(model, way, precision)
    try:
        reference = reference_engine(model)
        read = any(agreement.reads(engine.inputs, spec) for spec in engine.outputs)
        given = agreement.probes(engine.inputs, agreement.READING_PROBES if read else agreement.PROBES)
        distance = agreement.measure(engine, reference, given)
    finally:
        engine.close()
    return BuildRecord(
        bundle=model.name,
        network=model.bundle.manifest.network,
        backend=engine.backend,
        device=engine.device,
        precision=engine.precision,
        weights_sha256=model.bundle.manifest.sha256.get(WEIGHTS, ""),
        distance=distance,
        allowed=agreement.TOLERANCES[engine.precision],
        probes=len(given),
        seed=agreement.SEED,
        versions=_versions(),
    )


def reference_engine(model: Model) -> Engine:
    """What all others are compared with: PyTorch, float32, CPU.  Raises BackendMissing, BundleError."""
    manifest = model.bundle.manifest
    return TorchEngine(model.network(), manifest.inputs, manifest.outputs, "cpu", "fp32")


def write_network_bundle(
    path: Path,
    manifest: Manifest,
    weights: Mapping[str, Any],
    storage: str = "float32",
    with_onnx: bool = True,
) -> Manifest:
    """Write a trained network as a bundle; with its ONNX, so that processors without PyTorch can run it.

    weights: the trained network's `state_dict()`.  storage: see `engines.weights.pack`.  with_onnx: False saves the
    space; the ONNX is then exported where the bundle is used, which needs PyTorch there.
    The ONNX is run on every CPU backend that is here, and compared, before anything is written; the distances become
    metrics of the manifest.  Half precision that rounds this network too roughly is no reason to lose it: the metric
    then says so by its name, and `engines.load` takes float32 on that backend unless told otherwise.
    Returns the manifest with versions, metrics and sha256 filled in.  Raises BuildError, BundleError, BadInput and
    BackendMissing.
    """
    arrays = pack({name: np.asarray(value.detach().cpu(), np.float32) for name, value in weights.items()}, storage)
    manifest = replace(manifest, versions={**_versions(), **manifest.versions})
    bundle = Bundle(manifest, arrays)
    model = Model(bundle, path.name)
    files = {}
    if with_onnx:
        files[ONNX] = exported(model.network(), CPU_FORM, bundle)
        distances = _check_onnx(Model(Bundle(manifest, arrays, files), path.name))
        manifest = replace(manifest, metrics={**manifest.metrics, **distances})
    return write_bundle(path, manifest, arrays, files)


def _check_onnx(model: Model) -> dict[str, Metric]:
    """Run a bundle's ONNX on everything that reads it here.  Raises BuildError, BackendMissing."""
    present = [found for found in survey() if found.why_not is None and found.way.device == "cpu"]
    readers = [found for found in present if found.way.backend != "torch"]
    if not readers:
        raise BackendMissing("the ONNX of a bundle must be run before it is written: pip install openvino")
    manifest, metrics = model.bundle.manifest, {}
    read = any(agreement.reads(manifest.inputs, spec) for spec in manifest.outputs)
    unit = f"{agreement.READING} of a standard deviation" if read else "grey level"
    for found in readers:
        for precision in found.precisions:
            record = compare(model, found.way, precision)
            away = float(np.max([distance.rms for distance in record.distance.values()]))  # NaN is the largest
            if precision == "fp32" or not np.isfinite(away):
                agreement.check(record.distance, precision, str(found.way))
            on = f"{record.probes} made-up inputs, against PyTorch in float32"
            name = f"{'away_' if record.agrees else agreement.TOO_ROUGH}{found.way.backend}_{precision}"
            metrics[name] = Metric(round(away, 4), f"{unit}, rms", on)
    return metrics


def _first_present(device: str, backend: str | None) -> Way:
    possible = ways(device, backend)
    found = {present.way: present for present in survey()}
    usable = [way for way in possible if found[way].why_not is None]
    if not usable:
        raise BackendMissing("; ".join(str(found[way].why_not) for way in possible))
    return usable[0]


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
