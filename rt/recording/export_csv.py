"""CSV tables in the way of the MMM data set: an unnamed frame index, then named columns, one row per video frame.

    frames.csv      number, seconds since the recording began, place in the video, who stamped it
    envelope.csv    microvolt, the newest envelope sample at the frame's time
    muscles.csv     %MVC, asymmetry, contact at the frame's time
    parameters.csv  blendshapes and crop transform of that very frame
    expression_camera.csv, expression_emg.csv, estimated_muscles.csv
                    what networks said at the frame's time; estimated, none of it measured
    motion.csv      head pose in degrees, symmetry of the face without the turn, read from the picture
    events.csv      seconds, kind, node, text, details as JSON

A cell is empty where nothing is known: before a stream began, in a gap, without a face. Without video the rows are at
30 Hz.
"""

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt.errors import BadRecording, BadSettings
from rt.message import Chunk
from rt.recording.disk import create_private
from rt.recording.recorded import recorded_chunks, recorded_events, recorded_table, stream_columns
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, ENVELOPE, ESTIMATED_MUSCLES, EXPRESSION, EXPRESSION_OF, FRAMES, MOTION, MUSCLES
from rt.recording.xdf_reader import survey

ENVELOPE_LIMIT_S = 0.05  # nothing is carried across more than this (DESIGN 5)
MUSCLES_LIMIT_S = 0.2
_GRID_HZ = 30.0
_ROUNDING_S = 1e-9  # a frame and a sample of the same moment may differ by this in float64


def export_csv(folder: SessionFolder, out: Path, progress: Callable[[float], None]) -> list[Path]:
    """Write the tables that the recording can fill; returns their paths."""
    signals = folder.signals
    times, frames = _frame_times(signals)
    if len(times) == 0:
        raise BadRecording(f"{folder.path.name} holds neither frames nor EMG; nothing can be exported")
    origin = float(times[0])
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    if frames is not None:
        written.append(_write_frames(out / "frames.csv", times - origin, frames))
    progress(0.1)
    labels = stream_columns(signals, ENVELOPE)
    if labels is not None:
        values = as_of(times, recorded_chunks(signals, ENVELOPE), len(labels))
        written.append(_write_table(out / "envelope.csv", labels, values))
    progress(0.8)
    muscles = recorded_table(signals, MUSCLES)
    if muscles is not None:
        rows = _newest(times, muscles.stamps, MUSCLES_LIMIT_S)
        written.append(_write_table(out / "muscles.csv", muscles.columns, _pick(muscles.values, rows)))
    expression = recorded_table(signals, EXPRESSION)
    if expression is not None:
        rows = _newest(times, expression.stamps, 0.0)
        written.append(_write_table(out / "parameters.csv", expression.columns, _pick(expression.values, rows)))
    for name in (*EXPRESSION_OF.values(), ESTIMATED_MUSCLES, MOTION):
        said = recorded_table(signals, name)
        if said is not None:
            rows = _newest(times, said.stamps, MUSCLES_LIMIT_S)
            written.append(_write_table(out / f"{name}.csv", said.columns, _pick(said.values, rows)))
    written.append(_write_events(out / "events.csv", signals, origin))
    return written


def as_of(times: np.ndarray, chunks: Iterable[Chunk], n_channels: int) -> np.ndarray:
    """The newest sample of a regular signal at each time.

    times: (row,) float64 seconds. Returns (row, channel) float32; NaN where the newest sample is older than
    ENVELOPE_LIMIT_S. Where a stream's clock jumped back, what was recorded later counts.
    """
    values = np.full((len(times), n_channels), np.nan, np.float32)
    order = np.argsort(times, kind="stable")
    in_order = times[order]
    for chunk in chunks:
        t_end = chunk.t_last + ENVELOPE_LIMIT_S
        begin, end = np.searchsorted(in_order, [chunk.t0 - _ROUNDING_S, t_end], "left")
        rows = order[begin:end]
        samples = np.floor((times[rows] - chunk.t0) * chunk.rate_hz + 1e-6).astype(np.int64)
        values[rows] = chunk.data[np.minimum(samples, len(chunk.data) - 1)]
    return values


def _frame_times(signals: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(row times, frame rows); without frames a 30 Hz grid over the EMG."""
    frames = recorded_table(signals, FRAMES)
    if frames is not None and len(frames.stamps):
        return frames.stamps, frames.values
    for entry in survey(signals).streams:
        if entry.spec.name in (EMG, ENVELOPE) and entry.totals.count:
            return np.arange(entry.totals.first, entry.totals.last, 1 / _GRID_HZ), None
    return np.empty(0), None


def _newest(times: np.ndarray, stamps: np.ndarray, limit_s: float) -> np.ndarray:
    """Row of the newest stamp at each time, -1 where it is older than limit_s."""
    order = np.argsort(stamps, kind="stable")
    place = np.searchsorted(stamps[order], times, "right") - 1
    rows = np.where(place >= 0, order[np.maximum(place, 0)] if len(order) else -1, -1)
    age = times - stamps[np.maximum(rows, 0)] if len(stamps) else np.zeros(len(times))
    newest: np.ndarray = np.where((rows >= 0) & (age <= limit_s), rows, -1)
    return newest


def _pick(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    picked = np.full((len(rows), values.shape[1]), np.nan, np.float32)
    picked[rows >= 0] = values[rows[rows >= 0]]
    return picked


def _write_table(path: Path, columns: Sequence[str], values: np.ndarray) -> Path:
    rows = ([index, *(_cell(value) for value in row)] for index, row in enumerate(values.tolist()))
    return _write(path, ["", *columns], rows)


def _write_frames(path: Path, seconds: np.ndarray, frames: np.ndarray) -> Path:
    rows = (
        [index, seq, f"{t:.6f}", segment or "", place if segment else "", "device" if device else "host", intact]
        for index, (t, (seq, segment, place, device, intact)) in enumerate(zip(seconds, frames.tolist(), strict=True))
    )
    return _write(path, ["", "seq", "t_s", "segment", "index_in_segment", "stamp", "intact"], rows)


def _write_events(path: Path, signals: Path, origin: float) -> Path:
    rows = (
        [f"{event.t - origin:.6f}", event.kind, event.node, event.text, json.dumps(event.data, ensure_ascii=False)]
        for event in recorded_events(signals)
    )
    return _write(path, ["t_s", "kind", "node", "text", "data"], rows)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    try:
        fd = create_private(path)
    except FileExistsError:
        raise BadSettings(f"{path} exists; nothing is overwritten, choose another folder") from None
    with os.fdopen(fd, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _cell(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
