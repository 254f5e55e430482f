"""Mends a recording whose session was killed or lost its power, and says what is missing.

Nothing that cannot be read is thrown away: bytes that are cut off go into the folder `repaired/`, named by the file
and the offset at which they began. Video packets are copied, never encoded again. Repairing twice changes nothing.
"""

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rt.errors import BadRecording, DataLost
from rt.recording.disk import create_private, lock, sync_folder
from rt.recording.recorded import recorded_table
from rt.recording.session_folder import MANIFEST, SessionFolder
from rt.recording.streams import EMG, ENVELOPE, FRAMES
from rt.recording.video import VideoReader, is_finished, remux
from rt.recording.xdf_reader import survey
from rt.recording.xdf_writer import XdfWriter

_KEPT = "repaired"
_BLOCK = 1 << 20


@dataclass
class RepairReport:
    """What was found and done.

    changed: False when the recording was in order. cut_bytes: taken off the end of a file, by name (kept in
    `repaired/`). footers: streams whose footer was missing. remuxed: video segments that were closed anew.
    damaged_bytes: unreadable bytes inside signals.xdf, left where they are. ends_s: how long each part lasts, seconds
    since the first stamp. lost_s: how much earlier than the longest part it ends. frames_without_picture: rows whose
    picture was not on disk yet. notes: what could not be mended, and what had changed since the session was closed.
    """

    folder: str
    changed: bool = False
    cut_bytes: dict[str, int] = field(default_factory=dict)
    footers: list[str] = field(default_factory=list)
    remuxed: list[str] = field(default_factory=list)
    damaged_bytes: int = 0
    ends_s: dict[str, float] = field(default_factory=dict)
    lost_s: dict[str, float] = field(default_factory=dict)
    frames_without_picture: int = 0
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For session.json and reports."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """For people."""
        if not self.changed and not self.notes:
            return [f"{self.folder} is in order; nothing was changed."]
        told = [f"{name}: {size} unreadable bytes at the end were set aside." for name, size in self.cut_bytes.items()]
        if self.footers:
            told.append(f"signals.xdf: footers were added for {', '.join(self.footers)}.")
        told += [f"{name} was closed properly; no picture was encoded again." for name in self.remuxed]
        if self.damaged_bytes:
            told.append(f"signals.xdf: {self.damaged_bytes} bytes inside are damaged and were left as they are.")
        if self.ends_s:
            parts = ", ".join(f"{name} {self.lost_s[name]:.2f} s earlier" for name in self.ends_s)
            told.append(f"The recording lasts {max(self.ends_s.values()):.2f} s; its parts end: {parts}.")
        if self.frames_without_picture:
            told.append(f"{self.frames_without_picture} frames have a row but no picture.")
        return told + self.notes or [f"{self.folder} ended before its first sample; it holds nothing but its settings."]


def repair(path: Path) -> RepairReport:
    """Mend a session folder. Raises BadRecording when it is none or is being recorded, DataLost on a full disk."""
    folder = SessionFolder.open(path)
    report = RepairReport(folder.path.name)
    if folder.info.get("state") != "recording" and (folder.path / MANIFEST).is_file():
        report.notes = [f"Since it was closed, {problem}." for problem in folder.verify()]
        if not report.notes:
            return report
    _mend_signals(folder, report)
    for video in folder.videos():
        _mend_video(folder, video, report)
    _compare_ends(folder, report)
    report.changed = True
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    folder.update(state="repaired", repairs=[*folder.info.get("repairs", []), {"when": now, **report.as_json()}])
    folder.write_manifest({})
    return report


def _mend_signals(folder: SessionFolder, report: RepairReport) -> None:
    signals = folder.signals
    if not signals.is_file():
        report.notes.append("There is no signals.xdf.")
        return
    try:
        found = survey(signals)
    except BadRecording as error:
        report.notes.append(f"{error}; it was left as it is.")
        return
    tail = found.size - found.whole_until
    report.damaged_bytes = sum(damage.size for damage in found.damage) - tail
    if not tail and not found.missing_footers:
        return
    writer = XdfWriter.append(signals, before_cut=lambda: _set_aside(folder, signals, found.whole_until, report))
    writer.close()
    report.footers = found.missing_footers


def _mend_video(folder: SessionFolder, video: Path, report: RepairReport) -> None:
    if is_finished(video):
        return
    fd = os.open(video, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    lock(fd, video)
    try:
        _remux_in_place(folder, video, report)
    finally:
        os.close(fd)


def _remux_in_place(folder: SessionFolder, video: Path, report: RepairReport) -> None:
    mended = video.with_name(f".{video.name}.tmp")
    mended.unlink(missing_ok=True)  # of a repair that was itself interrupted
    try:
        copied = remux(video, mended)
    except BadRecording as error:
        mended.unlink(missing_ok=True)
        report.notes.append(f"{error}; it was left as it is.")
        return
    if copied.frames == 0:
        mended.unlink()
        report.notes.append(f"{video.name} holds no whole picture; it was left as it is.")
        return
    _set_aside(folder, video, copied.readable_bytes, report)
    fd = os.open(mended, os.O_RDONLY | os.O_CLOEXEC)
    os.fsync(fd)
    os.close(fd)
    mended.replace(video)
    sync_folder(folder.path)
    report.remuxed.append(video.name)


def _set_aside(folder: SessionFolder, file: Path, offset: int, report: RepairReport) -> None:
    """Copy a file's bytes from `offset` on into `repaired/`, before they are cut off."""
    size = file.stat().st_size - offset
    if size <= 0:
        return
    kept = folder.path / _KEPT
    if kept.is_symlink():
        raise BadRecording(f"{kept} is a link; a recording holds its own files only")
    kept.mkdir(mode=0o700, exist_ok=True)
    target = kept / f"{file.name}.{offset}.bin"
    target.unlink(missing_ok=True)
    try:
        with file.open("rb") as source, open(create_private(target), "wb") as out:
            source.seek(offset)
            while block := source.read(_BLOCK):
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        target.unlink(missing_ok=True)
        raise DataLost(f"{target} cannot be written ({error.strerror}): free some space; nothing was cut") from error
    report.cut_bytes[file.name] = size


