"""What every evaluation is asked, and which one a bundle gets: by the system that its manifest names.

An evaluation is a function (Request, Console) -> report: it prints its tables and returns what goes into the JSON file.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from calibration.cohort_plan import FOLDS
from calibration.data.motion_set import ABOUT as MOTION
from engines.bundle import read_bundle
from engines.errors import BadInput
from engines.shipped import bundle_folder

Evaluation = Callable[["Request", Console], dict[str, Any]]

EVALUATIONS = {
    "mc_cyclegan": "calibration.restoration_evaluation:evaluate",
    "eifer": "calibration.encoder_evaluation:evaluate",
    "eifer_emg": "calibration.emg_evaluation:evaluate",
    "cascade_ef_gan": "calibration.editing_evaluation:evaluate",
    "emotion_gan": "calibration.motion_evaluation:evaluate",
}
"""System -> module:function, imported when a bundle of that system comes."""

FOLD = "fold_{}"


@dataclass(frozen=True)
class Request:
    """What is to be evaluated on what.

    bundles: folders, or names of shipped ones.  data: a set of faces or a folder in MMM's layout.  folds: folder with
    the bundles fold_0 ... fold_5, each trained without its fold's people; None without.  pictures: file for a sheet to
    look at.  most: pictures per table.  clips: at most so many.  cut: of stills, see restoration_samples.  seed: of
    altered colours.  backend, precision: as `engines.load` takes them.
    """

    bundles: tuple[Path, ...]
    data: Path
    folds: Path | None = None
    pictures: Path | None = None
    classifier: str | None = None
    most: int = 300
    clips: int = 24
    cut: Literal["middle", "whole"] = "middle"
    seed: int = 0
    backend: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        """Raises BadInput for what cannot work."""
        if not self.bundles and self.folds is None and not (self.data / MOTION).is_file():
            raise BadInput("name a bundle to evaluate, or a folder of bundles with --folds")
        for name, value in (("pictures per table", self.most), ("clips", self.clips)):
            if value < 1:
                raise BadInput(f"{name} must be 1 or more, found {value}")
        if self.cut not in ("middle", "whole"):
            raise BadInput(f"stills are cut as middle or whole, found {self.cut!r}")

    @property
    def everything(self) -> tuple[Path, ...]:
        """All bundles, those of the folds included; a fold that is not there is left out.  Raises BadInput."""
        return (*self.bundles, *(path for _, path in self.fold_bundles))

    @property
    def fold_bundles(self) -> tuple[tuple[int, Path], ...]:
        """(fold, folder) of the folds' bundles that are there.  Raises BadInput when there is none."""
        if self.folds is None:
            return ()
        found = [(fold, self.folds / FOLD.format(fold)) for fold in range(FOLDS)]
        there = tuple((fold, path) for fold, path in found if path.is_dir())
        if not there:
            raise BadInput(f"{self.folds} holds no bundles fold_0 ... fold_5: train one for each fold first")
        return there


def evaluation_of(request: Request) -> Evaluation:
    """The evaluation that fits all bundles.  Raises BadInput when they need several or there is none; BundleError."""
    systems = {path: read_bundle(bundle_folder(path)).manifest.system for path in request.everything}
    wanted = {} if systems else {EVALUATIONS["emotion_gan"]: "emotion_gan"}  # it measures ways without a network too
    for path, system in systems.items():
        if system not in EVALUATIONS:
            raise BadInput(f"{path} is a bundle for {system}, and what can be evaluated is {', '.join(EVALUATIONS)}")
        wanted[EVALUATIONS[system]] = system
    if set(systems.values()) == {"eifer", "mc_cyclegan"}:  # encoders also read what was restored
        wanted = {EVALUATIONS["eifer"]: "eifer"}
    if len(wanted) > 1:
        raise BadInput(f"bundles for {' and '.join(sorted(wanted.values()))} are evaluated in different ways: one each")
    module, _, name = next(iter(wanted)).partition(":")
    found: Evaluation = getattr(importlib.import_module(module), name)
    return found


def as_json(report: dict[str, Any]) -> str:
    """The report as a JSON document."""
    return json.dumps(report, indent=1, default=_plain, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return vars(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
