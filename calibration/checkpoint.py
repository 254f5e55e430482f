"""A training on disk: one safetensors file, tensors in its body, everything else as JSON in its header.

One file, so that it is replaced in one step: an interrupted write leaves the older checkpoint.  Nothing in it is
executable, and no pickle is ever read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.errors import BundleError
from rt.recording.disk import write_atomically

NAME = "checkpoint.safetensors"
_TENSOR, _ITEMS = "$tensor", "$items"  # in the JSON: a tensor's name; a dict whose keys are not all strings


@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to go on."""

    recipe: str
    identity: Mapping[str, Any]  # see calibration/recipe.py
    steps: int  # that were taken
    threads: int  # of PyTorch: sums are bit-equal only with as many
    states: Mapping[str, Any]  # of everything that the recipe keeps, by name


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write or replace it (0600) in one step.  Raises BadSettings, DataLost when the place cannot be written."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    states = _without_tensors(dict(checkpoint.states), "", tensors)
    about = {
        "recipe": checkpoint.recipe,
        "identity": dict(checkpoint.identity),
        "steps": checkpoint.steps,
        "threads": checkpoint.threads,
        "states": states,
    }
    write_atomically(path, save(tensors, {"myomirror": json.dumps(about)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read it, tensors on the CPU.  Raises BundleError, in one sentence, when it is missing, damaged or another's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["myomirror"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        return Checkpoint(**{**about, "states": _with_tensors(about["states"], tensors)})
    except FileNotFoundError:
        raise BundleError(f"there is no checkpoint {path}: train without --resume") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is no checkpoint, or damaged ({error}): train anew with --force") from error


def _without_tensors(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors go into `tensors` under the path that leads to them."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {_TENSOR: path}
    if isinstance(value, Mapping):
        inner = [(key, _without_tensors(item, f"{path}/{key}", tensors)) for key, item in value.items()]
        return dict(inner) if all(isinstance(key, str) for key in value) else {_ITEMS: inner}
    if isinstance(value, (list, tuple)):
        return [_without_tensors(item, f"{path}/{place}", tensors) for place, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{path} is a {type(value).__name__}: a state holds dicts, lists, tensors, numbers and strings")


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    items = value[_ITEMS] if _ITEMS in value else value.items()
    return {key: _with_tensors(item, tensors) for key, item in items}
