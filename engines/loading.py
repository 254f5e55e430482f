"""Which backend runs a bundle here, and how it is opened."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from engines import agreement
from engines.backends import onnxruntime_backend, openvino_backend, tensorrt_backend, torch_backend
from engines.backends.library import import_library
from engines.backends.plan_cache import PlanCache
from engines.cache import cache_folder
from engines.errors import BackendMissing, BadInput, BuildError
from engines.model import CPU_FORM, Form, Model
from engines.spec import Engine

_log = logging.getLogger(__name__)
DEVICES = ("cuda", "cpu")


@dataclass(frozen=True)
class Way:
    """A backend on a device."""

    backend: str
    device: str

    def __str__(self) -> str:
        return f"{self.backend} on {self.device}"


# The order of "auto": fastest first (DESIGN 7)
WAYS = (
    Way("tensorrt", "cuda"),
    Way("torch", "cuda"),
    Way("openvino", "cpu"),
    Way("onnxruntime", "cpu"),
    Way("torch", "cpu"),
)
BACKENDS = tuple(dict.fromkeys(way.backend for way in WAYS))


@dataclass(frozen=True)
class Present:
    """Whether a way can be gone on this machine."""

    way: Way
    version: str | None  # of the library; None when it is not installed
    precisions: tuple[str, ...]  # the default first
    why_not: str | None  # one sentence; None when it can


def load(
    bundle: Path | str | Model,
    device: str = "auto",
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> Engine:
    """Open a bundle's network, warm: its first `run` is as quick as all others.

    bundle: its folder, the name of a shipped one, or a model that has been read.  device: "auto", "cuda" or "cpu".
    backend: "tensorrt", "torch", "openvino" or "onnxruntime"; None takes the fastest that is there.  precision: "fp32",
    "bf16" or "fp16"; None takes the backend's fastest, float32 where that was found too rough for this network when the
    bundle was written.  threads: CPU cores to use; None takes all.
    Raises BadInput for a word that is none of these; BundleError for a bundle that is damaged, no network, or disagrees
    with itself; BackendMissing, saying what to install, when nothing can run it.
    """
    model = bundle if isinstance(bundle, Model) else Model.read(bundle)
    if threads is not None and threads < 1:
        raise BadInput(f"threads must be 1 or more, found {threads}")
    reasons = []
    for way in ways(device, backend):
        try:
            engine = open_engine(model, way, precision, threads)
        except (BackendMissing, BuildError) as error:
            if isinstance(error, BuildError):  # the library is there: that it cannot do this is news
                _log.warning("%s cannot run %s: %s", way, model.name, error)
            reasons.append(str(error))
            continue
        for arrays in agreement.probes(engine.inputs, 2):
            engine.run(arrays)
        _log.info("%s runs in %s, %s", model.name, way, engine.precision)
        return engine
    raise BackendMissing(
        reasons[0] if len(reasons) == 1 else f"nothing here can run {model.name}: {'; '.join(reasons)}"
    )


def ways(device: str = "auto", backend: str | None = None) -> Sequence[Way]:
    """What may be tried, fastest first.  Raises BadInput for an unknown word or a pair that does not exist."""
    if device not in ("auto", *DEVICES):
        raise BadInput(f"device must be auto, {' or '.join(DEVICES)}, found {device!r}")
    if backend is not None and backend not in BACKENDS:
        raise BadInput(f"backend must be one of {', '.join(BACKENDS)}, found {backend!r}")
    found = [way for way in WAYS if device in ("auto", way.device) and backend in (None, way.backend)]
    if not found:
        raise BadInput(f"{backend} does not run on {device}: choose another backend or device auto")
    return found


def open_engine(model: Model, way: Way, precision: str | None = None, threads: int | None = None) -> Engine:
    """Open a model in one way, whatever else there is.  Raises BackendMissing, BundleError, BuildError."""
    manifest = model.bundle.manifest
    inputs, outputs = manifest.inputs, manifest.outputs
    if precision is None and any(name.startswith(agreement.TOO_ROUGH + way.backend) for name in manifest.metrics):
        precision = "fp32"
    if way.backend == "openvino":
        onnx, cache = model.onnx(CPU_FORM), cache_folder("openvino")
        return openvino_backend.OpenVinoEngine(onnx, inputs, outputs, precision, threads, cache)
    if way.backend == "onnxruntime":
        return onnxruntime_backend.OnnxRuntimeEngine(model.onnx(CPU_FORM), inputs, outputs, precision, threads)
    if way.backend == "tensorrt":
        return _tensorrt(model, precision)
    why_not = torch_backend.missing(way.device)
    if why_not:  # before the network is built
        raise BackendMissing(why_not)
    return torch_backend.TorchEngine(model.network(), inputs, outputs, way.device, precision, threads)


def _tensorrt(model: Model, precision: str | None) -> Engine:
    known = tensorrt_backend.PRECISIONS
    if precision is not None and precision not in known:
        raise BackendMissing(f"TensorRT runs no {precision} here: use {' or '.join(known)}")
    why_not = tensorrt_backend.missing()
    if why_not:  # before the export, which takes seconds
        raise BackendMissing(why_not)
    manifest, plans = model.bundle.manifest, PlanCache(cache_folder("plans"))
    precision = precision or known[0]
    onnx = model.onnx(Form(precision, folded=False))
    return tensorrt_backend.TensorRtEngine(onnx, manifest.inputs, manifest.outputs, plans, precision)


def survey() -> list[Present]:
    """Every way, whether it can be gone here, and if not, why."""
    return [_present(way) for way in WAYS]


def _present(way: Way) -> Present:
    version, why_not = _version(way.backend), _why_not(way)
    if way.backend == "openvino":
        precisions = openvino_backend.native_precisions() if why_not is None else ()
    else:
        precisions = {
            "tensorrt": tensorrt_backend.PRECISIONS,
            "torch": torch_backend.PRECISIONS[way.device],
            "onnxruntime": ("fp32",),
        }[way.backend]
    return Present(way, version, precisions if why_not is None else (), why_not)


def _why_not(way: Way) -> str | None:
    if way.backend == "tensorrt":
        return tensorrt_backend.missing()
    if way.backend == "torch":
        return torch_backend.missing(way.device)
    try:
        import_library(way.backend)
    except BackendMissing as error:
        return str(error)
    return None


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
