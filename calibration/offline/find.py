"""Which recordings somebody means.  Opens no signal and no video."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from calibration.data.mmm import Recordings
from calibration.data.mmm_layout import INDEX, ClipId
from calibration.offline.order import Recording
from engines.errors import BadInput, EngineError
from rt.recording.session_folder import SESSION

BESIDE = ".processed"


def find_recordings(given: Sequence[Path], out: Path | None) -> tuple[list[Recording], dict[str, str]]:
    """The recordings that these paths mean, and a sentence for each path that means none.

    given: session folders, folders of such, folders in MMM's layout, or the videos of single clips in one.  out: one
    folder of tables per recording is made in it; None makes it beside the recording.
    Raises BadInput when two recordings would share a folder.
    """
    found: list[Recording] = []
    refused = {}
    for path in given:
        try:
            found += _recordings_of(path, out)
        except EngineError as error:
            refused[str(path)] = str(error)
    targets: dict[Path, Recording] = {}
    for recording in dict.fromkeys(found):
        if recording.target in targets:
            other = targets[recording.target].path
            raise BadInput(
                f"{recording.path} and {other} have the same name: process them into different --out folders"
            )
        targets[recording.target] = recording
    return list(targets.values()), refused


def _recordings_of(path: Path, out: Path | None) -> list[Recording]:
    path = path.resolve()
    if (path / SESSION).is_file():
        return [_session(path, out)]
    if (path / INDEX).is_file():
        return [_clip(path, clip.id, out) for clip in Recordings.open(path).clips]
    if path.is_dir():
        sessions = sorted(file.parent for file in path.glob(f"*/{SESSION}"))
        if sessions:
            return [_session(folder, out) for folder in sessions]
    if path.is_file() and len(path.parents) > 2 and (path.parents[2] / INDEX).is_file():
        with suppress(BadInput):
            return [_clip(path.parents[2], ClipId.parse(path.stem), out)]
    what = "does not exist" if not path.exists() else "is no recording"
    raise BadInput(
        f"{path} {what}: give a session's folder (it holds {SESSION}), a folder of those, one in MMM's layout (it "
        f"holds {INDEX}), or the video of a clip in one"
    )


def _session(path: Path, out: Path | None) -> Recording:
    return Recording(path, path.with_name(path.name + BESIDE) if out is None else out.resolve() / path.name)


def _clip(folder: Path, clip: ClipId, out: Path | None) -> Recording:
    return Recording(
        folder, (folder / "processed" if out is None else out.resolve()) / clip.session / str(clip), str(clip)
    )
