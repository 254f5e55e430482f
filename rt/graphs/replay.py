"""A recording in place of camera and amplifier, through the same graph as a live session."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rt.errors import BadRecording
from rt.graph import Graph, NodeSpec
from rt.graphs.therapy import therapy_graph
from rt.recording.session_folder import SessionFolder
from rt.station import Station, parse_station


def replay_station(recording: Path, port: int, record: Path | None) -> Station:
    """The station that made the recording, without its devices. Raises BadRecording for a folder that is none."""
    folder = SessionFolder.open(recording)
    content: dict[str, Any] = dict(folder.info["settings"])
    if not content:
        raise BadRecording(f"{recording} does not say which station made it: it cannot be replayed")
    content["page"] = {**content.get("page", {}), "port": port}
    content["recording"] = {**content.get("recording", {}), "enabled": record is not None}
    if record is not None:
        content["recording"]["folder"] = record
    content["lsl_out"] = {"enabled": False}
    return parse_station(content, f"the settings in {recording}")


def replay_graph(
    recording: Path, speed: float, station: Station, headless: bool, token: str, port: int, start_s: float
) -> Graph:
    """The therapy graph with both sources replaced."""
    graph = therapy_graph(station, headless, token, port, start_s)
    settings = {"recording": str(recording.resolve()), "speed": speed}
    sources = {"camera": "rt.sources.replay:ReplayCamera", "emg": "rt.sources.replay:ReplayEmg"}

    def as_replay(node: NodeSpec) -> NodeSpec:
        return replace(node, kind=sources[node.name], settings=settings) if node.name in sources else node

    return replace(graph, nodes=tuple(as_replay(node) for node in graph.nodes))
