"""How long a network takes in every backend that is here, on the same input, in turns.

    python -m benchmarks.engine_latency [--device cpu|cuda] [--threads N] [--quick]

Needs what engines/ needs and no more (NumPy, PyTorch, safetensors), so that it runs on a bare machine with a GPU; other
backends are measured where they are installed.  Weights are initialised, not trained: time does not depend on them.
A picture goes in and comes out as bytes, so every conversion is part of the time.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import ROOT, Row, Target, alternate, conditions, show, warn_when_busy, write_results
from engines import agreement
from engines.assembly import bare_network
from engines.backends.library import import_library
from engines.backends.openvino_backend import OpenVinoEngine
from engines.backends.torch_backend import TorchEngine
from engines.bundle import Bundle, Manifest, Training
from engines.loading import Way, open_engine, survey
from engines.model import Form, Model
from engines.spec import ArraySpec, Engine
from engines.weights import pack

SEED = 7
LIVE_FPS = 30.0
_IN_A_ROW = 5  # calls of one way: the threads of the way before spin on for a millisecond, and caches are another's
_LIBRARIES = ("torch", "openvino", "onnx", "onnxscript", "onnxruntime", "tensorrt", "pycuda", "safetensors")


class Network(NamedTuple):
    """One size: pictures of side x side px."""

    name: str
    kind: str  # of engines/assembly.py
    ngf: int
    blocks: int
    side: int
    channels: int = 3

    def manifest(self) -> Manifest:
        """With initialised weights, said so."""
        side = (self.side, self.side)
        picture = ("height, width, colour", "uint8", (0.0, 255.0), "grey level", "BGR", (*side, 3))
        inputs = [ArraySpec(name, *picture) for name in ("face", "render")[: self.channels // 3]]
        outputs = [ArraySpec("face", *picture)]
        if self.kind != "resnet_generator":
            outputs.append(ArraySpec("edit", "height, width", "uint8", (0.0, 255.0), "1/255", None, side))
        sizes = {"ngf": self.ngf, "blocks": self.blocks, "in_channels": self.channels, "out_channels": 3}
        if self.kind == "coarse_to_fine_generator":
            sizes |= {"coarse_ngf": OURS_CPU.ngf, "coarse_blocks": OURS_CPU.blocks}
        training = Training("nothing: initialised only", 0, True, "CC0-1.0", SEED)
        return Manifest("benchmark", self.kind, sizes, tuple(inputs), tuple(outputs), training)

    def model(self) -> Model:
        """A bundle in memory."""
        from engines.networks.blocks import initialise

        network: Any = bare_network(self.manifest()).network
        initialise(network, SEED)
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        return Model(Bundle(self.manifest(), pack(weights, "float32")), self.name)


OURS_CPU = Network("restore-cpu: 32/3, 128 px, edit mask", "attentive_generator", 32, 3, 128)
OURS_GPU = Network("restore-gpu: 64/3 around 32/3, 256 px, edit mask", "coarse_to_fine_generator", 64, 3, 256)
PAPER = Network("MC-CycleGAN's: 64/3, 256 px", "resnet_generator", 64, 3, 256)
LARGE = Network("64/9, 256 px (DESIGN 12)", "resnet_generator", 64, 9, 256)
NETWORKS = (OURS_CPU, OURS_GPU, PAPER, LARGE)


@dataclass(frozen=True)
class Contender:
    """One way to run a network."""

    backend: str
    device: str
    precision: str
    folded: bool  # with the replacements of engines/networks/polyphase.py

    def open(self, model: Model, threads: int | None) -> Engine:
        """Raises BackendMissing."""
        specs = model.bundle.manifest.inputs, model.bundle.manifest.outputs
        if self.backend == "openvino":
            onnx = model.onnx(Form("fp32", self.folded))
            return OpenVinoEngine(onnx, *specs, self.precision, threads)
        return open_engine(model, Way(self.backend, self.device), self.precision, threads)


def contenders(device: str) -> list[Contender]:
    """Everything that is here for "cpu" or "cuda"; PyTorch, the peer of all, is last."""
    found = [present for present in survey() if present.way.device == device and present.why_not is None]
    all_of = [
        Contender(present.way.backend, device, precision, folded)
        for present in found
        for precision in present.precisions
        for folded in _folds(present.way)
    ]
    return sorted(all_of, key=lambda one: (one.backend == "torch", one.precision == "fp32" and not one.folded))


def _folds(way: Way) -> tuple[bool, ...]:
    return {"openvino": (True, False), "onnxruntime": (True,)}.get(way.backend, (False,))


def multiplications(model: Model) -> float:
    """Multiply-accumulates of one pass through the plain network's convolutions, in 10^9."""
    torch = import_library("torch")
    total = 0

    def count(module: Any, _given: Any, found: Any) -> None:
        nonlocal total
        total += found.numel() * module.weight[0].numel()

    network = model.network()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(*(torch.from_numpy(array) for array in agreement.probes(model.bundle.manifest.inputs, 1)[0].values()))
    return total / 1e9


