"""A recording, looked at: the graph that it goes through, and what its tables must say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration.data.mmm import Recordings
from calibration.offline.chain import offline_graph
from calibration.offline.clip_sources import clip_of
from calibration.offline.order import Order, Recording
from engines.emg.jena import JENA_CHAIN_ID
from engines.emg.measures import Calibration
from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from rt.errors import BadRecording
from rt.graph import Graph, NodeSpec
from rt.graphs.replay import replay_station
from rt.recording.recorded import recorded_events, recorded_table
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, ENVELOPE, FRAMES
from rt.recording.xdf_reader import Header, Samples, walk
from rt.station import Station, parse_station


@dataclass(frozen=True)
class Prepared:
    """A recording, checked.

    graph: of its stages.  files: that the result depends on.  pictures: that can be read, of `recorded` ones.
    calibration: in force when it was recorded.  about: what processed.json says of the recording.  notes: sentences.
    """

    graph: Graph
    files: tuple[Path, ...]
    pictures: int
    recorded: int
    synthetic: bool
    calibration: Calibration | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def prepare(recording: Recording, order: Order) -> Prepared:
    """Read what a recording says about itself and build its graph.

    Raises BadRecording, BadSettings or BadInput, in one sentence, when it cannot be processed.
    """
    return _prepare_clip(recording, order) if recording.clip else _prepare_session(recording, order)


# ---------------------------------------------------------------------- a session of our own


def _prepare_session(recording: Recording, order: Order) -> Prepared:
    folder = SessionFolder.open(recording.path)
    name = folder.path.name
    if folder.info.get("state") == "recording":
        raise BadRecording(f"{name} was not closed: end its session, or run `myomirror repair {folder.path}` first")
    if not folder.signals.is_file():
        raise BadRecording(f"{name} holds no signals.xdf: nothing can be processed")
    frames = recorded_table(folder.signals, FRAMES)
    pictures = 0 if frames is None else int(np.count_nonzero((frames.values[:, 1] > 0) & (frames.values[:, 4] > 0)))
    if frames is None or not pictures or not folder.videos():
        raise BadRecording(f"{name} holds no video, and every row is a picture's: `myomirror export` gives its signals")
    start, has_emg, chain = _facts(folder.signals)
    station = _station_of(folder, order)
    if not has_emg:
        station = _without_emg(station)
    settings = {"recording": str(folder.path), "speed": 0.0, "t_start": start}
    sources = {
        "camera": NodeSpec("camera", "rt.sources.replay:ReplayCamera", "camera", settings),
        "emg": NodeSpec("emg", "rt.sources.replay:ReplayEmg", "emg", settings),
    }
    graph, notes = offline_graph(station, order, sources)
    about = {"name": name, "kind": "session", "subject": folder.info.get("subject"), "consent": folder.info["consent"]}
    return Prepared(
        graph=graph,
        files=(folder.signals, *folder.videos()),
        pictures=pictures,
        recorded=len(frames.stamps),
        synthetic=bool(folder.info.get("synthetic")),
        calibration=_calibration(station, order, folder.signals, chain),
        about=about,
        notes=tuple(notes),
    )


def _station_of(folder: SessionFolder, order: Order) -> Station:
    if order.station is not None:
        return parse_station(dict(order.station), "the station file")
    if not folder.info.get("settings"):
        raise BadRecording(f"{folder.path.name} does not say which station made it: give one with --station FILE")
    return replay_station(folder.path, 0, None)


def _without_emg(station: Station) -> Station:
    return station.model_copy(update={"emg": station.emg.model_copy(update={"kind": "none"})})


def _facts(signals: Path) -> tuple[float, bool, str]:
    """The first stamp of EMG or pictures (as a replay takes it), whether there is EMG, the id of the recorded chain."""
    start, has_emg, chain = None, False, ""
    for _, item in walk(signals, only=(EMG, FRAMES)):
        if isinstance(item, Header) and item.spec.name == ENVELOPE:
            chain = item.spec.details.get("emg_chain", "")
        elif isinstance(item, Samples) and len(item.stamps):
            start = float(item.stamps[0]) if start is None else start
            has_emg |= item.spec.name == EMG
    return start or 0.0, has_emg, chain


def _calibration(station: Station, order: Order, signals: Path, chain: str) -> Calibration | None:
    """The last one that was in force, for the whole recording; a station file's own, where one was given.

    Raises BadInput when that file is damaged.
    """
    if order.station is not None:
        path = station.envelope.calibration
        return _read_calibration(path) if path is not None and path.exists() else None
    for event in reversed(recorded_events(signals)):
        data = event.data
        if event.kind == "CALIBRATION" and {"rest_uv", "rest_sd_uv", "reference_uv", "labels"} <= data.keys():
            if any(value is None for value in data["rest_uv"]):
                return None
            rest, sd, reference = (tuple(0.0 if v is None else float(v) for v in data[key]) for key in _CALIBRATED)
            return Calibration(chain, tuple(data["labels"]), rest, sd, reference, event.text)
    return None


_CALIBRATED = ("rest_uv", "rest_sd_uv", "reference_uv")


def _read_calibration(path: Path) -> Calibration:
    """Whatever chain it was made with: the stage says so when it is another."""
    try:
        chain = str(json.loads(path.read_text()).get("chain_id", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is no calibration ({error}): calibrate this person first") from None
    return Calibration.load(path, chain).for_labels(FRIDLUND.labels)


# ---------------------------------------------------------------------- a clip in MMM's layout


def _prepare_clip(recording: Recording, order: Order) -> Prepared:
    clip = clip_of(recording.path, recording.clip)
    recordings = Recordings.open(recording.path)
    station = parse_station(dict(order.station or {}), "the station file")
    raw, envelope = clip.has("emg_raw"), clip.has("emg")
    if not (raw or envelope):
        station = _without_emg(station)
    settings = {"folder": str(recording.path), "clip": recording.clip}
    module = "calibration.offline.clip_sources"
    sources = {"camera": NodeSpec("camera", f"{module}:ClipCamera", "camera", settings)}
    if raw:
        sources["emg"] = NodeSpec("emg", f"{module}:ClipEmg", "emg", settings)
    elif envelope:
        sources["envelope"] = NodeSpec("envelope", f"{module}:ClipEnvelope", "emg", settings)
    graph, notes = offline_graph(station, order, sources, "" if raw or not envelope else JENA_CHAIN_ID)
    return Prepared(
        graph=graph,
        files=tuple(clip.file(kind) for kind in ("video", "emg_raw", "emg") if clip.has(kind)),
        pictures=clip.video.frames,
        recorded=clip.video.frames,
        synthetic=recordings.synthetic,
        about={"name": recording.clip, "kind": "clip", "subject": clip.id.pid, **_owner(recordings)},
        notes=tuple(notes),
    )


def _owner(recordings: Recordings) -> dict[str, str]:
    default = {"origin": "recordings in MMM's layout", "licence": "as their owner says; MMM: CC BY-NC"}
    return {name: str(recordings.about.get(name, text)) for name, text in default.items()}
