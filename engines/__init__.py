"""Arrays in, arrays out: what can run in the therapy room without knowing the time or a device.

    engine = engines.load(Path("restore-cpu"))
    clean = engine.run({"face": crop})["face"]

Importing this package imports no backend: `load` and `build` do, when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engines.building import BuildRecord
    from engines.spec import Engine

__all__ = ["build", "load"]


def load(
    bundle: Path | str,
    device: str = "auto",
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> Engine:
    """Open a bundle's network, warm.  See `engines.loading.load`."""
    from engines.loading import load as open_bundle

    return open_bundle(bundle, device, backend, precision, threads)


def build(
    bundle: Path | str, backend: str | None = None, precision: str | None = None, device: str = "auto"
) -> BuildRecord:
    """Make what a backend needs to run a bundle, compared with PyTorch.  See `engines.building.build`."""
    from engines.building import build as build_bundle

    return build_bundle(bundle, backend, precision, device)
