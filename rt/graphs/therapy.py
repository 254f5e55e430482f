"""The therapy session as data: camera and EMG in, live page (or encoder), recorder and LSL outlets out."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from engines.emg.envelope import chain_id, group_delay_ms, preset
from engines.emg.montage import FRIDLUND
from rt import assets
from rt.graph import LATEST, LOSSLESS, EdgeSpec, Graph, NodeSpec
from rt.graphs.estimates import Estimates, estimates_of
from rt.graphs.motion import FrontalPart, frontal_part
from rt.person_files import person_folder
from rt.stages.crop import CropStageSettings
from rt.stages.pixel_map import movements, own_movements
from rt.stages.restore import read_restorer
from rt.station import Station

_JOIN_HOLD_S = 1.0  # envelopes wait this long for a vision process that restarts
_SHORT_HOLD_S = 5.0
_NOMINAL_RATE_HZ = 4096.0  # the delay hardly depends on it


def therapy_graph(station: Station, headless: bool, token: str = "", port: int = 0, start_s: float = 0.0) -> Graph:
    """Nodes and edges of a session.

    headless: an encoder stands for the browser.  token, port: the page's, fixed so that a restarted page keeps its
    address.  start_s: LSL seconds at which synthetic sources begin, so that picture and muscles move in step.
    """
    said = estimates_of(station, emg_chain(station), _has_landmarks(station))
    frontal = frontal_part(station)
    display = NodeSpec("page", *_display(station, said, headless, token, port))
    to_display = [EdgeSpec("paste_back.frame", "page.frame", LATEST)]
    if _when_stale(station) == "camera" and not headless:
        to_display.append(EdgeSpec("camera.frame", "page.raw", LATEST))
    if station.emg.kind != "none":
        to_display.append(EdgeSpec("measures.muscles", "page.muscles", LATEST))
    to_display += [*said.to("page"), *frontal.to_page()]
    beside = [*said.nodes, *frontal.nodes], [*said.edges, *frontal.edges]
    parts = [signal_path(station, start_s), picture_path(station, start_s), beside, ([display], to_display)]
    return station_graph(station, [*parts, recorder(station, said, frontal), outlets(station, said, frontal)])


Part = tuple[list[NodeSpec], list[EdgeSpec]]


def station_graph(station: Station, parts: list[Part]) -> Graph:
    """The parts as one graph, sized and placed as the station says."""
    nodes = [node for part, _ in parts for node in part]
    edges = [edge for _, part in parts for edge in part]
    size = (station.camera.height, station.camera.width)
    return Graph(tuple(nodes), tuple(edges), size, station.camera.fps).placed(station.placement)


def picture_path(station: Station, start_s: float) -> Part:
    """Camera to paste-back.  Raises BadSettings when the bundle that removes electrodes does not fit."""
    practise = station.practise
    map_settings = {
        "bundle": practise.map,
        "view": practise.view,
        "amount": practise.amount,
        "side": practise.side,
        "own": str(person_folder(station)),
    }
    removal, side_px = _removal(station)
    nodes = [
        NodeSpec("camera", *camera_source(station, start_s)),
        NodeSpec(
            "face",
            "rt.stages.face:FaceStage",
            "vision",
            station.face.model_dump(mode="json"),
        ),
        NodeSpec("crop", "rt.stages.crop:CropStage", "vision", {"size": side_px}),
        NodeSpec("join", "rt.stages.join:JoinStage", "vision", {"limit_ms": station.limits.emg_ms}),
        *removal,
        NodeSpec("pixel_map", "rt.stages.pixel_map:PixelMapStage", "vision", map_settings),
        NodeSpec("paste_back", "rt.stages.paste_back:PasteBackStage", "vision", {"view": practise.view}),
    ]
    way = [node.name for node in nodes]
    edges = [EdgeSpec(f"{a}.frame", f"{b}.frame", LATEST) for a, b in pairwise(way)]
    if station.emg.kind != "none":
        edges += [
            EdgeSpec("envelope.envelope", "join.envelope", LOSSLESS, _JOIN_HOLD_S),
            EdgeSpec("measures.muscles", "join.muscles", LATEST),
        ]
    return nodes, edges


def _removal(station: Station) -> tuple[list[NodeSpec], int]:
    """The node that removes electrodes, where the station wants that, and the crop's side in px, which it decides."""
    restore = station.restore
    if restore is None:
        return [], CropStageSettings.size
    chain = emg_chain(station)
    _, fit = read_restorer(restore.bundle, chain)
    settings = {
        **restore.model_dump(exclude={"when_down"}),
        "chain": chain,
        "allow_untracked": not _has_landmarks(station),
    }
    return [NodeSpec("restore", "rt.stages.restore:RestoreStage", "vision", settings)], fit.size