def _compare_ends(folder: SessionFolder, report: RepairReport) -> None:
    """What was lost shows as one part ending before the others."""
    try:
        found = survey(folder.signals)
    except BadRecording:
        return
    spans = {entry.spec.name: entry.totals for entry in found.streams if entry.totals.count}
    ends = {name: spans[name].last for name in (EMG, ENVELOPE, FRAMES) if name in spans}
    first_in, rows_in = _rows_by_segment(folder.signals)
    for number, path in ((int(path.stem[-4:]), path) for path in folder.videos()):
        pictures, last_s = _count_pictures(path)
        report.frames_without_picture += max(rows_in.get(number, 0) - pictures, 0)
        if pictures and number in first_in:
            ends["video"] = max(ends.get("video", 0.0), first_in[number] + last_s)
    if not ends:
        return
    begin = min(spans[name].first for name in ends if name in spans)
    newest = max(ends.values())
    report.ends_s = {name: round(end - begin, 3) for name, end in ends.items()}
    report.lost_s = {name: round(newest - end, 3) for name, end in ends.items()}


def _rows_by_segment(signals: Path) -> tuple[dict[int, float], dict[int, int]]:
    """Per video segment: stamp of its first row, number of pictures that its rows name."""
    first: dict[int, float] = {}
    pictures: dict[int, int] = {}
    rows = recorded_table(signals, FRAMES)
    if rows is not None:
        for stamp, (_, segment, index, *_) in zip(rows.stamps.tolist(), rows.values.tolist(), strict=True):
            first.setdefault(segment, stamp)
            pictures[segment] = max(pictures.get(segment, 0), index + 1)
    return first, pictures


def _count_pictures(path: Path) -> tuple[int, float]:
    """Number of readable pictures and the last one's stamp, without decoding them."""
    try:
        with VideoReader(path) as video:
            return video.count_packets()
    except BadRecording:
        return 0, 0.0
