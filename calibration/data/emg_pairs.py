"""Expression and muscle activity side by side, frame by frame: what EMG2Exp and Exp2EMG are taught and judged with.

    pairs = open_pairs(folder)                          # method="auto", chain="auto"
    pairs.clips[0].expression, pairs.clips[0].envelope_uv

A folder is one of three, and everything behind is the same code:

    signals    `myomirror simulate signals`: synthetic people without pictures; any of the chains that it was made with
    a cohort   `myomirror simulate cohort`: expressions from the parameter files of one method ("Truth", or what an
               encoder has written there), envelopes from the same muscles through any chain
    MMM        recordings of people: parameters of one method, envelopes of jena_offline, which is all that they have
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from calibration.cohort_plan import READING, CohortSettings, random
from calibration.cohort_signals import Signals
from calibration.data.emg_signals import (
    ABOUT,
    JENA,
    LICENCE,
    Floats,
    Rows,
    chain_id_of,
    read_about,
    read_signals,
    recorded,
    recordings_of,
)
from calibration.data.mmm import Clip, Recordings
from calibration.data.mmm_layout import COHORT, METHODS
from calibration.data.readings import FOLDER as READINGS
from calibration.data.readings import Readings
from engines.errors import BadInput

AUTO = "auto"
TRUTH = "Truth"
FOLDS = 5
"""As the paper's cross-validation."""

_FLAME55 = ("expression", "eyelid", "jaw")
_LIVE = "standard"
_FIRST_OF = (TRUTH, "EIFER", "SMIRK", "MediaPipe")  # what "auto" takes
_SAME = 1e-4  # activations of one performance, rounded to float32 twice


@dataclass(frozen=True)
class Pairs:
    """All clips with electrodes of one folder.  profile: of the expressions.  chain: name of the EMG chain."""

    folder: Path
    profile: str
    method: str
    chain: str
    clips: tuple[Rows, ...]
    origin: str
    licence: str
    synthetic: bool

    @property
    def chain_id(self) -> str:
        """What a manifest's emg_chain says."""
        return chain_id_of(self.chain)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """The participants, sorted."""
        return tuple(sorted({clip.id.pid for clip in self.clips}))

    def fold(self, number: int, folds: int = FOLDS) -> tuple[str, ...]:
        """Who is held out in one fold, from 0: everybody once, dealt out in the order of their ids.

        Raises BadInput for a fold that does not exist, or when a fold would be empty.
        """
        if not 0 <= number < folds or len(self.people) < folds:
            raise BadInput(
                f"fold {number} of {folds} cannot be held out of {len(self.people)} people: folds count from 0, and "
                "each needs a person"
            )
        return self.people[number::folds]

    def select(self, people: Sequence[str]) -> Pairs:
        """Only these people.  Raises BadInput for one that is not there."""
        if absent := sorted(set(people) - set(self.people)):
            raise BadInput(f"{self.folder} has no person {absent[0]!r}: it has {', '.join(self.people)}")
        return replace(self, clips=tuple(clip for clip in self.clips if clip.id.pid in people))


def open_pairs(folder: Path, method: str = AUTO, chain: str = AUTO) -> Pairs:
    """Read a folder of one of the three kinds.

    method: whose parameters the expressions are, one of METHODS; "auto" takes the truth where it is known, else EIFER,
    SMIRK or MediaPipe.  chain: "fast", "standard", "calm" or "jena_offline"; "auto" takes the live "standard" where it
    can be had, else jena_offline.
    Raises BadInput, in one sentence, for a folder, method or chain that is not there, columns that are missing, or
    rows that do not go with frames.
    """
    if chain != AUTO:
        chain_id_of(chain)
    if (folder / ABOUT).is_file():
        return _from_signals(folder, method, chain)
    return _from_mmm(Recordings.open(folder), method, chain)


def _from_signals(folder: Path, method: str, chain: str) -> Pairs:
    about = read_about(folder)
    chain = _first(about["chains"]) if chain == AUTO else chain
    if method in (AUTO, TRUTH):
        clips = tuple(read_signals(folder, chain))
        return Pairs(folder, about["profile"], TRUTH, chain, clips, _made(about), LICENCE, True)
    path = folder / READINGS / f"{method}.npz"
    if not path.is_file():
        raise BadInput(
            f"{folder} holds signals without pictures, so there is only the {TRUTH}, no {method!r}, until myomirror "
            f"parameters {method}=ENCODER --data {folder} --faces FACES has said how an encoder reads"
        )
    readings, seed = Readings.open(path), int(about["settings"]["seed"])
    clips = tuple(_as_read(rows, readings, seed) for rows in read_signals(folder, chain))
    return Pairs(folder, about["profile"], method, chain, clips, f"{_made(about)}, {method} modelled", LICENCE, True)