def _when_stale(station: Station) -> str:
    """The page's word for what is shown while nothing that may be shown comes."""
    if station.restore is None:
        return station.page.when_stale
    return {"last_good": "last", "bars": "bars", "raw": "camera"}[station.restore.when_down]


def signal_path(station: Station, start_s: float) -> Part:
    """EMG source to measures; nothing for a station without EMG."""
    if station.emg.kind == "none":
        return [], []
    chain = {"preset": station.envelope.preset, "mains_hz": station.envelope.mains_hz}
    calibration = str(station.envelope.calibration) if station.envelope.calibration else None
    quality = {"range_uv": station.emg.range_uv, "mains_hz": station.envelope.mains_hz}
    nodes = [
        NodeSpec("emg", *emg_source(station, start_s)),
        NodeSpec("quality", "rt.stages.quality:QualityStage", "emg", quality),
        NodeSpec("envelope", "rt.stages.envelope:EnvelopeStage", "emg", chain),
        NodeSpec(
            "measures",
            "rt.stages.measures:MeasuresStage",
            "emg",
            {"calibration_path": calibration},
        ),
    ]
    edges = [
        EdgeSpec("emg.emg", "quality.emg", LOSSLESS, _SHORT_HOLD_S),
        EdgeSpec("emg.emg", "envelope.emg", LOSSLESS, _SHORT_HOLD_S),
        EdgeSpec("quality.quality", "measures.quality", LATEST),
        EdgeSpec("envelope.envelope", "measures.envelope", LOSSLESS, _SHORT_HOLD_S),
    ]
    return nodes, edges


def recorder(station: Station, said: Estimates | None = None, frontal: FrontalPart | None = None) -> Part:
    """The recorder and its lossless edges, where something may be kept.

    said: what networks say, kept as such.  frontal: the face without its head's turn, kept as numbers.
    """
    keep = station.recording
    if not keep.enabled:
        return [], []
    settings: dict[str, Any] = {
        "fps": station.camera.fps,
        "codec": keep.codec,
    }
    edges = [EdgeSpec("join.params", "recorder.params", LOSSLESS, keep.hold_signal_s)]
    if keep.consent.video:
        edges.append(EdgeSpec("camera.frame", "recorder.frame", LOSSLESS, keep.hold_video_s))
    if keep.consent.emg and station.emg.kind != "none":
        edges += [
            EdgeSpec("emg.emg", "recorder.emg", LOSSLESS, keep.hold_signal_s),
            EdgeSpec("envelope.envelope", "recorder.envelope", LOSSLESS, keep.hold_signal_s),
        ]
    if said is not None:
        edges += said.to_recorder(keep.consent.video, keep.consent.emg, keep.hold_signal_s)
    if frontal is not None:
        edges += frontal.to_recorder(keep.consent.video, keep.hold_signal_s)
    return [NodeSpec("recorder", "rt.sinks.recorder:RecorderSink", "recorder", settings)], edges


def outlets(station: Station, said: Estimates | None = None, frontal: FrontalPart | None = None) -> Part:
    """LSL outlets for other programs.  said, frontal: as for the recorder."""
    if not station.lsl_out.enabled:
        return [], []
    settings = {
        "prefix": station.lsl_out.prefix,
        "origin": "synthetic" if "synthetic" in (station.camera.kind, station.emg.kind) else "",
        "reach": station.emg.reach,
        "preset": station.envelope.preset,
        "mains_hz": station.envelope.mains_hz,
    }
    edges = [EdgeSpec("join.params", "outlets.params", LATEST)]
    if station.emg.kind != "none":
        edges.append(EdgeSpec("envelope.envelope", "outlets.envelope", LOSSLESS, _SHORT_HOLD_S))
    if said is not None:
        edges += said.to("outlets")
    if frontal is not None:
        edges += frontal.to_outlets()
    return [NodeSpec("outlets", "rt.sinks.lsl_out:LslOutSink", "outlets", settings)], edges