def matrix_peaks(device: str, precisions: Sequence[str], seconds: float = 2.0) -> dict[str, float]:
    """The most that a square matrix product reaches here, 10^9 multiply-accumulates a second, by precision."""
    torch = import_library("torch")
    side = 2048 if device == "cpu" else 8192
    peaks = {}
    for precision in dict.fromkeys(precisions):
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end or best == float("inf"):
            begin = time.perf_counter()
            torch.mm(left, right)
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - begin)
        peaks[precision] = side**3 / best / 1e9
    return peaks


def measure(
    network: Network, device: str, threads: int | None, peaks: dict[str, float], seconds: float = 30.0
) -> list[Row]:
    """Rows of one network: every contender, timed in turns for about `seconds`."""
    model = network.model()
    giga = multiplications(model)
    ways = contenders(device)
    reference = TorchEngine(model.network(), model.bundle.manifest.inputs, model.bundle.manifest.outputs)
    given = agreement.probes(model.bundle.manifest.inputs, 1)
    works, away = {}, {}
    for way in ways:
        engine = way.open(model, threads)
        away[way] = max(distance.rms for distance in agreement.measure(engine, reference, given).values())
        works[way] = _bound(engine, given[0])
    one_turn = sum(_seconds(work) for work in works.values())
    in_a_row = _IN_A_ROW if one_turn < seconds / 100 else 2
    repeats = int(np.clip(seconds / one_turn / in_a_row, 3, 100))
    named = {str(i): work for i, work in enumerate(works.values())}
    spreads = alternate(named, repeats, 1, in_a_row)
    rows: list[Row] = [
        {
            "network": network.name,
            "backend": way.backend,
            "precision": way.precision,
            "folded": "yes" if way.folded else "no",
            "median_ms": spread.median / 1e3,
            "p99_ms": spread.p99 / 1e3,
            "n": spread.n,
            "gmac": giga,
            "gmac_per_s": giga / spread.median * 1e6,
            "of_peak": giga / spread.median * 1e6 / peaks[way.precision],
            "away_from_torch": away[way],
        }
        for way, spread in zip(ways, spreads.values(), strict=True)
    ]
    peer = min(row["median_ms"] for row in rows if row["backend"] == "torch")
    return [{**row, "of_torch": row["median_ms"] / peer} for row in rows]


def _bound(engine: Engine, given: Any) -> Callable[[], object]:
    return lambda: engine.run(given)


