"""Importing what may not be there: its absence is one sentence that says what to install.

And keeping quiet what would call home: no connection leaves the machine (DESIGN 11).
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from engines.errors import BackendMissing

_WHAT_FOR = {  # distribution or extra to install, and what is not possible without
    "torch": ("'myomirror[torch]'", "to run a network in PyTorch and to build one for other backends"),
    "onnx": ("'myomirror[build]'", "to build a network for other backends"),
    "onnxscript": ("'myomirror[build]'", "to build a network for other backends"),
    "openvino": ("openvino", "to run a network in OpenVINO"),
    "onnxruntime": ("'myomirror[onnxruntime]'", "to run a network in ONNX Runtime"),
    "tensorrt": ("'myomirror[gpu]'", "to build and run a compiled plan"),
}


def _silence_onnxruntime() -> None:
    """Since 1.29 its Linux builds write a device id and report every model to their makers.

    microsoft/onnxruntime pull request 27379.  Only this variable, set before the import, keeps it from starting; it may
    go when they ask first.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def _silence_openvino() -> None:
    """Its import starts a process that reports the import to an analytics service, unless openvino_telemetry is absent.

    openvino/tools/ovc/__init__.py, 2026.4.  Their code provides for its absence, so Python is told that it is absent;
    this may go when importing reports nothing.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


_SILENCED: dict[str, Callable[[], None]] = {"onnxruntime": _silence_onnxruntime, "openvino": _silence_openvino}


def import_library(name: str) -> Any:
    """The module of that name.  Raises BackendMissing when it is not installed or does not load."""
    what, purpose = _WHAT_FOR[name]
    if name in _SILENCED:
        _SILENCED[name]()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, but something that it needs is not
            raise BackendMissing(f"{name} is installed but lacks {error.name}: pip install {what}") from error
        raise BackendMissing(f"{name} is needed {purpose}: pip install {what}") from error
    except (ImportError, OSError) as error:
        cause = str(error).splitlines()[0]
        raise BackendMissing(
            f"{name} is installed but does not load ({cause}): reinstall it: pip install {what}"
        ) from error
