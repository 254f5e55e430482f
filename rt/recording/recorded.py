"""What a recording holds, as messages and rows in the order in which they were recorded; nothing is held in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rt.message import Chunk
from rt.recording.streams import EMG, EVENTS, FRAMES, Mark, mark_of, parse_event
from rt.recording.xdf_reader import Damage, Header, Samples, walk


def recorded_chunks(signals: Path, stream: str = EMG) -> Iterator[Chunk]:
    """A regular stream of a signals.xdf as the chunks that were recorded, with their own stamps.

    stream: 'emg' or 'envelope'. gap_s > 0 where the source said so, where recording was paused, and behind damage.
    """
    mark = Mark(stream, 0, 0, 0.0)
    count, t_next, gap_s, damaged, chain = 0, 0.0, 0.0, False, ""
    for _, item in walk(signals, only=(stream, EVENTS)):
        if isinstance(item, Damage):
            damaged = True
        elif isinstance(item, Header) and item.spec.name == stream:
            chain = item.spec.details.get("emg_chain", "")
        elif isinstance(item, Samples) and item.spec.name == EVENTS:
            for texts in item.values:
                found = mark_of(parse_event(texts[0]))
                if found is not None and found.stream == stream:
                    mark, count, gap_s = found, found.sample, max(gap_s, found.gap_s)
        elif isinstance(item, Samples) and isinstance(item.values, np.ndarray) and len(item.stamps):
            rate_hz = item.spec.rate_hz
            t0 = float(item.stamps[0])
            if damaged and count:
                gap_s = max(gap_s, t0 - t_next, 1 / rate_hz)
            first_sample = mark.first_sample + count - mark.sample
            kind = "raw" if stream == EMG else "envelope"
            data = np.asarray(item.values, np.float32)
            data.flags.writeable = False
            yield Chunk(data, rate_hz, t0, first_sample, kind, gap_s, chain)
            count += len(item.stamps)
            t_next, gap_s, damaged = float(item.stamps[-1]) + 1 / rate_hz, 0.0, False


class Row(NamedTuple):
    """One frame of a recording: its stamp, number, place in the video segment, whether the device stamped it."""

    t_capture: float
    seq: int
    segment: int
    place: int
    device_stamp: bool


def recorded_rows(signals: Path) -> Iterator[Row]:
    """The frames of a signals.xdf that have a picture, in order."""
    for _, item in walk(signals, only=(FRAMES,)):
        if isinstance(item, Samples) and isinstance(item.values, np.ndarray):
            for t_capture, values in zip(item.stamps, item.values, strict=True):
                seq, segment, index, device, intact = (int(value) for value in values[:5])
                if segment > 0 and index >= 0 and intact:
                    yield Row(float(t_capture), seq, segment, index, bool(device))


class RecordedEvent(NamedTuple):
    """An event with its stamp (LSL seconds)."""

    t: float
    kind: str
    node: str
    text: str
    data: dict[str, Any]


def recorded_events(signals: Path) -> list[RecordedEvent]:
    """All events of a signals.xdf, in order."""
    found = []
    for _, item in walk(signals, only=(EVENTS,)):
        if isinstance(item, Samples):
            for stamp, texts in zip(item.stamps, item.values, strict=True):
                found.append(RecordedEvent(float(stamp), **parse_event(texts[0])))
    return found


class Table(NamedTuple):
    """An irregular numeric stream: stamps (row,) float64 seconds, values (row, column), column names."""

    stamps: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...]


def recorded_table(signals: Path, stream: str) -> Table | None:
    """A small stream ('frames', 'muscles', 'expression') read whole; None when the recording has none."""
    columns: tuple[str, ...] | None = None
    parts: list[Samples] = []
    for _, item in walk(signals, only=(stream,)):
        if isinstance(item, Header) and item.spec.name == stream:
            columns = item.spec.labels
        elif isinstance(item, Samples) and item.spec.name == stream:
            parts.append(item)
    if columns is None:
        return None
    if not parts:
        return Table(np.empty(0), np.empty((0, len(columns)), np.float32), columns)
    values = np.concatenate([np.asarray(part.values) for part in parts])
    return Table(np.concatenate([part.stamps for part in parts]), values, columns)


def stream_columns(signals: Path, stream: str) -> tuple[str, ...] | None:
    """A stream's channel labels; None when the recording has no such stream."""
    for _, item in walk(signals, only=()):
        if isinstance(item, Header) and item.spec.name == stream:
            return item.spec.labels
    return None
