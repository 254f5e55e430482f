"""The synthetic cohort on disk: makes it, goes on where it was interrupted, and writes down what it is.

Order of things: the folder is claimed and `cohort.json` says what it is going to be; clips are made, each complete or
absent; the indices MMM.csv and MMM_3DMM.csv are written; `cohort.json` says that it is complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from calibration.cohort_clip import MAKING, is_complete, make_folder
from calibration.cohort_plan import (
    ClipPlan,
    CohortSettings,
    Participant,
    plan_clips,
    plan_people,
    splits,
)
from calibration.cohort_signals import RATE_HZ
from calibration.cohort_sources import CREDIT, Sources, hash_model
from calibration.cohort_stage import FaceStage
from calibration.cohort_tables import index_bytes, json_bytes
from calibration.cohort_workers import Job, Made, make_all
from calibration.data.mmm_layout import (
    COHORT,
    FPS,
    INDEX,
    INDEX_COLUMNS,
    PARAMETER_INDEX,
    PARAMETER_INDEX_COLUMNS,
    SIZE_PX,
    index_row,
    parameter_row,
)
from engines.emg.jena import JENA_CHAIN_ID
from engines.emg.profile import Profile
from engines.emg.simulator import ORIGIN
from engines.errors import BadInput
from rt.recording.disk import hash_file, write_atomically

WHAT = "A synthetic cohort made by MyoMirror. Nobody was recorded; it says nothing about any person or patient."
LICENCE = "CC BY 4.0, as the photos that the faces are made from"
CREDITS = (
    f"Faces: {CREDIT}; fitted, textured, animated and altered",
    "Electrode places: after MediaPipe's canonical face, Apache-2.0, Google",
    "Face model: ICT-FaceKit Light, Li et al., CVPR 2020, MIT licence, USC Institute for Creative Technologies",
)
_VERSIONS = ("myomirror", "numpy", "scipy", "numba", "opencv-contrib-python", "mediapipe", "av")


@dataclass(frozen=True)
class Cohort:
    """A cohort that is to be made.  about: what cohort.json says of it, without `complete`."""

    settings: CohortSettings
    people: tuple[Participant, ...]
    clips: tuple[ClipPlan, ...]
    about: Mapping[str, Any]


MakeAll = Callable[[Job, Sequence[ClipPlan], int, Made], None]


class Outcome(NamedTuple):
    """What a run did: clips made now, and before; bytes made now."""

    made: int
    found: int
    size: int


def plan_cohort(settings: CohortSettings, sources: Sources) -> Cohort:
    """Who and what; reads the sources' hashes.  Raises BadInput when there are too few photos."""
    photos = sources.photos
    people = plan_people(settings, list(photos.landmarks_px))
    used = sorted({name for person in people for name in person.photos})
    about = {
        "what": WHAT,
        "origin": ORIGIN,
        "licence": LICENCE,
        "attribution": list(CREDITS),
        "settings": settings.as_json(),
        "versions": {name: version(name) for name in _VERSIONS},
        "sources": {
            "face_model": hash_model(sources.face_model),
            "photos_with_a_face": len(photos.landmarks_px),
            "photos": {name: hash_file(photos.files[name]) for name in used},
        },
        "video": {"width": SIZE_PX, "height": SIZE_PX, "fps": FPS},
        "emg": {"rate_hz": RATE_HZ, "chain": "jena_offline", "chain_id": JENA_CHAIN_ID, "unit": "microvolts"},
        "splits": dict(splits(people)),
        "participants": [_participant(person, settings.sessions) for person in people],
    }
    return Cohort(settings, people, plan_clips(settings, people), about)


def _participant(person: Participant, sessions: int) -> dict[str, Any]:
    return {
        "pid": person.pid,
        "split": person.split,
        "fold": person.fold,
        "photos": dict(zip(person.photos, person.weights, strict=True)),
        "condition": person.condition,
        "sessions": [
            {"session": session, **_profile(person.profile(session, sessions))} for session in range(1, sessions + 1)
        ],
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "label": profile.label,
        "asymmetry_percent": {name: round(value, 2) for name, value in profile.asymmetry_percent().items()},
        "synkinesis": [{"from": s.source, "to": s.target, "gain": s.gain} for s in profile.synkinesis],
        "gains": dict(profile.gains),
        "co_contraction": dict(profile.co_contraction),
        "tone": dict(profile.tone),
    }


