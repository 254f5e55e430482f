"""One recording: processed whole or not at all, and not again while neither it nor the settings change.

Tables are made in a folder of another name and moved to their place when all are there, processed.json among them. That
file holds nothing that differs between two runs: the same recording and settings give the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calibration.cohort_clip import make_folder
from calibration.cohort_tables import json_bytes, write_new
from calibration.offline.about import FORMAT, about, key_of
from calibration.offline.chain import ROWS
from calibration.offline.order import LOCK, Order, Recording
from calibration.offline.prepare import Prepared, prepare
from calibration.offline.rows import RowsSink
from calibration.offline.tables import CSV, csv_bytes, parquet_bytes, tables_of
from rt.errors import BadSettings, DataLost
from rt.offline import Offline
from rt.recording.disk import hash_file, lock, sync_folder

ABOUT = "processed.json"
_SCRATCH = ".scratch"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Progress = Callable[[int, int], None]
"""Called with the pictures done and how many there are."""


class Done(NamedTuple):
    """What became of a recording.  pictures: rows.  seconds: that they span.  found: it had been processed before."""

    pictures: int
    seconds: float
    synthetic: bool
    notes: tuple[str, ...]
    found: bool


def process(recording: Recording, order: Order, progress: Progress = lambda done, all_of_them: None) -> Done:
    """Write the tables of one recording into its target folder, unless they are there.

    Raises BadRecording, BadSettings, BadInput or BundleError for what cannot be processed, DataLost when a picture was
    lost or the disk is full; nothing half-written is left.
    """
    prepared = prepare(recording, order)
    key = key_of(prepared, order)
    said = _finished(recording.target, key)
    if said is not None:
        return _done(said, True)
    with _making(recording) as part:
        try:
            said = _make(part, prepared, order, key, progress)
        except OSError as error:
            if error.errno in _FULL:
                raise DataLost(f"{part} cannot be written ({error.strerror}): free some space") from error
            raise BadSettings(f"{error.filename or recording.path}: {error.strerror}") from error
        _move(part, recording.target)
    return _done(said, False)


def _make(part: Path, prepared: Prepared, order: Order, key: str, progress: Progress) -> dict[str, Any]:
    scratch = part / _SCRATCH  # in here, so that a process that is killed leaves it nowhere else
    make_folder(scratch)
    if prepared.calibration is not None:
        prepared.calibration.save(scratch / "calibration.json")
    with Offline(prepared.graph, scratch) as offline:
        pictures = offline.run(lambda done: progress(done, prepared.pictures))
        rows = offline.nodes[ROWS]
    shutil.rmtree(scratch)
    assert isinstance(rows, RowsSink)
    if pictures != len(rows):
        raise DataLost(f"{pictures} pictures went in and {len(rows)} rows came out: nothing may be missing offline")
    if not pictures:
        raise BadSettings("none of its pictures can be read: `myomirror repair` says what is left of it")
    columns = rows.columns()
    tables = tables_of(columns, rows.profiles, prepared.synthetic)
    said = about(prepared, offline, len(rows), tables, key)
    seconds = tables["frames"].columns["t_s"].astype(np.float64)
    described = {name: value for name, value in said.items() if name != "tables"}
    for name, table in tables.items():
        for form in order.formats:
            content = csv_bytes(table) if form == CSV else parquet_bytes(table, seconds, described)
            write_new(part / f"{name}.{form}", content)
            said["tables"][name]["sha256"][form] = hashlib.sha256(content).hexdigest()
    write_new(part / ABOUT, json_bytes(said))
    return said


def _finished(target: Path, key: str) -> dict[str, Any] | None:
    """What processed.json says, when it is of this key and every table is whole.

    Raises BadSettings when the folder is something else's.
    """
    if not target.exists():
        return None
    try:
        said = json.loads((target / ABOUT).read_text(encoding="utf-8"))
        ours = said["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        said, ours = {}, False
    if not ours:
        raise BadSettings(f"{target} holds something else than processed tables: choose another --out folder")
    if said.get("key") != key:
        return None
    try:
        whole = all(
            hash_file(target / f"{name}.{form}") == digest
            for name, table in said["tables"].items()
            for form, digest in table["sha256"].items()
        )
    except (OSError, KeyError, AttributeError):
        return None
    return said if whole else None


def _done(said: Mapping[str, Any], found: bool) -> Done:
    frames = said["frames"]
    return Done(frames["processed"], frames["seconds"], said["synthetic"], tuple(said["notes"]), found)


@contextmanager
def _making(recording: Recording) -> Iterator[Path]:
    """The folder of what is not complete yet, this process's alone; gone afterwards."""
    part = recording.part
    try:
        make_folder(part)
        fd = os.open(part / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadSettings(f"{part} cannot be made ({error.strerror}): choose another --out folder") from None
    lock(fd, part)
    try:
        for left in part.iterdir():  # by a process that was killed
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != LOCK:
                left.unlink()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(fd)


def _move(part: Path, target: Path) -> None:
    """The finished folder to its place, in the place of tables that other settings made."""
    (part / LOCK).unlink()
    before = target.with_name(f".{target.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        target.rename(before)
    part.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(before, ignore_errors=True)
