"""The face without its head's turn, as data: one node beside the picture's way, and who hears what it says.

    paste_back.frame ─latest─▶ motion ─▶ page (frontal face), recorder and outlets (numbers)

It stands in a process of its own: however long it takes, neither picture nor muscles are late.  With a network on a GPU
it moves into the picture's process, because one process owns the accelerator.
"""

from dataclasses import dataclass

from rt.graph import LATEST, LOSSLESS, EdgeSpec, NodeSpec
from rt.stages.motion import find_face_model, read_motion
from rt.station import Station

GROUP = "motion"


@dataclass(frozen=True)
class FrontalPart:
    """The node that the station asks for, if any, and the edge to it."""

    nodes: tuple[NodeSpec, ...] = ()
    edges: tuple[EdgeSpec, ...] = ()

    def to_page(self) -> list[EdgeSpec]:
        """The edge for whoever shows it: port `frontal`."""
        return [EdgeSpec("motion.frontal", "page.frontal", LATEST)] if self.nodes else []

    def to_outlets(self) -> list[EdgeSpec]:
        """The edge for whoever sends the numbers on: port `motion`."""
        return [EdgeSpec("motion.motion", "outlets.motion", LATEST)] if self.nodes else []

    def to_recorder(self, video: bool, hold_s: float) -> list[EdgeSpec]:
        """The edge for the recorder, lossless: with consent to video, from which the numbers are."""
        return [EdgeSpec("motion.motion", "recorder.motion", LOSSLESS, hold_s)] if self.nodes and video else []


def frontal_part(station: Station) -> FrontalPart:
    """What the station asks for.

    Raises BadSettings, in one sentence, when the face model is missing or the bundle is for something else.
    """
    wanted = station.motion
    if wanted is None:
        return FrontalPart()
    find_face_model()
    if wanted.bundle:
        read_motion(wanted.bundle)
    settings = {**wanted.model_dump(), "bundle": wanted.bundle or "", "removes": station.restore is not None}
    group = "vision" if wanted.bundle and wanted.device != "cpu" else GROUP
    node = NodeSpec("motion", "rt.stages.motion:MotionStage", group, settings, gives_way=True)
    return FrontalPart((node,), (EdgeSpec("paste_back.frame", "motion.frame", LATEST),))