def camera_source(station: Station, start_s: float) -> tuple[str, str, dict[str, Any]]:
    """Class, group and settings of the picture's source."""
    camera = station.camera
    if camera.kind == "file":
        return "rt.sources.video_file:VideoFileSource", "camera", {"path": str(camera.path), "loop": camera.loop}
    if camera.kind == "synthetic":
        return "rt.sources.synthetic_camera:SyntheticCamera", "camera", {"start_s": start_s}
    settings = {"device": str(camera.device), "width": camera.width, "height": camera.height, "fps": camera.fps}
    return "rt.sources.camera:CameraSource", "camera", settings


def emg_source(station: Station, start_s: float) -> tuple[str, str, dict[str, Any]]:
    """Class, group and settings of the signal's source."""
    emg = station.emg
    if emg.kind == "synthetic":
        return "rt.sources.synthetic_emg:SyntheticEmgSource", "emg", {"start_s": start_s}
    settings = {
        "name": emg.name,
        "type": emg.type,
        "source_id": emg.source_id,
        "channels": emg.channels,
        "labels": emg.labels,
        "unit": emg.unit,
        "wait_s": emg.wait_s,
        "reach": emg.reach,
    }
    return "rt.sources.lsl_emg:LslEmgSource", "emg", settings


def _display(
    station: Station, said: Estimates, headless: bool, token: str, port: int
) -> tuple[str, str, dict[str, Any]]:
    """Class, group and settings of the page, or of the encoder that stands for it."""
    page = station.page
    settings: dict[str, Any] = {
        "emg_delay_ms": emg_delay_ms(station),
        "frame_limit_ms": station.limits.frame_ms,
        "emg_limit_ms": station.limits.emg_ms,
        "removal": station.restore.view if station.restore else "",
        "when_stale": _when_stale(station),
    }
    if headless:
        settings |= {"channels": len(FRIDLUND), "pairs": len(FRIDLUND.pairs())}
        return "rt.sinks.encoder:EncoderSink", "page", settings
    synthetic = [what for what, part in (("picture", station.camera), ("EMG", station.emg)) if part.kind == "synthetic"]
    settings |= {
        "host": page.host,
        "port": port,
        "token": token,
        "subject": station.subject,
        "muscles": page.muscles,
        "trained": page.trained,
        "forbidden": page.forbidden,
        "target_percent": page.target_percent,
        "limit_percent": page.limit_percent,
        "mirror": page.mirror,
        "practise": _has_landmarks(station),
        "view": station.practise.view,
        "amount": station.practise.amount,
        "side": station.practise.side,
        "target": Path(station.practise.map).name,
        "movements": movements(),
        "own_movements": own_movements(person_folder(station)),
        "synthetic": f"Synthetic {' and '.join(synthetic)}: not a real person" if synthetic else "",
        "amplifier": station.emg.kind != "none",
        **said.page_settings(),
    }
    return "rt.sinks.page:PageSink", "page", settings


def _has_landmarks(station: Station) -> bool:
    """Whether the face can be aligned, without which the practise view would lie beside it."""
    model = station.face.model or assets.find(assets.FACE_LANDMARKER)
    return station.camera.kind == "synthetic" or model is not None


def emg_chain(station: Station) -> str:
    """Id of the EMG chain that this station runs, by which bundles are told apart; also where it has no amplifier."""
    return chain_id(preset(station.envelope.preset, station.envelope.mains_hz), _NOMINAL_RATE_HZ)


def emg_delay_ms(station: Station) -> float:
    """Group delay of this station's envelope, part of muscle-to-pixel (0 without EMG)."""
    if station.emg.kind == "none":
        return 0.0
    return group_delay_ms(preset(station.envelope.preset, station.envelope.mains_hz), _NOMINAL_RATE_HZ)