def _as_read(rows: Rows, readings: Readings, seed: int) -> Rows:
    person, moment = (random(seed, READING, *name.encode()) for name in (rows.id.pid, str(rows.id)))
    return replace(rows, expression=readings.of(rows.expression, person, moment))


def _first(chains: Mapping[str, str]) -> str:
    return _LIVE if _LIVE in chains else next(iter(chains))


def _made(about: Mapping[str, Any]) -> str:
    made = about["settings"]
    return f"signals of {made['participants']} synthetic people, seed {made['seed']}"


def _from_mmm(recordings: Recordings, method: str, chain: str) -> Pairs:
    clips = recordings.select(electrodes=True)
    if not clips:
        raise BadInput(f"{recordings.folder} has no clips with electrodes, so there is no EMG in it")
    method = _method(recordings, clips, method)
    profile = "flame55" if "jaw" in METHODS[method] else "arkit52"
    if chain == AUTO:
        chain = _LIVE if recordings.synthetic else JENA
    if chain == JENA:
        rows = tuple(_read(clip, method) for clip in clips)
    elif recordings.synthetic:
        rows = tuple(_with_live(recordings, clips, method, chain))
    else:
        raise BadInput(
            f"{recordings.folder} holds envelopes of {JENA} only, {chain} cannot be made from them: use chain={JENA}"
        )
    origin = str(recordings.about.get("origin", "recordings in MMM's layout"))
    if recordings.synthetic:
        origin = f"{origin}: cohort, seed {recordings.about['settings']['seed']}"
    licence = str(recordings.about.get("licence", "as its owner says; MMM: CC BY-NC"))
    return Pairs(recordings.folder, profile, method, chain, rows, f"{origin}, {method}", licence, recordings.synthetic)


def _method(recordings: Recordings, clips: Sequence[Clip], method: str) -> str:
    there = set(METHODS).intersection(*(clip.parameter_files for clip in clips))
    if method == AUTO and (found := [name for name in (*_FIRST_OF, *METHODS) if name in there]):
        return found[0]
    if method not in there:
        listed = f"it has {', '.join(sorted(there))}" if there else "it has none at all"
        wanted = "" if method == AUTO else f" of {method!r}"
        raise BadInput(f"{recordings.folder} has no expression parameters{wanted} for every clip: {listed}")
    return method


def _expression(clip: Clip, method: str) -> Floats:
    groups = clip.parameters(method)
    if "blendshapes" in groups:
        return groups["blendshapes"]
    return np.concatenate([groups[name] for name in _FLAME55], axis=1)


def _read(clip: Clip, method: str) -> Rows:
    envelope_uv = clip.emg_uv()
    intact = clip.truth().emg_intact if clip.has("truth") else np.ones(envelope_uv.shape, bool)
    return Rows(clip.id, _expression(clip, method), envelope_uv, intact)


def _with_live(recordings: Recordings, clips: Sequence[Clip], method: str, chain: str) -> Iterator[Rows]:
    """A cohort's expressions as they lie there, with envelopes made anew from its plan."""
    said = recordings.about["settings"]
    settings = CohortSettings(**{**said, "tasks": tuple(said["tasks"])})
    plans = {str(plan.ids[0].session): plan for plan in recordings_of(settings)}
    by_session: dict[str, list[Clip]] = {}
    for clip in clips:
        by_session.setdefault(clip.id.session, []).append(clip)
    for session, own in by_session.items():
        if session not in plans:
            raise BadInput(f"{recordings.folder} names {session}, which its settings do not plan: use chain={JENA}")
        _refuse_other_simulator(Signals(settings, plans[session]), plans[session].ids.index(own[0].id), own[0])
        made = {rows.id: rows for rows in recorded(settings, plans[session], chain)}
        for clip in own:
            shown = _expression(clip, method)
            if len(shown) != len(made[clip.id].envelope_uv):
                raise BadInput(f"{clip.id} has {len(shown)} frames, its plan {len(made[clip.id].envelope_uv)}")
            yield replace(made[clip.id], expression=shown)


def _refuse_other_simulator(signals: Signals, place: int, clip: Clip) -> None:
    """Raises BadInput when this version's simulator does something else than the one that made the cohort."""
    truth = clip.truth().activation
    if np.abs(signals.performed(place, len(truth)).activation - truth).max() > _SAME:
        raise BadInput(
            f"the cohort in {clip.folder} ({COHORT}) was made by another version of the simulator: use chain={JENA}, "
            "or make it again"
        )
