"""A row of trainings that differ in one thing, and their table: what the paper calls an ablation."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calibration.train_order import Kind, Order, order_for, settings_for, work_folder
from engines.agreement import TOO_ROUGH
from engines.bundle import MANIFEST, Bundle, Metric, read_bundle
from engines.weights import unpack
from rt.errors import BadSettings
from rt.recording.disk import write_atomically

TABLE = "table"  # .md for people, .json for programs
_DONE = "done"  # in a training's folder: it ran to its end


@dataclass(frozen=True)
class Item:
    """One of the row."""

    label: str
    order: Order
    settings: Any
    done: bool

    def finish(self) -> None:
        """Note that it need not be trained again."""
        write_atomically(work_folder(self.order.out) / _DONE, b"")


def row_of(kind: Kind, ablation: str, order: Order, changes: dict[str, Any], force: bool) -> list[Item]:
    """All trainings of an ablation, each with a bundle in the folder order.out.

    changes: settings that all of them share.
    With --resume, what is finished stays, what was begun goes on, and the rest begins.
    Raises BadSettings for an unknown ablation, naming the nearest, and for bundles that are there already.
    """
    if ablation not in kind.ablations:
        if not kind.ablations:
            raise BadSettings("this recipe has no ablations")
        near = difflib.get_close_matches(ablation, kind.ablations, 1, cutoff=0.0)[0]
        raise BadSettings(f"this recipe has no ablation {ablation!r}; the nearest one is {near!r}")
    row = []
    for label, own in kind.ablations[ablation].items():
        both = sorted(set(own) & set(changes))
        if both:
            raise BadSettings(f"the ablation {ablation!r} sets {both[0]} itself: leave it out")
        settings = settings_for(kind, order.start_from, {**changes, **own})
        item = replace(order, out=order.out / label)
        begun = work_folder(item.out).exists()
        done = order.run.resume and (work_folder(item.out) / _DONE).exists() and (item.out / MANIFEST).is_file()
        item = replace(item, run=replace(item.run, resume=order.run.resume and begun))
        row.append(Item(label, order_for(item, force or order.run.resume), settings, done))
    return row


def write_table(folder: Path, row: Sequence[Item]) -> Path:
    """Write what the bundles say about themselves, one line each.  Returns the Markdown file.  Raises BundleError."""
    bundles = {item.label: read_bundle(item.order.out) for item in row}
    documents = {label: _numbers(bundle) for label, bundle in bundles.items()}
    columns = list(dict.fromkeys(name for numbers in documents.values() for name in numbers))
    lines = ["| | " + " | ".join(columns) + " |", "|---" + "|--:" * len(columns) + "|"]
    for label, numbers in documents.items():
        lines.append(f"| {label} | " + " | ".join(_cell(numbers.get(name)) for name in columns) + " |")
    on = sorted({metric.on for bundle in bundles.values() for name, metric in _measured(bundle)})
    text = "\n".join([*lines, "", *on]) + "\n"
    write_atomically(folder / f"{TABLE}.json", (json.dumps(documents, indent=1) + "\n").encode())
    write_atomically(folder / f"{TABLE}.md", text.encode())
    return folder / f"{TABLE}.md"


def _measured(bundle: Bundle) -> list[tuple[str, Metric]]:
    """The metrics that say how good a network is; not how far backends are from one another."""
    apart = ("away_", TOO_ROUGH)
    return [(name, metric) for name, metric in bundle.manifest.metrics.items() if not name.startswith(apart)]


def _numbers(bundle: Bundle) -> dict[str, float]:
    parameters = sum(array.size for array in unpack(bundle.arrays).values())
    return {"parameters (million)": round(parameters / 1e6, 2)} | {
        f"{name} ({metric.unit})": metric.value for name, metric in _measured(bundle)
    }


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
