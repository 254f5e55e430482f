"""Synthetic people as signals only: what shows and what the electrodes pick up, frame by frame, without a picture.

    signals.json            settings, EMG chains, versions; complete or not
    {pid}_{rec}.npz         one recording: its clips' rows, one after the other

The envelope of a live chain is read as rt/stages/join.py does: at each frame's time, the last value that is there.
Everything follows from the cohort's settings, so that a cohort that was rendered has these very signals too.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import CohortSettings, Participant, RecordingPlan, plan_people, plan_recordings
from calibration.cohort_signals import RATE_HZ, Signals
from calibration.data.mmm_layout import FPS, ClipId
from calibration.data.truth import write_arrays
from engines.emg.chain import PRESETS, chain_id, preset
from engines.emg.envelope import Envelope
from engines.emg.jena import JENA_CHAIN_ID
from engines.emg.montage import FRIDLUND
from engines.emg.simulator import ORIGIN
from engines.errors import BadInput
from rt.recording.disk import write_atomically

ABOUT = "signals.json"
JENA = "jena_offline"
CHAINS = (*PRESETS, JENA)
LICENCE = "made by MyoMirror's simulator, Apache-2.0 as the program; nobody was recorded"

Floats = npt.NDArray[np.float32]

_BLOCK_S = 10.0  # of raw EMG in memory
_RINGS_S = 1.5  # a lead that comes back from the rail is a step of 0.2 V: the notches ring so long (1.3 mV after 0.3 s)
_STEP_S = 0.25  # shorter than what an artefact is widened by anyway
_NAMES = tuple(f"{n:04d}" for n in range(1002))  # stand for photos: nobody is drawn here


@dataclass(frozen=True)
class Rows:
    """One clip.  expression: (frame, parameter); envelope_uv, intact: (frame, 22), FRIDLUND order."""

    id: ClipId
    expression: Floats
    envelope_uv: Floats
    intact: npt.NDArray[np.bool_]  # no artefact of electrodes or cables within reach of the envelope


def chain_id_of(name: str) -> str:
    """The id of a chain by its name.  Raises BadInput for another than `fast`, `standard`, `calm`, `jena_offline`."""
    if name == JENA:
        return JENA_CHAIN_ID
    if name not in PRESETS:
        raise BadInput(f"there is no EMG chain {name!r}: choose {', '.join(CHAINS)}")
    return chain_id(preset(name), RATE_HZ)


def people_of(settings: CohortSettings) -> tuple[Participant, ...]:
    """The people of a cohort, whose innervation and loudness depend on no photo."""
    return plan_people(settings, _NAMES)


def recordings_of(settings: CohortSettings) -> tuple[RecordingPlan, ...]:
    """Every recording with electrodes."""
    return tuple(plan for plan in plan_recordings(settings, people_of(settings)) if plan.electrodes)


def recorded(settings: CohortSettings, plan: RecordingPlan, chain: str) -> tuple[Rows, ...]:
    """The clips of one recording with the expression that the face shows (arkit52, without gaze).

    chain: one of CHAINS.  Only the tasks of the settings; only the beginning of each clip where they say so.
    """
    signals = Signals(settings, plan)
    wanted = [place for place, clip in enumerate(plan.clips) if clip.task.name in settings.tasks]
    frames = [_frames(settings, plan, place) for place in wanted]
    starts_s = signals.performance.first_s[wanted]
    times = [start_s + np.arange(count) / FPS for start_s, count in zip(starts_s, frames, strict=True)]
    if chain == JENA:
        emg = [signals.clip_emg(place, count) for place, count in zip(wanted, frames, strict=True)]
        envelopes, intact = [one.envelope_uv for one in emg], [one.intact for one in emg]
    else:
        cuts = np.cumsum(frames)[:-1]
        envelopes = np.split(live_envelope(signals, np.concatenate(times), chain), cuts)
        intact = [_untouched(signals, t) & np.isfinite(e) for t, e in zip(times, envelopes, strict=True)]
    shown = (signals.performance.expression(t).astype(np.float32) for t in times)
    ids = [plan.ids[place] for place in wanted]
    rows = zip(ids, shown, envelopes, intact, strict=True)
    return tuple(Rows(name, face, np.nan_to_num(uv).astype(np.float32), good) for name, face, uv, good in rows)


def live_envelope(signals: Signals, t_s: npt.NDArray[np.float64], chain: str) -> Floats:
    """The envelope of a live chain as it is known at moments of a recording.

    t_s: (frame,) rising seconds of the performance.  chain: a preset.  Returns (frame, 22) float32 microvolt, NaN
    where the samples were lost.
    """
    emg, envelope = signals.emg, Envelope(preset(chain))
    wanted = np.floor(t_s * emg.true_rate_hz + 1e-6).astype(np.int64)
    found = np.full((len(t_s), len(FRIDLUND)), np.nan, np.float32)
    expected, count = 0, round(_BLOCK_S * RATE_HZ)
    for begin in range(0, int(wanted[-1]) + 1, count):
        for first, piece in emg.pieces(begin, count):
            values = envelope.process(piece, RATE_HZ, restart=first != expected)
            expected = first + len(piece)
            frames = slice(*np.searchsorted(wanted, [first, expected]))
            found[frames] = values[wanted[frames] - first]
    return found


def make_signals(
    settings: CohortSettings, chains: Sequence[str], out: Path, processes: int, made: Callable[[int], None]
) -> int:
    """Write a folder of signals, going on where it was interrupted.  made: called with 1 for every recording.

    Returns the number of recordings.  Raises BadInput for a folder that holds something else.
    """
    if not chains:
        raise BadInput(f"name at least one EMG chain: {', '.join(CHAINS)}")
    if processes < 1:
        raise BadInput(f"processes must be 1 or more, found {processes}")
    about = {
        "what": "Signals of synthetic people made by MyoMirror. Nobody was recorded; no pictures were made.",
        "origin": ORIGIN,
        "licence": LICENCE,
        "profile": "arkit52",
        "settings": settings.as_json(),
        "chains": {name: chain_id_of(name) for name in chains},
        "folds": {person.pid: person.fold for person in people_of(settings)},
        "versions": {name: version(name) for name in ("myomirror", "numpy", "scipy", "numba")},
    }
    _claim(out, about)
    plans = recordings_of(settings)

    def make(plan: RecordingPlan) -> None:
        path = out / f"{plan.participant.pid}_{plan.rec}.npz"
        if not path.exists():
            _write(path, {chain: recorded(settings, plan, chain) for chain in chains})
        made(1)

    with ThreadPoolExecutor(processes) as threads:  # nearly all is done in compiled code, beside the GIL
        list(threads.map(make, plans))
    write_atomically(out / ABOUT, _json({"complete": True, **about}))
    return len(plans)


def read_about(folder: Path) -> dict[str, Any]:
    """What signals.json says.  Raises BadInput for another file, or an unfinished folder."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / ABOUT} cannot be read ({error}): make the signals again") from None
    if not isinstance(about, dict) or not about.get("complete"):
        raise BadInput(f"the signals in {folder} are not finished: run the command that makes them again, it goes on")
    return about


