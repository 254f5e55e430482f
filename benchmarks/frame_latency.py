"""How late is the whole graph? `python -m benchmarks.frame_latency [--seconds N] [--flash STATION.yaml]`

Runs of the real command, each with electrodes removed by `--restore BUNDLE`, all processes on this machine:

- `encoded`: the demo, headless: a synthetic person and muscles, electrodes removed, `demo_estimates`; ends when the
  packet is encoded.
- `drawn`: the same with a real headless Chromium as viewer (it draws without a GPU on the same cores); ends when the
  browser acknowledges that the picture is on its canvas.
- `drawn, without estimates`: neither muscles from the picture nor a face from the muscles; and `practising`: with the
  movement to practise painted on that face.
- `drawn, everything`: `drawn` with both 3D faces and the muscle map on the page.
- `clip + LSL`: the webcam clip as a live camera and `myomirror simulate emg` in another process over real LSL.

`--flash` measures photon to photon with a webcam and a screen instead (see benchmarks/flash.py).
"""

import argparse
import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil
import yaml

from benchmarks import chromium
from benchmarks.measure import Row, Target, conditions, show, warn_when_busy, write_results
from rt.graphs.demo import RESTORE, demo_estimates

_MYOMIRROR = [sys.executable, "-c", "from rt.cli import main; main()"]
Switch = tuple[Literal["button", "switch"], str]  # on the page: role and name

_STAGES_AT_LEAST_MS = 0.05
_EVERYTHING: tuple[Switch, ...] = (("button", "3D face"), ("switch", "Muscle map"))  # what a viewer turns on


def _station(name: str, folder: Path, camera: dict[str, object], emg: dict[str, object], **sections: object) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"camera": camera, "emg": emg, **sections}))
    return path


def run(
    station: Path, seconds: float, drawn: bool, folder: Path, switches: Sequence[Switch] = ()
) -> tuple[dict, float]:
    """One session as a child process. Returns its report and the CPU that all its processes used, in cores.

    switches: what the viewer turns on.
    """
    report = folder / "report.json"
    options = ["--seconds", str(seconds), "--report", str(report), "--no-browser", *([] if drawn else ["--headless"])]
    viewer = _Viewer(switches) if drawn else None
    with subprocess.Popen([*_MYOMIRROR, "live", str(station), *options], stdout=subprocess.PIPE, text=True) as child:
        meter = _CpuMeter(child.pid)
        assert child.stdout is not None
        for line in child.stdout:
            if viewer and (found := re.search(r"http://\S+", line)):
                viewer.look_at(found.group())
        cores = meter.stop()
    if child.returncode:
        raise RuntimeError(f"the session ended with exit code {child.returncode}")
    if viewer and (problem := viewer.leave()):
        raise RuntimeError(f"nobody looked at the page: {problem}")
    return json.loads(report.read_text()), cores


