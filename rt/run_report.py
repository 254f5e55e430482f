"""What a session was like, as the JSON that `--report` writes (a stable contract: other programs read it) and as a
table for people."""

import json
import math
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rt.board import Percentiles
from rt.recording.disk import write_atomically
from rt.session import Outcome

_VERSIONS = ("myomirror", "numpy", "numba", "opencv-contrib-python", "mediapipe", "openvino", "pylsl", "pyzmq", "av")


def build_report(outcome: Outcome, end: str) -> dict[str, Any]:
    """The report as plain values. end: 'drawn' (a browser acknowledged) or 'encoded' (headless)."""
    emg = outcome.facts.get("emg", {})
    samples, gaps = outcome.signals.get("emg", (0, 0))
    return {
        "frames": outcome.ledger.as_json(),
        "fps": {"shown": round(outcome.fps_shown, 2)},
        "latency_ms": {
            **{name: _latency(p) for name, p in outcome.latency_ms.items()},
            "end": end,
            "stages": {name: _latency(p) for name, p in outcome.stages_ms.items() if p.n},
        },
        "emg": {
            "channels": emg.get("channels", 0),
            "rate_hz": emg.get("rate_hz", 0.0),
            "samples": samples,
            "gaps": gaps,
            "delay_ms": outcome.facts.get("envelope", {}).get("group_delay_ms", 0.0),
        },
        "restarts": outcome.restarts,
        "engines": {
            facts["role"]: {k: facts.get(k, "") for k in ("backend", "bundle", "precision")}
            for facts in outcome.facts.values()
            if "role" in facts
        },
        "versions": versions(),
        "duration_s": round(outcome.duration_s, 2),
        "stop_s": round(outcome.stop_s, 2),
        "lost": lost_data(outcome),
        "alarms": [event.text for event in outcome.events if event.kind == "ALARM"],
    }


def lost_data(outcome: Outcome) -> list[str]:
    """Sentences about data that were taken in and should have been kept, but are gone (exit code 4)."""
    return [event.text for event in outcome.events if event.data.get("data_lost")]


def versions() -> dict[str, str]:
    """Of what does the measuring: Python, the machine's processor, and the libraries on the way."""
    found = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write it 0600, whole or not at all. Raises BadSettings or DataLost with one sentence."""
    write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())


def print_summary(report: dict[str, Any], console: Console) -> None:
    """The same for people: one line on the frames, one table of latencies."""
    frames = report["frames"]
    reasons = ", ".join(f"{n} {reason}" for reason, n in frames["dropped"].items()) or "none"
    balance = "closed" if frames["closed"] else "DOES NOT CLOSE"
    line = f"{frames['captured']} captured = {frames['shown']} shown + dropped ({reasons}); ledger {balance}"
    table = Table("latency, ms", "p50", "p95", "p99", "max", box=None, pad_edge=False)
    for name in ("photon_to_pixel", "muscle_to_pixel"):
        row = report["latency_ms"][name]
        label = f"{name.replace('_', '-')} ({report['latency_ms']['end']})"
        table.add_row(label, *("-" if row[k] is None else f"{row[k]:.1f}" for k in ("p50", "p95", "p99", "max")))
    texts: list[RenderableType] = [Text(line), Text(f"{report['fps']['shown']:.1f} frames per second shown"), table]
    texts += [Text(f"lost: {sentence}", style="bold red") for sentence in report["lost"]]
    console.print(Group(*texts), soft_wrap=True)


def _latency(p: Percentiles) -> dict[str, float | None]:
    return {k: None if math.isnan(v) else round(v, 3) for k, v in zip(("p50", "p95", "p99", "max"), p[:4], strict=True)}
