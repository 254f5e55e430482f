"""The node that guides one person through a calibration: pictures in, what the page is to say out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from calibration.guided import Guided, GuideSettings
from calibration.movement_seen import Doubles
from calibration.recipes.pixel_person import Learned, Shot, write_person
from engines.errors import BadInput, EngineError
from engines.face.blendshapes import BLENDSHAPES
from engines.face.canonical import CanonicalFace
from engines.face.crop import warp
from engines.face.frame_check import Look
from engines.face.pixel_mesh import PixelMesh
from engines.face.practise import load_movement
from engines.shipped import bundle_folder
from rt import assets, clock
from rt.errors import BadSettings
from rt.message import Frame, Guidance, Message
from rt.stage import Context, Emit, Node

_EVERY_S = 0.5  # the page hears at least so often; at once when something changes
_UNSEEN_S = 1.0  # without a picture for so long, the page says so


@dataclass(frozen=True)
class GuideStageSettings:
    """Who, which movements, and where the own maps go.

    subject: pseudonym.  folder: of this person's maps.  movements: bundles by name or path, asked for in this order.
    emg: whether muscles are calibrated too.  removes: whether pictures with electrodes in them must not teach.
    synthetic: whether the person is made up.  countdown_s: before each step.
    """

    subject: str
    folder: str
    movements: tuple[str, ...]
    emg: bool = False
    removes: bool = False
    synthetic: bool = False
    countdown_s: float = GuideSettings.countdown_s


class GuideStage(Node[GuideStageSettings]):
    """Watches finished pictures and guides.  Command 'guide': 'start', 'again', 'keep', 'skip'.

    Pictures stay in this process's memory and are let go when they have taught, or when the session ends.  1.5 ms per
    picture; the fit takes about 0.2 s, in a process of its own, so that the mirror does not wait.
    """

    Settings = GuideStageSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"guide": Guidance}

    def __init__(self, settings: GuideStageSettings, context: Context) -> None:
        super().__init__(settings, context)
        if not settings.movements:
            raise BadSettings("there is nothing to calibrate: name a movement")
        self._guided: Guided | None = None
        self._side = 0
        self._t_seen = self._t_said = -np.inf
        self._said: dict[str, Any] = {}

    def open(self) -> None:
        """Load the maps and compile what works on them.  Raises BadSettings for one that cannot be refined."""
        movements = [(name_of(name), mesh_of_bundle(name)) for name in self.settings.movements]
        self._side = 2 * max(mesh.side for _, mesh in movements)
        ask = self._ask_emg if self.settings.emg else None
        settings = GuideSettings(countdown_s=self.settings.countdown_s)
        self._guided = Guided(movements, self._keep, settings, _depth(), ask)
        _warm_up(movements[0][1])

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Look at a picture."""
        assert isinstance(message, Frame)
        assert self._guided is not None, "process() before open()"
        look, shot = self._seen(message)
        if not self.context.intact(message):
            return ()
        self._t_seen = clock.now()
        self.context.beat()  # a fit takes a moment
        electrodes = self.settings.removes and message.removal != "restored"
        self._guided.look(look, shot, electrodes or message.practise)
        return self._say()

    def tick(self) -> Iterable[Emit]:
        """The page hears also while no picture comes."""
        return self._say() if self._guided is not None and clock.now() - self._t_said > _EVERY_S else ()

    def command(self, name: str, value: Any) -> None:
        """'guide': what the person wants.  'event': what became of the muscles' calibration."""
        if self._guided is None:
            return
        if name == "guide" and isinstance(value, str):
            self._guided.say(value)
            self._show_kept()
        elif name == "event" and isinstance(value, Mapping) and "step" in value.get("data", {}):
            done = bool(value["data"].get("done"))
            if done or value["kind"] == "ALARM":
                self._guided.hear_emg(done, str(value["text"]))

    def finish(self) -> Iterable[Emit]:
        """Nothing is kept of what was not accepted."""
        self.close()
        return ()

    def close(self) -> None:
        """Let every picture go."""
        if self._guided is not None:
            self._guided.forget()

    # ------------------------------------------------------------------ pictures

    def _seen(self, frame: Frame) -> tuple[Look, Shot | None]:
        nothing = np.zeros(len(BLENDSHAPES), np.float32)
        if frame.face is None or frame.crop is None or not frame.crop.tracked:
            empty = np.zeros((self._side, self._side, 3), np.uint8)
            return Look(frame.t_capture, empty, None, nothing), None
        zoom = self._side / len(frame.crop.image)
        matrix = frame.crop.crop_from_frame.astype(np.float64) * zoom
        matrix[:, 2] += (zoom - 1) / 2  # a pixel's middle is half a pixel from its corner in either crop
        picture = warp(frame.image, matrix, np.empty((self._side, self._side, 3), np.uint8))
        landmarks = frame.face.landmarks_px[:, :2]
        points = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        shapes = frame.face.blendshapes if len(frame.face.blendshapes) == len(nothing) else nothing
        look = Look(frame.t_capture, picture, landmarks, shapes)
        return look, Shot(picture, points)

    # ------------------------------------------------------------------ words

    def _say(self) -> list[Emit]:
        assert self._guided is not None, "words before open()"
        now = clock.now()
        state = self._guided.state()
        if now - self._t_seen > _UNSEEN_S and state["phase"] in ("ready", "taking"):
            state["reason"] = "No picture comes: see whether the camera is plugged in"
        state |= {"subject": self.settings.subject, "folder": self.settings.folder}
        if state == self._said and now - self._t_said < _EVERY_S:
            return []
        self._said, self._t_said = state, now
        still = self._guided.still
        return [("guide", Guidance(now, state, np.zeros(0, np.uint8) if still is None else still))]

    def _ask_emg(self, name: str, seconds: float) -> None:
        self.context.request(name, seconds)

    def _keep(self, name: str, learned: Learned) -> None:
        """Write a person's own map; one that cannot be written is an alarm, and the session goes on."""
        source = next(given for given in self.settings.movements if name_of(given) == name)
        out = Path(self.settings.folder) / name
        try:
            write_person(learned, bundle_folder(source), out, self.settings.subject, self.settings.synthetic)
        except OSError as error:
            self.context.event("ALARM", f"the map cannot be kept: {out} cannot be written ({error.strerror})")
            return
        self.context.event("PERSON", f"{self.settings.subject}: {name} kept, learned from {learned.frames} frames")

    def _show_kept(self) -> None:
        """At the end the mirror shows the last movement that was kept, beside the person."""
        assert self._guided is not None, "words before open()"
        if self._guided.phase == "done" and self._guided.kept:
            self.context.request("target", self._guided.kept[-1])
            self.context.request("view", "beside")
        elif self._guided.phase != "done":
            self.context.request("view", "camera")


