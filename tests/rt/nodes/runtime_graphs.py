"""The graph that the runtime's tests run, small and quick to start, and what its files say afterwards."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from rt.graph import EdgeSpec, Graph, NodeSpec

N = "runtime_nodes:"


def live_graph(folder: Path, camera=None, stage=None, show=None, keep=None, signal=None, **sizes) -> Graph:
    """camera -> vision -> show, everything lossless to keep, an EMG source beside. Arguments: settings by node."""
    nodes = (
        NodeSpec("camera", N + "Camera", "camera", {"path": str(folder / "camera"), **(camera or {})}),
        NodeSpec("stage", N + "Stage", "vision", {"copy": True, **(stage or {})}),
        NodeSpec("show", N + "Display", "show", {"path": str(folder / "show"), **(show or {})}),
        NodeSpec("keep", N + "Keeper", "keep", {"path": str(folder / "keep"), **(keep or {})}),
        NodeSpec("signal", N + "Signal", "signal", signal or {}),
    )
    edges = (
        EdgeSpec("camera.frame", "stage.frame"),
        EdgeSpec("stage.frame", "show.frame"),
        EdgeSpec("camera.frame", "keep.frame", "lossless", 5.0),
        EdgeSpec("signal.emg", "keep.emg", "lossless", 10.0),
    )
    return Graph(nodes, edges, **{"max_frame": (48, 64), **sizes})


class Shown(NamedTuple):
    """One line of the display's file."""

    seq: int
    age_ms: float
    whole: bool
    content: int
    t: float


class Piece(NamedTuple):
    """One chunk in the keeper's file."""

    first: int
    count: int
    gap_s: float


@dataclass(frozen=True)
class Files:
    """What the nodes wrote."""

    folder: Path

    def _lines(self, name: str) -> list[list[str]]:
        path = self.folder / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def captured(self) -> int:
        return len(self._lines("camera"))

    @property
    def shown(self) -> list[Shown]:
        return [Shown(int(a), float(b), c == "1", int(d), float(e)) for a, b, c, d, e in self._lines("show")]

    @property
    def kept_frames(self) -> list[int]:
        return [int(line[1]) for line in self._lines("keep") if line[0] == "frame"]

    @property
    def kept_signal(self) -> list[Piece]:
        found = [line for line in self._lines("keep") if line[0] == "emg"]
        return [Piece(int(first), int(count), float(gap)) for _, first, count, gap, _ in found]

    @property
    def came_again(self) -> list[str]:
        """What the keeper was sent although it had written it: the port of each."""
        return [line[1] for line in self._lines("keep") if line[0] == "again"]

    def told(self, command: str) -> list[list[str]]:
        """What the keeper was told, as [value, generation]."""
        return [line[1:] for line in self._lines("keep") if line[0] == command]

    @property
    def keeper_finished(self) -> bool:
        return ["finished"] in self._lines("keep")


def outage_s(shown: list[Shown]) -> float:
    """The longest time without a new picture."""
    return max((b.t - a.t for a, b in pairwise(shown)), default=float("inf"))


def missing_samples(pieces: list[Piece]) -> list[tuple[Piece, Piece]]:
    """Neighbours that do not fit together although no gap is marked."""
    return [(a, b) for a, b in pairwise(pieces) if not b.gap_s and b.first != a.first + a.count]
