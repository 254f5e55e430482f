"""Expression and muscle, both ways, as data: nodes beside the picture's way, and who hears what they say.

    crop.frame ─latest─▶ expression ─▶ exp2emg ─▶ estimates          measures.muscles ─latest─▶ emg2exp ─▶ a face

They stand in a process of their own: a network that is slow, hangs or dies takes neither picture nor muscles along.
Where the encoder runs on a GPU it moves into the picture's process, because one process owns the accelerator.
"""

from dataclasses import dataclass
from typing import Any

from engines.face.expression_encoder import EncoderFit
from rt.errors import BadSettings
from rt.graph import LATEST, LOSSLESS, EdgeSpec, NodeSpec
from rt.stages.emg2exp import Emg2ExpSettings, read_emg2exp
from rt.stages.exp2emg import Exp2EmgSettings, read_exp2emg
from rt.stages.expression import MEDIAPIPE, read_encoder
from rt.station import ExpressionSection, Station

GROUP = "estimate"
PAGE_PROFILE = "arkit52"  # what the page can draw


@dataclass(frozen=True)
class Estimates:
    """What networks say in this station.

    nodes, edges: of the graph.  camera_profile, emg_profile: of the expressions from the picture and from the muscles;
    '' where nothing says any.  muscles: whether muscles are estimated from the picture.
    """

    nodes: tuple[NodeSpec, ...] = ()
    edges: tuple[EdgeSpec, ...] = ()
    camera_profile: str = ""
    emg_profile: str = ""
    muscles: bool = False

    def page_settings(self) -> dict[str, Any]:
        """What the page must know to make room for them."""
        profiles = {"camera": self.camera_profile, "emg": self.emg_profile}
        drawn = [source for source, profile in profiles.items() if profile == PAGE_PROFILE]
        return {"estimated": self.muscles, "expressions": drawn}

    def to(self, sink: str) -> list[EdgeSpec]:
        """Edges for whoever shows or sends the newest on: its ports `expression` and `estimate`."""
        return [EdgeSpec(source, f"{sink}.{port}", LATEST) for source, port in self._sources()]

    def to_recorder(self, video: bool, emg: bool, hold_s: float) -> list[EdgeSpec]:
        """Edges for the recorder, lossless: what pictures say with consent to video, what muscles say with EMG's."""
        agreed = {"expression.expression": video, "exp2emg.estimate": video, "emg2exp.expression": emg}
        kept = [(source, port) for source, port in self._sources() if agreed[source]]
        return [EdgeSpec(source, f"recorder.{port}", LOSSLESS, hold_s) for source, port in kept]

    def _sources(self) -> list[tuple[str, str]]:
        sources = [("expression.expression", "expression")] if self.camera_profile else []
        sources += [("exp2emg.estimate", "estimate")] if self.muscles else []
        return sources + ([("emg2exp.expression", "expression")] if self.emg_profile else [])


def estimates_of(station: Station, chain: str, has_landmarks: bool) -> Estimates:
    """The nodes that the station asks for.

    chain: id of its EMG chain.  has_landmarks: whether faces are followed.  Where muscles are to be estimated and no
    encoder is named, MediaPipe's blendshapes are taken, if the bundle allows it.  Without an amplifier no face is
    driven by muscles.
    Raises BadSettings, in one sentence, for a bundle that does not fit the station.
    """
    wanted = station.estimate
    has_emg = station.emg.kind != "none"
    exp2emg = wanted.exp2emg if wanted else None
    emg2exp = wanted.emg2exp if wanted and has_emg else None
    section = station.expression or (ExpressionSection(bundle=MEDIAPIPE) if exp2emg else None)
    nodes: list[NodeSpec] = []
    edges: list[EdgeSpec] = []
    settings: dict[str, Any]
    camera_profile = emg_profile = ""
    if section is not None:
        camera_profile = _encoder(section, has_landmarks).profile
        group = GROUP if section.device == "cpu" else "vision"
        settings = {**section.model_dump(), "allow_untracked": not has_landmarks}
        nodes.append(NodeSpec("expression", "rt.stages.expression:ExpressionStage", group, settings, gives_way=True))
        edges.append(EdgeSpec("crop.frame", "expression.picture", LATEST))
        if exp2emg:
            mediapipe = section.bundle == MEDIAPIPE
            settings = {"bundle": exp2emg, "chain": chain, "profile": camera_profile, "mediapipe": mediapipe}
            read_exp2emg(Exp2EmgSettings(**settings))
            nodes.append(NodeSpec("exp2emg", "rt.stages.exp2emg:Exp2EmgStage", GROUP, settings, gives_way=True))
            edges.append(EdgeSpec("expression.expression", "exp2emg.expression", LATEST))
            if has_emg:
                edges.append(EdgeSpec("measures.muscles", "exp2emg.muscles", LATEST))
    if emg2exp:
        settings = {"bundle": emg2exp, "chain": chain}
        _, found = read_emg2exp(Emg2ExpSettings(**settings))
        emg_profile = found.profile.name
        nodes.append(NodeSpec("emg2exp", "rt.stages.emg2exp:Emg2ExpStage", GROUP, settings, gives_way=True))
        edges.append(EdgeSpec("measures.muscles", "emg2exp.muscles", LATEST))
    return Estimates(tuple(nodes), tuple(edges), camera_profile, emg_profile, bool(exp2emg))


def _encoder(section: ExpressionSection, has_landmarks: bool) -> EncoderFit:
    if section.bundle != MEDIAPIPE:
        return read_encoder(section.bundle)[1]
    if not has_landmarks:
        raise BadSettings(
            "expressions cannot be read from MediaPipe's blendshapes, its model is not installed: run "
            "`myomirror assets fetch`, or name an encoder bundle (expression.bundle)"
        )
    return EncoderFit(0, "arkit52")
