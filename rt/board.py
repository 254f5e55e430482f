"""The board: counters, heartbeats and latency histograms of a session, in one shared-memory file.

Every cell has exactly one writer, so nothing is locked; the session reads it at any moment, and what a process had
counted outlives its SIGKILL. It is created by the session before any worker starts. Aligned 8-byte stores are atomic
on the machines this runs on (x86-64, aarch64).
"""

import mmap
import os
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

REASONS = (
    "superseded",  # a newer one was there when the consumer came to look (the meaning of a `latest` edge)
    "no_consumer",  # the consumer's process was down or its queue full
    "restart",  # in the hands of a process that died, or on its way to it
    "overflow",  # a lossless edge whose consumer stayed away longer than hold_s
    "torn",  # overwritten in the ring before its reader was done
    "no_viewer",  # no browser was looking
    "viewer_busy",  # the browser had not yet acknowledged three earlier ones
    "stale",  # older than its limit: never shown as live
    "unfinished",  # still under way when the session stopped
    "failed",  # a node raised an error on it
    "not_restored",  # its electrodes could not be removed, so the station does not want it shown
)
METRICS = ("photon_to_pixel", "muscle_to_pixel")

BINS = 8000
BIN_MS = 0.125  # histograms reach from 0 to 1 s; the last bin holds everything above


class State(IntEnum):
    """Where a node's process is in its life."""

    ABSENT = 0
    STARTING = 1
    READY = 2
    RUNNING = 3
    DRAINING = 4
    DONE = 5
    DEGRADED = 6


_NODE = np.dtype(
    [
        ("heartbeat", "<f8"),
        ("last_capture", "<f8"),
        ("state", "<i8"),
        ("in_seq", "<i8"),
        ("out_seq", "<i8"),
        ("frames_in", "<i8"),
        ("frames_out", "<i8"),
        ("samples", "<i8"),  # of EMG that it has handed on
        ("gaps", "<i8"),  # and how often they did not follow the ones before
        ("shown", "<i8"),
        ("dropped", "<i8", (len(REASONS),)),
    ]
)
_EDGE = np.dtype(
    [
        ("sent", "<i8"),  # by the producer: also the number of the newest message
        ("refused", "<i8"),  # by a full queue or an absent consumer
        ("lost_by_producer", "<i8"),  # when it died
        ("torn_by_producer", "<i8"),  # the picture changed while the producer worked on it
        ("delivered", "<i8"),  # by the consumer
        ("last_sequence", "<i8"),
        ("ended", "<i8"),  # the consumer has seen the end mark: nothing can be on its way any more
        ("dropped", "<i8", (len(REASONS),)),
    ]
)
_HISTOGRAM = np.dtype([("count", "<i8"), ("max_ms", "<f8"), ("bins", "<u4", (BINS,))])
_FLAGS = np.dtype([("go", "<i8"), ("stop", "<i8"), ("t_stop", "<f8")])


class Percentiles(NamedTuple):
    """A latency as people read it; NaN without measurements."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int


class Board:
    """All counters of one session. `nodes`, `edges` and `metrics` are names; rows are found by name."""

    def __init__(self, path: Path, nodes: Sequence[str], edges: Sequence[str], create: bool = False) -> None:
        self._node_rows = {name: i for i, name in enumerate(nodes)}
        self._edge_rows = {name: i for i, name in enumerate(edges)}
        histograms = [*METRICS, *nodes, *edges]
        self._histogram_rows = {name: i for i, name in enumerate(histograms)}
        parts = [(_FLAGS, 1), (_NODE, len(nodes)), (_EDGE, len(edges)), (_HISTOGRAM, len(histograms))]
        size = sum(kind.itemsize * rows for kind, rows in parts)
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0), 0o600)
        try:
            if create:
                os.posix_fallocate(descriptor, 0, size)
            memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        offset, arrays = 0, []
        for kind, rows in parts:
            arrays.append(np.frombuffer(memory, kind, rows, offset))
            offset += kind.itemsize * rows
        self.flags, self._nodes, self._edges, self._histograms = arrays
        self.flags = self.flags[0:1]

    def node(self, name: str) -> np.ndarray:
        """The node's row as a one-element structured array: `board.node('face')['in_seq'] += 1`."""
        row = self._node_rows[name]
        return self._nodes[row : row + 1]

    def edge(self, name: str) -> np.ndarray:
        """The edge's row, as `node`."""
        row = self._edge_rows[name]
        return self._edges[row : row + 1]

    def histogram(self, name: str) -> "Histogram":
        """The latency histogram of a metric, node or edge."""
        row = self._histogram_rows[name]
        return Histogram(self._histograms[row : row + 1])

    @property
    def node_names(self) -> list[str]:
        return list(self._node_rows)

    @property
    def edge_names(self) -> list[str]:
        return list(self._edge_rows)


def offered(edge: np.ndarray) -> int:
    """Messages that the producer has accounted for: given to the link, refused, torn or lost."""
    names = ("sent", "refused", "torn_by_producer", "lost_by_producer")
    return sum(int(edge[name][0]) for name in names)


class Histogram:
    """Milliseconds in bins of 0.125 ms: constant memory and no allocation however long the session."""

    def __init__(self, row: np.ndarray) -> None:
        self._bins = row["bins"][0]
        self._count, self._max = row["count"], row["max_ms"]

    def add(self, value_ms: float) -> None:
        """Count one measurement; below zero counts as zero, NaN not at all."""
        if value_ms != value_ms:
            return
        place = min(max(int(value_ms / BIN_MS), 0), BINS - 1)
        self._bins[place] += 1
        self._count[0] += 1
        if value_ms > self._max[0]:
            self._max[0] = value_ms

    def percentiles(self) -> Percentiles:
        """Upper edges of the bins in which the percentiles fall (so at most 0.125 ms too high, never too low)."""
        bins = np.asarray(self._bins, np.int64)
        total = int(bins.sum())
        if total == 0:
            nan = float("nan")
            return Percentiles(nan, nan, nan, nan, 0)
        cumulated = np.cumsum(bins)
        edges = [(int(np.searchsorted(cumulated, np.ceil(q * total))) + 1) * BIN_MS for q in (0.5, 0.95, 0.99)]
        highest = float(self._max[0])
        p50, p95, p99 = (min(edge, highest) for edge in edges)
        return Percentiles(p50, p95, p99, highest, total)
