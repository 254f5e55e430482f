"""Whose are the import packages `rt`, `engines` and `calibration`? Another distribution installs an `rt` too."""

from importlib import metadata

from rt.errors import BadSettings

_OURS = "myomirror"
_PACKAGES = ("rt", "engines", "calibration")


def refuse_second_owner() -> None:
    """Raise BadSettings when another installed distribution claims one of our import packages."""
    owners = metadata.packages_distributions()
    for package in _PACKAGES:
        others = sorted({name for name in owners.get(package, []) if name.lower() != _OURS})
        if others:
            raise BadSettings(
                f"the installed distribution {others[0]!r} also provides the import package {package!r}, "
                f"so it is unclear whose code would run: pip uninstall {others[0]}"
            )
