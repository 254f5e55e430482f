"""The bundles that come with the package, by name."""

from pathlib import Path

from engines.bundle import MANIFEST

_FOLDER = Path(__file__).resolve().parent / "bundles"


def shipped_bundles() -> list[Path]:
    """All of them, by name."""
    return sorted(path.parent for path in _FOLDER.glob(f"*/{MANIFEST}"))


def bundle_folder(given: Path | str) -> Path:
    """The folder that somebody means: a path, or the bare name of a shipped bundle where no such path exists."""
    path = Path(given)
    shipped = _FOLDER / path.name
    if not path.exists() and path.parent == Path() and (shipped / MANIFEST).is_file():
        return shipped
    return path
