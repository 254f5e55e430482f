"""`myomirror engines`: what can run networks here, and whether it computes what it should."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from engines.building import BuildRecord
    from engines.loading import Present

engines_app = typer.Typer(no_args_is_help=True, help="What runs the networks, and whether it computes what it should.")

BundleFolder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or the name of a shipped one.", show_default=False)
]


@engines_app.command("list")
def list_engines(
    bundle: Annotated[Path | None, typer.Argument(metavar="[BUNDLE]", help="Only this bundle.")] = None,
) -> None:
    """What can run networks on this machine, fastest first, and the networks that are shipped, or one bundle."""
    from engines.loading import survey
    from engines.shipped import bundle_folder, shipped_bundles

    folders = shipped_bundles() if bundle is None else [bundle_folder(bundle)]
    _print(backend_table(survey()), bundle_table(folders))


@engines_app.command("build")
def build_engine(
    bundle: BundleFolder,
    backend: Annotated[str | None, typer.Option(help="tensorrt, torch, openvino or onnxruntime.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; the backend's fastest by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
) -> None:
    """Make what a backend needs, and compare its result with PyTorch's: sessions then start at once."""
    import engines

    with _status(f"Building {bundle.name} ..."):
        record = engines.build(bundle, backend, precision, device)
    _print(record_table([record]))


@engines_app.command("verify")
def verify_engine(bundle: BundleFolder) -> None:
    """Run a bundle on everything that is here, in every precision, and compare the results with PyTorch's."""
    from engines.agreement import TOO_ROUGH
    from engines.building import verify
    from engines.bundle import read_bundle
    from engines.errors import BuildError

    with _status(f"Verifying {bundle.name} ..."):
        records = verify(bundle)
    _print(record_table(records))
    rough = [name for name in read_bundle(bundle).manifest.metrics if name.startswith(TOO_ROUGH)]
    known = {name.rpartition("_")[2] for name in rough}  # precisions that are not taken unless they are asked for
    wrong = [
        f"{r.backend} on {r.device} in {r.precision}" for r in records if not r.agrees and r.precision not in known
    ]
    if wrong:
        raise BuildError(f"{bundle.name} is not computed as PyTorch does by {', '.join(wrong)}: do not use it there")


def backend_table(found: list[Present]) -> Table:
    """One line per backend and device."""
    table = _table("backend", "device", "version", "precisions", "")
    chosen = next((present.way for present in found if present.why_not is None), None)
    for present in found:
        note = present.why_not or ("what a session takes" if present.way == chosen else "")
        way = present.way
        _row(table, way.backend, way.device, present.version or "-", ", ".join(present.precisions), note)
    return table


def bundle_table(folders: list[Path]) -> Table:
    """One line per bundle that holds a network.  Raises BundleError when one is damaged."""
    from engines.assembly import is_network
    from engines.bundle import ONNX, read_bundle

    table = _table("bundle", "system", "network", "picture", "size", "without PyTorch")
    for folder in folders:
        manifest = read_bundle(folder).manifest
        if is_network(manifest):
            picture = " x ".join(map(str, (manifest.inputs[0].shape or ())[:2])) if manifest.inputs else "-"
            size = sum((folder / name).stat().st_size for name in manifest.sha256)
            runs_alone = "yes" if ONNX in manifest.sha256 else "no"
            row = (folder.name, manifest.system, manifest.network, picture, f"{size / 1e6:.1f} MB", runs_alone)
            _row(table, *row)
    return table


def record_table(records: list[BuildRecord]) -> Table:
    """One line per backend, precision and output: distances in grey levels."""
    table = _table("backend", "device", "precision", "output", "away from PyTorch (rms, largest)", "allowed", "")
    for record in records:
        allowed = f"{record.allowed.rms:g}, {record.allowed.largest:g}"
        for name, distance in record.distance.items():
            away = f"{distance.rms:.3f}, {distance.largest:.1f}"
            verdict = "agrees" if record.agrees else "DIFFERS"
            _row(table, record.backend, record.device, record.precision, name, away, allowed, verdict)
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*map(Text, cells))  # as plain text: Rich takes the brackets of 'myomirror[gpu]' for its own


def _print(*tables: Table) -> None:
    from rich.console import Console

    console = Console()
    for i, table in enumerate(tables):
        if i and table.row_count:
            console.print()
        if table.row_count:
            console.print(table, highlight=False)


def _status(text: str) -> Any:
    from rich.console import Console

    return Console().status(text)
