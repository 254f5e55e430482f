"""Whether a headless demo's report says what it must: the ledger closes and both latencies were measured."""

import json
import sys
from pathlib import Path


def problems(report: dict) -> list[str]:
    frames, latency = report["frames"], report["latency_ms"]
    found = []
    if not frames["closed"]:
        found.append(f"the ledger does not close: {frames}")
    if frames["captured"] != frames["shown"] + sum(frames["dropped"].values()):
        found.append(f"captured is not shown + dropped: {frames}")
    if frames["shown"] < 100:
        found.append(f"only {frames['shown']} frames were shown in 10 s")
    for name in ("photon_to_pixel", "muscle_to_pixel"):
        if not (latency[name]["p95"] or 0) > 0:
            found.append(f"{name} was not measured: {latency[name]}")
    if latency["end"] != "encoded":
        found.append(f"a headless run ends at 'encoded', not {latency['end']!r}")
    if report["emg"]["channels"] != 22 or report["emg"]["samples"] < 20_000:
        found.append(f"EMG is not 22 channels for ten seconds: {report['emg']}")
    if report["restarts"]:
        found.append(f"something was restarted: {report['restarts']}")
    return found


if __name__ == "__main__":
    wrong = problems(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write("\n".join(wrong or ["report: ledger closed, both latencies measured"]) + "\n")
    sys.exit(bool(wrong))