def name_of(movement: str) -> str:
    """The name under which a bundle's own version is kept: the folder's."""
    return Path(movement).name


def mesh_of_bundle(given: str) -> PixelMesh:
    """The movement to refine.  Raises BadSettings for what is none, or one without landmarks."""
    try:
        found = load_movement(bundle_folder(given))
    except EngineError as error:
        raise BadSettings(str(error)) from error
    if not isinstance(found, PixelMesh):
        raise BadSettings(
            f"{given} paints by gain and bias alone and cannot be fitted to a person: choose another, for example "
            "pixel-smile-open"
        )
    return found


def _depth() -> Doubles | None:
    """The canonical face's depth where its file is installed: heads that turn a little are then known better."""
    path = assets.find(assets.CANONICAL_FACE)
    with contextlib.suppress(BadInput):
        return None if path is None else CanonicalFace.load(path).vertices[:, 2]
    return None


def _warm_up(mesh: PixelMesh) -> None:
    """Compile the kernels before the session begins, so that the first fit takes no longer than the others."""
    from calibration.recipes.pixel_person import learn_person, pairs_of

    side = mesh.side
    points = mesh.rest.reshape(-1, 2) * side - 0.5
    whole = np.concatenate([points, np.repeat(points[-1:], 10, 0)]).astype(np.float32)
    shot = Shot(np.full((side, side, 3), 128, np.uint8), whole)
    pairs = pairs_of([shot], [replace(shot, landmarks_px=whole + 1)], mesh)
    learn_person(mesh, pairs, pairs)
