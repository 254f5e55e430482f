"""What processed.json says of its tables, and the key by which finished ones are known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibration.offline.order import Order
from calibration.offline.prepare import Prepared
from calibration.offline.tables import Table
from engines.bundle import MANIFEST
from engines.emg.jena import JENA_CHAIN_ID
from engines.emg.montage import FRIDLUND
from engines.shipped import bundle_folder
from rt import assets
from rt.graph import Graph
from rt.offline import Offline
from rt.recording.disk import hash_file
from rt.run_report import versions

FORMAT, VERSION = "myomirror-processed", 1
_TOLD = frozenset({"ALARM", "GAP", "FACE"})  # events that whoever reads the tables should know of


def about(prepared: Prepared, offline: Offline, rows: int, tables: Mapping[str, Table], key: str) -> dict[str, Any]:
    """What processed.json says.  offline: after its run.  rows: of every table.  The tables' hashes come later."""
    contexts = offline.contexts
    events = [event.text for context in contexts.values() for event in context.events if event.kind in _TOLD]
    if rows < prepared.recorded:
        events.append(f"{prepared.recorded - rows} of {prepared.recorded} recorded frames have no picture")
    frames, bundles = tables["frames"].columns, _bundles(prepared.graph)
    envelope = contexts["envelope"].facts if "envelope" in contexts else {}
    return {
        "format": FORMAT,
        "version": VERSION,
        "synthetic": prepared.synthetic,
        "recording": {**prepared.about, "sha256": {path.name: hash_file(path) for path in prepared.files}},
        "frames": {
            "recorded": prepared.recorded,
            "processed": rows,
            "with_face": int(frames["face"].sum()),
            "seconds": round(float(frames["t_s"][-1]), 6),
        },
        "emg": {
            "montage": FRIDLUND.name,
            "chain": envelope.get("chain") or _given_chain(prepared.graph),
            "preset": envelope.get("preset", ""),
            "group_delay_ms": envelope.get("group_delay_ms"),
            "calibration": contexts["measures"].facts.get("calibration", "") if "measures" in contexts else "",
        },
        "engines": {
            facts["role"]: {name: facts.get(name, "") for name in ("bundle", "backend", "precision")}
            | {"manifest_sha256": bundles.get(str(facts["role"]), "")}
            for facts in (context.facts for context in contexts.values())
            if "role" in facts
        },
        "stages": {
            node.name: {"kind": node.kind, "settings": dict(_own(node.settings))} for node in prepared.graph.nodes
        },
        "tables": {
            name: {"rows": rows, "columns": len(table.columns), "unit": table.unit, "sha256": {}}
            for name, table in tables.items()
        },
        "notes": [*prepared.notes, *dict.fromkeys(events)],
        "versions": _versions(),
        "key": key,
    }


def _given_chain(graph: Graph) -> str:
    return JENA_CHAIN_ID if "envelope" in graph.by_name else ""


def _own(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings without the places of this machine."""
    for name, value in settings.items():
        if name not in ("recording", "folder", "model"):
            yield name, Path(value).name if name == "bundle" and value else value


def _bundles(graph: Graph) -> dict[str, str]:
    """sha256 of the manifest, which holds those of all other files, by the node that runs the bundle."""
    found = {}
    for node in graph.nodes:
        manifest = bundle_folder(str(node.settings.get("bundle", ""))) / MANIFEST
        if "bundle" in node.settings and manifest.is_file():
            found[node.name] = hash_file(manifest)
    return found


def _versions() -> dict[str, str]:
    return {name: text for name, text in versions().items() if name != "machine"}


def key_of(prepared: Prepared, order: Order) -> str:
    """SHA-256 of everything that the tables depend on: settings, bundles, versions, and what was recorded."""
    graph = prepared.graph
    model = next((node.settings.get("model") for node in graph.nodes if node.name == "face"), None)
    landmarker = Path(model) if model else assets.find(assets.FACE_LANDMARKER)
    parts = {
        "version": VERSION,
        "nodes": {node.name: [node.kind, dict(_own(node.settings))] for node in graph.nodes},
        "edges": sorted(edge.name for edge in graph.edges),
        "bundles": _bundles(graph),
        "landmarker": hash_file(landmarker) if landmarker and landmarker.is_file() else "",
        "calibration": asdict(prepared.calibration) if prepared.calibration else None,
        "files": [[path.name, hash_file(path)] for path in prepared.files],
        "about": [prepared.about, prepared.synthetic, prepared.notes],
        "formats": order.formats,
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
