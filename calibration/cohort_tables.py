"""The tables of a synthetic clip as files: envelope, parameters, raw EMG, and the indices of the whole cohort.

Every file is new and for its owner only, and its bytes depend on its content alone: no stamps, no names of machines.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.cohort_signals import RATE_HZ, ClipEmg
from calibration.data.mmm_layout import EMG_COLUMNS, FPS
from engines.emg.artefacts import Artefact, as_record
from engines.emg.montage import FRIDLUND
from engines.emg.simulator import ORIGIN
from engines.face.blendshapes import BLENDSHAPES
from rt.recording.streams import FRAME_COLUMNS, emg_spec, event_text, events_spec, frames_spec
from rt.recording.xdf_writer import XdfWriter

_LEAD_S = 2.0  # stamp of the clip's first frame: the raw EMG begins up to a second before it
_COLUMNS = np.array([FRIDLUND.column(name) for name in EMG_COLUMNS])


def write_new(path: Path, content: bytes) -> None:
    """Write a new file, 0600, that survives a power cut once this returns.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)


def write_envelope(path: Path, envelope_uv: npt.NDArray[np.float32]) -> None:
    """MMM's EMG table: an unnamed frame index and 22 columns in MMM's order.  envelope_uv: (frame, 22), FRIDLUND."""
    lines = [",".join(["", *EMG_COLUMNS])]
    lines += [f"{n}," + ",".join(f"{value:.6g}" for value in row) for n, row in enumerate(envelope_uv[:, _COLUMNS])]
    write_new(path, ("\n".join(lines) + "\n").encode())


def write_blendshapes(path: Path, expression: npt.NDArray[np.floating]) -> None:
    """A parameter table, packed: 52 named columns, one row per frame.  expression: (frame, 52)."""
    lines = [",".join(BLENDSHAPES), *(",".join(f"{value:.5f}" for value in row) for row in expression)]
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    write_new(path, packed.getvalue())


def write_raw(path: Path, task: str, frames: int, emg: ClipEmg, artefacts: Sequence[Artefact], start_s: float) -> None:
    """The raw EMG as XDF, with a row per video frame and an event per artefact of the recording.

    The clip's first frame has the stamp 2 s.  start_s: when in the recording it is, for the artefacts' times.
    Raises DataLost when the disk is full.
    """
    raw = replace(emg_spec(FRIDLUND.labels, RATE_HZ), source_id="myomirror-cohort", details={"origin": ORIGIN})
    at_frames = _LEAD_S + np.arange(frames) / FPS
    rows = np.zeros((frames, len(FRAME_COLUMNS)), np.int32)
    rows[:, 0] = rows[:, 2] = np.arange(frames)
    rows[:, 1] = rows[:, 4] = 1
    with XdfWriter(path, now=lambda: 0.0) as xdf:
        for spec in (raw, frames_spec(), events_spec()):
            xdf.add_stream(spec)
        xdf.write_text("events", _LEAD_S, event_text("TASK", "cohort", task, {"origin": ORIGIN}))
        for artefact in artefacts:
            text = event_text("ARTEFACT", "cohort", type(artefact).__name__, as_record(artefact))
            xdf.write_text("events", _LEAD_S + artefact.at_s - start_s, text)
        xdf.write("emg", _LEAD_S + emg.raw_s, emg.raw_uv)
        xdf.write("frames", at_frames, rows)


def index_bytes(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    """An index as MMM writes it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_bytes(value: object) -> bytes:
    """JSON that a person can read, always the same for the same value."""
    return (json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n").encode()