def face_job(cohort: Cohort, sources: Sources, out: Path) -> Job:
    """The job of making a cohort from photos."""
    return Job(cohort.settings, out, FaceStage, (sources,))


def make_cohort(
    cohort: Cohort,
    job: Job,
    processes: int,
    made: Made,
    found: Callable[[int], None] = lambda clips: None,
    make: MakeAll = make_all,
) -> Outcome:
    """Make what is not there yet.

    made: called for every clip, with its bytes.  found: called before, with the number of clips that are there.
    make: how clips are shared out.
    Raises BadInput when the folder holds something else, DataLost when the disk is full or a process was ended; what
    is complete is kept, and the same call goes on.
    """
    out = job.out
    if not 1 <= processes <= 1024:
        raise BadInput(f"processes must be 1 to 1024, found {processes}")
    with _claimed(out, cohort.about):
        missing = [plan for plan in cohort.clips if not is_complete(out, plan.id)]
        found(len(cohort.clips) - len(missing))
        sizes: list[int] = []

        def count(plan: ClipPlan, size: int) -> None:
            sizes.append(size)
            made(plan, size)

        make(job, missing, processes, count)
        _write_indices(out, cohort.clips)
        _write_about(out, cohort.about, True)
    return Outcome(len(missing), len(cohort.clips) - len(missing), sum(sizes))


@contextmanager
def _claimed(out: Path, about: Mapping[str, Any]) -> Iterator[None]:
    """The folder is this cohort's and nobody else is making it.  Leaves no unfinished files behind."""
    _refuse_other(out, about)
    try:
        make_folder(out)
        make_folder(out / MAKING)
        lock = os.open(out / MAKING / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"no cohort can be made in {out} ({error.strerror}): choose another folder") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise BadInput(f"another process is making the cohort in {out}: wait for it or stop it") from None
    try:
        if not (out / COHORT).exists():
            _write_about(out, about, False)
        yield
    finally:
        shutil.rmtree(out / MAKING, ignore_errors=True)
        os.close(lock)


def _refuse_other(out: Path, about: Mapping[str, Any]) -> None:
    """Raises BadInput when a folder is not empty and not this cohort's."""
    if not out.exists() or (out.is_dir() and set(os.listdir(out)) <= {MAKING}):
        return
    path = out / COHORT
    if not path.is_file():
        raise BadInput(f"{out} holds something else than a cohort: choose another folder")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise BadInput(f"{path} is no JSON: choose another folder, or remove this one") from None
    if other := _first_difference(found, json.loads(json_bytes(about)), ""):
        raise BadInput(f"{out} holds another cohort ({other}): choose another folder, or the same settings")


def _first_difference(there: Any, here: Any, name: str) -> str:
    """Where two cohorts differ, in words; "" where they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [key for key in {**here, **there} if name or key != "complete"]
        differences = (_first_difference(there.get(key), here.get(key), f"{name}.{key}".lstrip(".")) for key in keys)
        return next((text for text in differences if text), "")
    if there == here:
        return ""
    return f"{name} is {_short(there)} there and {_short(here)} here"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _write_about(out: Path, about: Mapping[str, Any], complete: bool) -> None:
    write_atomically(out / COHORT, json_bytes({"complete": complete, **about}))


def _write_indices(out: Path, clips: Sequence[ClipPlan]) -> None:
    with_electrodes = [parameter_row(plan.id, ("Truth",)) for plan in clips if plan.id.electrodes]
    write_atomically(out / PARAMETER_INDEX, index_bytes((*PARAMETER_INDEX_COLUMNS, "Truth"), with_electrodes))
    write_atomically(out / INDEX, index_bytes(INDEX_COLUMNS, [index_row(plan.id) for plan in clips]))
