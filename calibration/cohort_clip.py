"""Makes the files of one clip: all of them or none.

They are written into a folder of their own, then moved to their places one by one, the truth last: a clip whose truth
is in its place is complete, whatever happened to the program.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import ClipPlan, CohortSettings
from calibration.cohort_signals import ClipEmg, Signals
from calibration.cohort_stage import Film, Shot, Stage
from calibration.cohort_tables import write_blendshapes, write_envelope, write_raw
from calibration.data.clip_video import ClipWriter
from calibration.data.mmm_layout import FPS, SIZE_PX, ClipId, Folder
from calibration.data.truth import Truth, neutral_path, write_arrays, write_truth
from engines.emg.performance import Performed
from rt.errors import DataLost
from rt.recording.disk import sync_folder

MAKING = ".making"  # clips that are not complete
Floats = npt.NDArray[np.float32]

_FRAME_SIZE = (SIZE_PX, SIZE_PX)
_PICTURES: tuple[Folder, ...] = ("video", "video_noelec", "video_posed", "mask")
_FILMED = ("pose", "pose_posed", "camera", "camera_posed", "landmarks_px", "landmarks_posed_px", "light")


def is_complete(out: Path, clip: ClipId) -> bool:
    """Whether a clip has been made."""
    return (out / clip.path("truth")).is_file()


def make_clip(plan: ClipPlan, settings: CohortSettings, signals: Signals, stage: Stage, out: Path) -> int:
    """Make one clip and move it to its places under `out`; returns its bytes on disk.

    The same plan and settings give the same bytes, whatever else is made.  Raises DataLost when the disk is full.
    """
    making = out / MAKING / str(plan.id)
    try:
        shutil.rmtree(making, ignore_errors=True)
        make_folder(making)
        return _make(plan, settings, signals, stage, out, making)
    except (OSError, DataLost) as error:
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DataLost(
            f"there is no more room for the cohort in {out}; what is complete is kept: free some space and run the "
            "same command again"
        ) from error


def _make(plan: ClipPlan, settings: CohortSettings, signals: Signals, stage: Stage, out: Path, making: Path) -> int:
    clip, frames = plan.id, plan.frames(settings.seconds)
    performed = signals.performed(plan.place, frames)
    emg = signals.clip_emg(plan.place, frames) if clip.electrodes else None
    place = {kind: making / f"{kind}{clip.path(kind).suffix}" for kind in _kinds(clip, settings)}
    files = {out / clip.path(kind): made for kind, made in place.items()}
    film = stage.film(plan)
    shown = film.gazing(performed.expression.astype(np.float32))
    shots = _film(film, shown, place)
    if emg is not None:
        parameters = making / "parameters.csv.gz"
        files[out / clip.parameters_path("Truth")] = parameters
        write_blendshapes(parameters, shown)
        write_envelope(place["emg"], emg.envelope_uv)
        if "emg_raw" in place:
            start_s = float(signals.performance.first_s[plan.place])
            write_raw(place["emg_raw"], clip.task, frames, emg, signals.artefacts, start_s)
    write_truth(place["truth"], _truth(shown, performed, emg, shots))
    neutral = out / neutral_path(clip.pid)
    if not neutral.exists():  # two processes may write it at once: the same bytes
        files[neutral] = making / "neutral.npz"
        write_arrays(files[neutral], {"neutral": stage.neutral(plan.recording.participant)})
    return _move(files, out / clip.path("truth"), out / clip.path("video"), out / clip.path("video_no-cut"))


def _kinds(clip: ClipId, settings: CohortSettings) -> tuple[Folder, ...]:
    if not clip.electrodes:
        return ("video", "video_posed", "truth")
    raw: tuple[Folder, ...] = ("emg_raw",) if settings.raw_emg else ()
    return ("video", "video_noelec", "video_posed", "mask", "emg", *raw, "truth")


def _film(film: Film, shown: Floats, place: Mapping[Folder, Path]) -> list[Shot]:
    """Film every frame into its videos; returns the shots, of which only the numbers are still valid."""
    shots = []
    with ExitStack() as stack:
        videos: dict[Folder, ClipWriter] = {
            kind: stack.enter_context(
                ClipWriter(place[kind], _FRAME_SIZE, FPS, "mask" if kind == "mask" else "picture")
            )
            for kind in _PICTURES
            if kind in place
        }
        for frame, expression in enumerate(shown):
            shot = film.shot(frame, expression)
            shots.append(shot)
            videos["video_posed"].write(shot.posed)
            if shot.covered is None or shot.mask is None:
                videos["video"].write(shot.clean)
            else:
                videos["video"].write(shot.covered)
                videos["video_noelec"].write(shot.clean)
                videos["mask"].write(shot.mask)
    return shots


def _truth(shown: Floats, performed: Performed, emg: ClipEmg | None, shots: Sequence[Shot]) -> Truth:
    rows = {name: np.stack([getattr(shot, name) for shot in shots]) for name in _FILMED}
    return Truth(
        expression=shown,
        intent=performed.intent.astype(np.float32),
        activation=performed.activation.astype(np.float32),
        emg_intact=np.ones(performed.activation.shape, bool) if emg is None else emg.intact,
        **rows,
    )


def _move(files: Mapping[Path, Path], last: Path, video: Path, uncut: Path) -> int:
    """Bring finished files to their places, `last` at the very end; returns their bytes."""
    size = 0
    for made in files.values():
        with made.open("rb") as file:
            os.fsync(file.fileno())
        size += made.stat().st_size
    for target, made in sorted(files.items(), key=lambda pair: pair[0] == last):
        make_folder(target.parent)
        if target == last:
            size += _link(video, uncut)
        made.replace(target)
    sync_folder(last.parent)
    last_folder = next(iter(files.values())).parent
    last_folder.rmdir()
    return size


def _link(video: Path, uncut: Path) -> int:
    """A synthetic recording starts and ends with its video: what MMM has cut away is nothing here."""
    make_folder(uncut.parent)
    uncut.unlink(missing_ok=True)
    try:
        uncut.hardlink_to(video)
    except OSError:  # some file systems have no second names
        shutil.copyfile(video, uncut)
        uncut.chmod(0o600)
        return uncut.stat().st_size
    return 0


def make_folder(folder: Path) -> None:
    """A folder for its owner only, and those above it that do not exist.  Raises OSError."""
    for each in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