class _CpuMeter:
    """CPU seconds of a process and its children per second of life, sampled while they live."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._used: dict[int, float] = {}
        self._t_begin: float | None = None
        self._base: dict[int, float] = {}
        self._going = True
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        t_start = time.monotonic()
        while self._going:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in [self._root, *self._root.children(recursive=True)]:
                    times = process.cpu_times()
                    self._used[process.pid] = times.user + times.system
            if self._t_begin is None and time.monotonic() - t_start > 6.0:  # opening and compiling are not running
                self._t_begin, self._base = time.monotonic(), dict(self._used)
            self._t_end = time.monotonic()
            time.sleep(0.25)

    def stop(self) -> float:
        """Mean number of cores used, the first six seconds left out."""
        self._going = False
        self._thread.join()
        if self._t_begin is None or self._t_end <= self._t_begin:
            return float("nan")
        used = sum(value - self._base.get(pid, 0.0) for pid, value in self._used.items())
        return used / (self._t_end - self._t_begin)


class _Viewer:
    """A real browser with a page, up before the session (starting a browser is not the session's latency)."""

    def __init__(self, switches: Sequence[Switch]) -> None:
        self._switches = switches
        self._urls: queue.Queue[str] = queue.Queue()
        self._ready, self._over = threading.Event(), threading.Event()
        self._problem = "its browser did not answer any more"  # until it has left
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        if not self._ready.wait(60.0):
            raise RuntimeError("Chromium did not start within a minute")

    def look_at(self, url: str) -> None:
        """Open this address and stay until `leave`."""
        self._urls.put(url)

    def leave(self) -> str:
        """The session is over: close the browser.  Returns why it did not look to the end, or nothing."""
        self._over.set()
        self._urls.put("about:blank")  # where no address was ever told
        self._thread.join(60.0)
        return self._problem

    def _live(self) -> None:
        from playwright.sync_api import Error

        with chromium.launched() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            self._ready.set()
            try:
                page.goto(self._urls.get())
                page.get_by_role("button", name="Show the mirror").click()
                for role, label in self._switches:
                    page.get_by_role(role, name=label).click()
                while not self._over.is_set():
                    page.wait_for_timeout(100)  # and not Event.wait: the browser is served by this thread
                self._problem = ""
            except Error as error:
                self._problem = str(error).partition("\n")[0]


@contextlib.contextmanager
def _amplifier(session: str) -> Iterator[None]:
    """`myomirror simulate emg` in a process of its own."""
    with subprocess.Popen([*_MYOMIRROR, "simulate", "emg"], stdout=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            child.terminate()


def rows_of(name: str, report: dict, cores: float) -> list[Row]:
    """The headline and one row per step."""
    frames, latency = report["frames"], report["latency_ms"]
    head = {
        "run": name,
        "what": "whole graph",
        "fps_shown": report["fps"]["shown"],
        "captured": frames["captured"],
        "shown": frames["shown"],
        "dropped": ", ".join(f"{n} {reason}" for reason, n in frames["dropped"].items()) or "0",
        "ledger": "closed" if frames["closed"] else "open",
        "cores": round(cores, 2),
        "end": latency["end"],
    }
    rows: list[Row] = [head]
    for metric in ("photon_to_pixel", "muscle_to_pixel"):
        rows.append({"run": name, "what": metric.replace("_", "-"), **latency[metric]})
    for stage, numbers in latency["stages"].items():
        if numbers["p50"] is not None and numbers["p95"] >= _STAGES_AT_LEAST_MS:
            rows.append({"run": name, "what": stage, **numbers})
    return rows


def measure(seconds: float, restore: str = RESTORE) -> tuple[list[Row], list[Target], list[str]]:
    """All runs that this machine can do."""
    rows, targets, notes = [], [], []
    os.environ.setdefault("MYOMIRROR_LSL_SESSION", f"benchmark-{os.getpid()}")
    synthetic = ({"kind": "synthetic"}, {"kind": "synthetic"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        removal = {"restore": False if restore == "off" else {"bundle": restore}}
        whole = _station("demo", folder, *synthetic, **demo_estimates(), **removal)
        plans: list[tuple[str, Path, bool, Sequence[Switch]]] = [("encoded", whole, False, ())]
        if chromium.executable():
            plain = _station("plain", folder, *synthetic, **removal)
            practising = _station("practising", folder, *synthetic, practise={"view": "practise"}, **removal)
            plans.append(("drawn", whole, True, ()))
            plans.append(("drawn, without estimates", plain, True, ()))
            plans.append(("drawn, without estimates, practising", practising, True, ()))
            plans.append(("drawn, everything", whole, True, _EVERYTHING))
        else:
            notes.append("No Chromium here: 'drawn' was not measured.")
        for run_name, station, drawn, switches in plans:
            report, cores = run(station, seconds, drawn, folder, switches)
            rows += rows_of(run_name, report, cores)
            targets += _targets(run_name, report)
        clip = Path(os.environ.get("MYOMIRROR_DATA", "")) / "video" / "neutral_smile_neutral.mp4"
        if clip.is_file():
            camera = {"kind": "file", "path": str(clip), "width": 640, "height": 480}
            with _amplifier(os.environ["MYOMIRROR_LSL_SESSION"]):
                station = _station("clip", folder, camera, {"kind": "lsl"}, **removal)
                report, cores = run(station, seconds, False, folder)
            rows += rows_of("clip + LSL, encoded", report, cores)
            targets += _targets("clip + LSL, encoded", report)
        else:
            notes.append("No webcam clip ($MYOMIRROR_DATA): 'clip + LSL' was not measured.")
    if not os.environ.get("MYOMIRROR_ASSETS"):
        notes.append("No face model: landmarks were not computed.")
    notes.append("Electrodes were not removed." if restore == "off" else f"Electrodes were removed by {restore}.")
    return rows, targets, notes


def _targets(name: str, report: dict) -> list[Target]:
    latency = report["latency_ms"]
    frames = report["frames"]
    unexplained = frames["captured"] - frames["shown"] - sum(frames["dropped"].values())
    delay = report["emg"].get("delay_ms", 0.0)
    return [
        Target(f"{name}: shown", report["fps"]["shown"], 29.5, "fps", at_most=False),
        Target(f"{name}: photon-to-pixel p95", latency["photon_to_pixel"]["p95"] or float("nan"), 100, "ms"),
        Target(
            f"{name}: muscle-to-pixel p95 without the envelope's {delay:.0f} ms",
            (latency["muscle_to_pixel"]["p95"] or float("nan")) - delay,
            60,
            "ms",
        ),
        Target(f"{name}: unexplained drops", unexplained, 0, "frames"),
    ]


def flash(station: Path, seconds: float) -> None:
    """Photon to photon on a real camera and screen."""
    from rt.graph import LATEST, EdgeSpec, NodeSpec
    from rt.graphs.therapy import therapy_graph
    from rt.live import free_port, new_token
    from rt.session import Session
    from rt.station import read_station

    settings = read_station(station)
    port, token = free_port(settings.page.host), new_token()
    graph = therapy_graph(settings, False, token, port)
    meter = NodeSpec("flash", "benchmarks.flash:FlashMeter", "flash")
    edge = EdgeSpec("camera.frame", "flash.frame", LATEST)
    graph = replace(graph, nodes=(*graph.nodes, meter), edges=(*graph.edges, edge))
    print(f"Open http://{settings.page.host}:{port}/?token={token}, then let the camera see the page and the flashes.")
    with Session(graph) as session:
        outcome = session.run(seconds)
    facts = outcome.facts.get("flash", {})
    if "photon_to_photon_ms" not in facts:
        sys.exit(facts.get("flash_problem", "nothing was measured"))
    row = {"what": "photon to photon", "ms": facts["photon_to_photon_ms"], "flips": facts["flips"]}
    show("frame latency, photon to photon", [row])
    write_results("photon_to_photon", [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each run")
    parser.add_argument("--quick", action="store_true", help="12 s each, nothing written")
    parser.add_argument("--restore", default=RESTORE, help="the bundle that removes electrodes; off = none")
    parser.add_argument("--flash", type=Path, help="a station file with a real camera: measure photon to photon")
    options = parser.parse_args()
    if options.flash:
        flash(options.flash, options.seconds)
        return
    under = conditions()
    rows, targets, notes = measure(12.0 if options.quick else options.seconds, options.restore)
    notes += warn_when_busy(under)
    show("frame latency", rows, targets, notes)
    if not options.quick:
        write_results("frame_latency", rows, targets, notes, under)


if __name__ == "__main__":
    main()
