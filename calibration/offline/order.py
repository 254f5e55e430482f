"""What is wanted of all recordings of one call, checked before any of them is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

AUTO, OFF = "auto", "off"
LOCK = ".lock"  # in a folder of unfinished tables: held by the process that makes them


@dataclass(frozen=True)
class Order:
    """station: a station file's content, None for the recording's own.  formats: of the tables.

    restore: the bundle that removes electrodes before the face encoder reads the picture, or "off", as live.
    expression, exp2emg, emg2exp: a bundle, "off", or "auto": the station's, else the shipped one where it fits.
    """

    station: Mapping[str, Any] | None = None
    formats: tuple[str, ...] = ("csv",)
    restore: str = OFF
    expression: str = AUTO
    exp2emg: str = AUTO
    emg2exp: str = AUTO


@dataclass(frozen=True)
class Recording:
    """One recording and where its tables go.

    path: a session's folder; with a clip's id, a folder in MMM's layout.  target: the tables' folder.
    """

    path: Path
    target: Path
    clip: str = ""

    @property
    def name(self) -> str:
        """For people: the session's folder, or the clip's id."""
        return self.clip or self.path.name

    @property
    def part(self) -> Path:
        """Where the tables are until they are complete."""
        return self.target.with_name(f".{self.target.name}.part")


def job_text(recording: Recording, order: Order) -> str:
    """Both as JSON, for a process that may be on another machine."""
    plain = {"path": str(recording.path), "target": str(recording.target), "clip": recording.clip}
    return json.dumps({"recording": plain, "order": asdict(order)})


def read_job(text: str) -> tuple[Recording, Order]:
    """What job_text wrote."""
    said = json.loads(text)
    plain, order = said["recording"], said["order"]
    recording = Recording(Path(plain["path"]), Path(plain["target"]), plain["clip"])
    return recording, Order(**{**order, "formats": tuple(order["formats"])})