def _seconds(work: Callable[[], object]) -> float:
    work()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def footprint(network: Network, way: Contender, threads: int | None, seconds: float = 2.0) -> Row:
    """What a fresh process needs to run one contender: memory, and processor time per picture at 30 pictures a second.

    A network that is slower than that is shown as many as it manages in that time, and two at least.

    Call it in a process of its own.
    """
    model = network.model()
    before = _device_bytes(way.device)
    engine = way.open(model, threads)
    work = _bound(engine, agreement.probes(engine.inputs, 1)[0])
    _for_a_while(work, seconds / 4)
    found: Row = {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if way.device == "cuda":
        return {**found, "device_mb": (_device_bytes("cuda") - before) / 2**20}
    busy = time.process_time()
    pictures = _for_a_while(work, seconds, 1 / LIVE_FPS)
    return {**found, "cpu_ms_live": (time.process_time() - busy) / pictures * 1e3}


def _for_a_while(work: Callable[[], object], seconds: float, apart_s: float = 0.0) -> int:
    """Calls work, one call every apart_s where it is quick enough.  Returns how often: twice or more."""
    begin, done = time.perf_counter(), 0
    while done < 2 or time.perf_counter() < begin + seconds:
        work()
        done += 1
        time.sleep(max(0.0, begin + done * apart_s - time.perf_counter()))
    return done


def _device_bytes(device: str) -> int:
    if device == "cpu":
        return 0
    free, total = import_library("torch").cuda.mem_get_info()
    return int(total - free)


def footprint_apart(network: Network, way: Contender, threads: int | None) -> Row:
    """`footprint` in a process that has done nothing else."""
    asked = json.dumps([list(network), [way.backend, way.device, way.precision, way.folded], threads])
    command = [sys.executable, "-m", "benchmarks.engine_latency", "--footprint", asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def targets(rows: Sequence[Row], device: str) -> list[Target]:
    """DESIGN 12's lines for this device; the networks that they are about must have been measured."""
    if device == "cuda":
        quickest = min(row["p99_ms"] for row in rows if row["network"] == LARGE.name and row["precision"] == "fp16")
        return [Target("generator on the GPU, 256 px, ngf 64, 9 blocks, fp16: p99", quickest, 5.0, "ms")]
    of_openvino = [row for row in rows if row["backend"] == "openvino" and row["folded"] == "yes"]
    if not of_openvino:
        return []
    return [
        Target(f"generator on the CPU, {name}: OpenVINO's time / PyTorch's", _quickest(of_openvino, name), 0.5, "x")
        for name in dict.fromkeys(row["network"] for row in of_openvino)
    ]


def _quickest(rows: Sequence[Row], name: str) -> float:
    return min(float(row["of_torch"]) for row in rows if row["network"] == name)


def _surroundings(device: str) -> dict[str, Any]:
    under = conditions()
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            under["versions"][name] = metadata.version(name)
    if device == "cuda":
        torch = import_library("torch")
        under["machine"]["gpu"] = torch.cuda.get_device_name()
        under["versions"]["cuda"] = torch.version.cuda
    return under


def main() -> None:
    """Measure, print, write results/engine_latency.json or engine_latency_cuda.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="CPU cores to use; all by default")
    parser.add_argument("--quick", action="store_true", help="our CPU network only, briefly; nothing is written")
    parser.add_argument("--footprint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with _cache_of_our_own():
        if options.footprint:
            network, way, threads = json.loads(options.footprint)
            print(json.dumps(footprint(Network(*network), Contender(*way), threads)))
        else:
            _measure_all(options.device, options.threads or len(os.sched_getaffinity(0)), options.quick)


def _measure_all(device: str, threads: int, quick: bool) -> None:
    under = _surroundings(device)
    import_library("torch").set_num_threads(threads)
    peaks = matrix_peaks(device, [way.precision for way in contenders(device)])
    rows = []
    for network in (OURS_CPU,) if quick else NETWORKS:
        found = measure(network, device, threads, peaks, 5.0 if quick else 15.0)
        if not quick:
            found = [
                {**row, **footprint_apart(network, way, threads)}
                for row, way in zip(found, contenders(device), strict=True)
            ]
        rows += found
        print(f"{network.name}: done", file=sys.stderr)
    notes = [
        f"Initialised weights (seed {SEED}); {threads} threads; bytes in, bytes out; the ways took turns.",
        "of_torch: the time over that of PyTorch's quickest precision with the plain network, in the same run.",
        "Matrix product's peak: " + ", ".join(f"{peak:.0f} GMAC/s in {word}" for word, peak in peaks.items()) + ".",
        "gmac counts the plain network's convolutions, also where a folded one multiplies less.",
        "away_from_torch: rms over the output, grey levels, against PyTorch in float32 on the CPU.",
        *warn_when_busy(under),
    ]
    aims = [] if quick and device == "cuda" else targets(rows, device)
    show(f"Engines on {device}", rows, aims, notes)
    if not quick:
        write_results("engine_latency" if device == "cpu" else "engine_latency_cuda", rows, aims, notes, under)


@contextlib.contextmanager
def _cache_of_our_own() -> Iterator[None]:
    """Exported networks and compiled plans of a benchmark are of no use to anybody afterwards."""
    if os.environ.get("MYOMIRROR_BENCHMARK_CACHE"):  # a process of ours for one contender: its parent's
        os.environ["XDG_CACHE_HOME"] = os.environ["MYOMIRROR_BENCHMARK_CACHE"]
        yield
        return
    with tempfile.TemporaryDirectory(prefix="myomirror-benchmark-") as folder:
        os.environ["XDG_CACHE_HOME"] = os.environ["MYOMIRROR_BENCHMARK_CACHE"] = folder
        yield


if __name__ == "__main__":
    main()