def read_signals(folder: Path, chain: str) -> Iterator[Rows]:
    """All clips of a folder of signals.  Raises BadInput for files that are damaged, or a chain that is not there."""
    chains = read_about(folder)["chains"]
    if chain not in chains:
        raise BadInput(f"{folder} holds no envelopes of {chain}: it has {', '.join(chains)}; choose with chain=")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise BadInput(f"{folder} holds no recordings: make the signals again")
    for path in paths:
        yield from _read(path, chain)


def _frames(settings: CohortSettings, plan: RecordingPlan, place: int) -> int:
    whole = round(plan.clips[place].duration_s * FPS)
    return whole if settings.seconds is None else min(whole, max(1, round(settings.seconds * FPS)))


def _untouched(signals: Signals, t_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(frame, 22): no artefact now, nor so shortly before that a causal chain still rings."""
    untouched = ~signals.spoilt(t_s)
    for ago_s in np.arange(_STEP_S, _RINGS_S + _STEP_S, _STEP_S):
        untouched &= ~signals.spoilt(t_s - ago_s)
    return untouched


def _write(path: Path, by_chain: Mapping[str, Sequence[Rows]]) -> None:
    rows = next(iter(by_chain.values()))
    arrays: dict[str, npt.NDArray[Any]] = {
        "ids": np.array([str(clip.id) for clip in rows]),
        "frames": np.array([len(clip.expression) for clip in rows], np.int64),
        "expression": np.concatenate([clip.expression for clip in rows]),
    }
    for chain, clips in by_chain.items():
        arrays[f"envelope_uv_{chain}"] = np.concatenate([clip.envelope_uv for clip in clips])
        arrays[f"intact_{chain}"] = np.concatenate([clip.intact for clip in clips])
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    write_arrays(part, arrays)
    part.replace(path)


def _read(path: Path, chain: str) -> Iterator[Rows]:
    try:
        with np.load(path, allow_pickle=False) as found:
            names = ("ids", "frames", "expression", f"envelope_uv_{chain}", f"intact_{chain}")
            ids, frames, *columns = (found[name] for name in names)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is no recording of signals ({error}): make the signals again") from None
    if len({len(column) for column in columns} | {int(frames.sum())}) != 1:
        raise BadInput(f"{path} holds arrays of different lengths: make the signals again")
    pieces = zip(*(np.split(column, np.cumsum(frames)[:-1]) for column in columns), strict=True)
    for name, (expression, envelope_uv, intact) in zip(ids, pieces, strict=True):
        yield Rows(ClipId.parse(str(name)), expression, envelope_uv, intact)


def _claim(out: Path, about: Mapping[str, Any]) -> None:
    path = out / ABOUT
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if {**found, "complete": None} != {**json.loads(_json(about)), "complete": None}:
            raise BadInput(f"{out} holds other signals: choose another folder, or the same settings")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} holds something else than signals: choose another folder")
    else:
        out.mkdir(parents=True, mode=0o700, exist_ok=True)
        write_atomically(path, _json({"complete": False, **about}))


def _json(about: Mapping[str, Any]) -> bytes:
    return (json.dumps(about, indent=1) + "\n").encode()
