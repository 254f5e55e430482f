"""A calibration as a session: the therapy session's picture and muscles, a guide beside them, and the page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calibration.guide_stage import mesh_of_bundle
from rt import assets
from rt.errors import BadSettings, MissingDevice
from rt.graph import LATEST, EdgeSpec, Graph, NodeSpec
from rt.graphs.therapy import therapy_graph
from rt.person_files import EMG_CALIBRATION, for_subject, person_folder
from rt.station import Station

GROUP = "guide"
_USUAL = "pixel-smile-open"


def calibration_station(station: Station, subject: str | None, emg: bool | None) -> Station:
    """The station as a calibration runs it: this person, nothing recorded or sent on, no networks beside the picture.

    emg: whether muscles are calibrated too; None: where there is an amplifier and this person has no calibration yet,
    because measuring rest anew forgets every muscle's strongest contraction.
    Raises BadSettings when muscles are asked for and the station has no amplifier.
    """
    found = for_subject(station, subject)
    has_amplifier = found.emg.kind != "none"
    if emg and not has_amplifier:
        raise BadSettings("muscles cannot be calibrated: this station has no amplifier (emg.kind is none)")
    own = found.envelope.calibration or person_folder(found) / EMG_CALIBRATION
    wanted = has_amplifier and not own.is_file() if emg is None else emg
    section = found.emg if wanted else found.emg.model_copy(update={"kind": "none"})
    return found.model_copy(
        update={
            "emg": section,
            "envelope": found.envelope.model_copy(update={"calibration": own if wanted else None}),
            "practise": found.practise.model_copy(update={"view": "camera"}),
            "restore": found.restore and found.restore.model_copy(update={"view": "restored"}),
            "expression": None,
            "estimate": None,
            "recording": found.recording.model_copy(update={"enabled": False}),
            "lsl_out": found.lsl_out.model_copy(update={"enabled": False}),
            "placement": {},
        }
    )


def movements_to_fit(station: Station, asked: Sequence[str]) -> tuple[str, ...]:
    """The movements to calibrate: those asked for, else the station's, else an open smile.

    Raises BadSettings for one that cannot be refined.
    """
    if asked:
        wanted = tuple(dict.fromkeys(asked))
        for name in wanted:
            mesh_of_bundle(name)
        return wanted
    try:
        mesh_of_bundle(station.practise.map)
    except BadSettings:
        return (_USUAL,)  # by gain and bias alone, or a path that is not there: the page says what is fitted
    return (station.practise.map,)


@contextlib.contextmanager
def person_folder_for(station: Station) -> Iterator[Path]:
    """The person's folder, 0700, made before anybody sits down, and gone again when nothing was kept in it.

    Raises BadSettings when it cannot be written.
    """
    folder = person_folder(station)
    is_new, root_is_new = not folder.exists(), not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(f"{folder} cannot be made ({error.strerror}): set practise.people to another") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadSettings(f"{folder} cannot be written: make it yours, or set practise.people to another")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # something was kept
            if is_new:
                folder.rmdir()
            if root_is_new:
                folder.parent.rmdir()


def calibration_graph(
    station: Station, movements: Sequence[str], token: str, port: int, start_s: float, countdown_s: float
) -> Graph:
    """Nodes and edges; the guide looks at finished pictures in a process of its own.

    station: from `calibration_station`.  Raises MissingDevice where no face can be followed.
    """
    synthetic = station.camera.kind == "synthetic"
    if not synthetic and station.face.model is None and assets.find(assets.FACE_LANDMARKER) is None:
        raise MissingDevice("a face cannot be followed without MediaPipe's model: run `myomirror assets fetch`")
    graph = therapy_graph(station, False, token, port, start_s)
    settings: dict[str, Any] = {
        "subject": station.subject,
        "folder": str(person_folder(station)),
        "movements": list(movements),
        "emg": station.emg.kind != "none",
        "removes": station.restore is not None,
        "synthetic": synthetic,
        "countdown_s": countdown_s,
    }
    guide = NodeSpec("guide", "calibration.guide_stage:GuideStage", GROUP, settings)
    edges = (
        EdgeSpec("paste_back.frame", "guide.frame", LATEST),
        EdgeSpec("guide.guide", "page.guide", LATEST),
    )
    nodes = tuple(_guided(node, movements) for node in graph.nodes)
    return replace(graph, nodes=(*nodes, guide), edges=(*graph.edges, *edges))


def _guided(node: NodeSpec, movements: Sequence[str]) -> NodeSpec:
    """The page knows that it guides; the map begins with what is fitted."""
    if node.name == "page":
        return replace(node, settings={**node.settings, "guided": True})
    if node.name == "pixel_map":
        return replace(node, settings={**node.settings, "bundle": movements[0]})
    return node
