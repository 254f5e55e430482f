"""Live calibration of one person: what is asked next, which frames are taken, and what is learned of them.

    welcome -> neutral: ready, taking -> for each movement: ready, taking, review (keep, again, skip) -> done

Nothing here knows a clock, a device or a file: pictures bring their times, and whoever runs this writes what is kept.
Pictures live in this object only and are let go when they have taught.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration import prompts
from calibration.movement_seen import Doubles, MovementSeen
from calibration.prompts import Reason
from calibration.recipes.pixel_person import Learned, Shot, learn_person, pairs_of
from engines.face.frame_check import FrameCheck, Look, Obstacle
from engines.face.pixel_mesh import MESH, MeshPainter, PixelMesh

Phase = Literal["welcome", "ready", "taking", "review", "done"]
WORDS = ("start", "again", "keep", "skip")  # what a person can say; stop is the session's
TILES = ("You, relaxed", "Before: as on most people", "After: your own", "You, doing it")
_INNER_LIPS = (13, 14)
_TOGETHER, _APART = 0.011, 0.02  # of the crop's side, between the lips: a movement's, and a person's
_LONGEST_GAP_S = 0.2  # a frame stands for no longer than this
_EMG_PATIENCE_S = 3.0  # beyond the seconds asked for


@dataclass(frozen=True)
class GuideSettings:
    """How long, how much, how strict."""

    countdown_s: float = 3.0
    hold_s: float = 1.2  # of fit frames, for each step
    pairs: int = 4  # frames that teach; the others judge
    weakest: float = 0.3  # of what most people do: below it nothing is to be seen
    likeness: float = 0.55  # between the person's movement and the one asked for; a palsy's are less like
    plateau: float = 0.85  # of the strongest so far: frames below are let go
    blink: float = 0.35  # the eyes' least opening in a movement that does not shut them, of that at rest
    open: float = 0.6  # and at rest
    patience_s: float = 5.0  # who holds still so long and never seems at rest, as after a palsy, is at rest like that
    emg_s: float = 3.0  # of muscle signal at rest, and of each contraction


class _Taken(NamedTuple):
    shot: Shot
    seconds: float
    sharpness: float
    strength: float


@dataclass
class _Step:
    """One thing that is asked for.  name: the movement's, '' for the relaxed face."""

    name: str
    title: str
    words: str
    movement: PixelMesh | None = None
    state: Literal["todo", "now", "done", "skipped"] = "todo"
    taken: list[_Taken] = field(default_factory=list)

    @property
    def held_s(self) -> float:
        return sum(one.seconds for one in self.taken)


class Guided:
    """One person's calibration.  `look` takes pictures, `say` what the person wants, `state` is for the page.

    keep: called with a movement's name and what was learned when the person accepts it.  ask_emg: called with
    'calibrate_rest' or 'calibrate_reference' and seconds where muscles are calibrated too, None where not.
    """

    def __init__(
        self,
        movements: Sequence[tuple[str, PixelMesh]],
        keep: Callable[[str, Learned], None],
        settings: GuideSettings | None = None,
        depth: Doubles | None = None,
        ask_emg: Callable[[str, float], None] | None = None,
    ) -> None:
        self.settings = settings or GuideSettings()
        self._keep, self._depth, self._ask_emg = keep, depth, ask_emg
        self._movements = tuple(movements)
        self._check = FrameCheck()
        self._begin()

    def _begin(self) -> None:
        self._steps = [_Step("", prompts.NEUTRAL_TITLE, prompts.NEUTRAL_WORDS)]
        self._steps += [_Step(name, *prompts.words_for(name), mesh) for name, mesh in self._movements]
        self._at = 0
        self.phase: Phase = "welcome"
        self._t_ready: float | None = None  # when the countdown began
        self._t_before: float | None = None
        self._reason: Reason | None = None
        self._note = ""
        self._emg: Literal["", "asked", "answered"] = ""
        self._t_emg = 0.0
        self._kept: list[str] = []
        self._learned: Learned | None = None
        self._seen: MovementSeen | None = None
        self._count = 0
        self._restless_s = 0.0  # how long nothing but a face that is not at rest has been in the way
        self.still: npt.NDArray[np.uint8] | None = None  # JPEG of the tiles, side by side, in the review only

    @property
    def kept(self) -> tuple[str, ...]:
        """Movements that the person has accepted."""
        return tuple(self._kept)

    # ------------------------------------------------------------------ what the person says

    def say(self, word: str) -> None:
        """'start' (also over again), 'again' (this step), 'keep', 'skip'; what does not fit the moment does nothing."""
        step = self._steps[self._at]
        if word == "start" and self.phase in ("welcome", "done"):
            self._begin()
            self._ready()
        elif word == "again" and self.phase in ("ready", "taking", "review"):
            self._ready()
        elif word == "skip" and self.phase in ("ready", "taking", "review") and step.movement is not None:
            step.state = "skipped"
            self._next()
        elif word == "keep" and self.phase == "review":
            assert self._learned is not None, "a review shows what was learned"
            self._keep(step.name, self._learned)
            step.state = "done"
            self._kept.append(step.name)
            self._next()

    def hear_emg(self, done: bool, text: str) -> None:
        """The muscles' answer to what was asked: measured, or why not."""
        if self._emg == "asked":
            self._emg = "answered"
            self._note = "" if done else text

    def forget(self) -> None:
        """Let every picture go."""
        for step in self._steps:
            step.taken.clear()
        self.still = None

    def _ready(self) -> None:
        step = self._steps[self._at]
        step.taken.clear()
        step.state, self.phase = "now", "ready"
        self._t_ready, self._reason, self._note, self._emg = None, None, "", ""
        self._learned, self.still, self._seen = None, None, None
        self._count = math.ceil(self.settings.countdown_s)
        self._restless_s = 0.0

    def _next(self) -> None:
        if self._at:  # the relaxed face is needed until the end
            self._steps[self._at].taken.clear()
        if self._at + 1 == len(self._steps):
            self.phase, self._reason = "done", None
            self.forget()
        else:
            self._at += 1
            self._ready()

    # ------------------------------------------------------------------ what the camera sees

    def look(self, look: Look, shot: Shot | None, covered: bool = False) -> None:
        """Take one picture in.

        shot: the upright crop with landmarks in its pixels, None without a face.  covered: electrodes were to be
        removed from it and are not, or a movement is painted on it.
        """
        step = self._steps[self._at]
        seconds = self._since(look.t_s)
        if self.phase in ("ready", "taking"):
            reason = self._judge(look, step, covered)
            if self.phase == "ready":
                self._count_down(look.t_s, reason)
            elif shot is not None:
                self._take(step, shot, reason, seconds, look.t_s)
            else:
                self._reason = reason
        else:  # what is open and sharp on this person is learned all the time
            self._check.judge(look, False, None)

    def _since(self, t_s: float) -> float:
        before, self._t_before = self._t_before, t_s
        return 0.0 if before is None else min(max(t_s - before, 0.0), _LONGEST_GAP_S)

    def _judge(self, look: Look, step: _Step, covered: bool) -> Reason | None:
        at_rest = step.movement is None
        eyes = self.settings.open if step.movement is None else self.settings.blink
        shut = step.movement is not None and step.movement.shuts_eyes
        obstacle = self._check.judge(look, at_rest, None if shut else eyes)
        if covered and obstacle is not Obstacle.LOST:
            return Reason.COVERED
        return None if obstacle is None else Reason[obstacle.name]

    def _count_down(self, t_s: float, reason: Reason | None) -> None:
        """Whether there is a face at all is said at once; the rest is not asked for before the countdown is over."""
        self._reason = reason if reason in (Reason.LOST, Reason.FAR, Reason.TURNED, Reason.DARK) else None
        if self._t_ready is None or not 0 <= t_s - self._t_ready < 60:
            self._t_ready = t_s
        left = self.settings.countdown_s - (t_s - self._t_ready)
        self._count = max(math.ceil(left), 0)
        if left <= 0:
            self.phase = "taking"

    def _ask(self, t_s: float) -> None:
        """The muscles, once in a step, as soon as the face does what is measured: who starts late would rest."""
        if self._ask_emg is not None and not self._emg:
            self._emg, self._t_emg = "asked", t_s
            name = "calibrate_reference" if self._at else "calibrate_rest"
            self._ask_emg(name, self.settings.emg_s)

    def _take(self, step: _Step, shot: Shot, reason: Reason | None, seconds: float, t_s: float) -> None:
        strength = 1.0
        self._restless_s = self._restless_s + seconds if reason is Reason.NOT_AT_REST else 0.0
        if self._restless_s > self.settings.patience_s:
            reason = None
        if reason is None and step.movement is not None:
            reason, strength = self._strength(step, shot)
        self._reason = reason
        if reason is None:
            self._ask(t_s)
        if reason is None and step.held_s < self.settings.hold_s:
            step.taken.append(_Taken(shot, seconds, self._check.sharpness, strength))
        if step.held_s >= self.settings.hold_s and self._emg_is_done(t_s):
            self._reason = None
            if step.movement is None:
                step.state = "done"
                self._next()
            else:
                self._learn(step, step.movement)

    def _emg_is_done(self, t_s: float) -> bool:
        if self._emg == "asked" and t_s - self._t_emg > self.settings.emg_s + _EMG_PATIENCE_S:
            self.hear_emg(False, "The muscles could not be measured: no answer from the amplifier")
        return self._emg != "asked"

    def _strength(self, step: _Step, shot: Shot) -> tuple[Reason | None, float]:
        """How strong the movement is; whoever goes further than before begins the hold anew."""
        assert step.movement is not None
        if self._seen is None:
            rest = _best(self._steps[0].taken, 1)[0].shot
            self._seen = MovementSeen(step.movement, _shares(rest), self._depth)
        places = _shares(shot)
        seen = self._seen.look(places)
        if seen.strength < self.settings.weakest:
            return (Reason.LESS if step.taken else Reason.WEAK), seen.strength
        if seen.likeness < self.settings.likeness:
            return Reason.OTHER, seen.strength
        if lips_gap(step.movement.frame) < _TOGETHER and lips_gap(places) > _APART:
            return Reason.LIPS, seen.strength
        strongest = max([seen.strength, *(one.strength for one in step.taken)])
        step.taken[:] = [one for one in step.taken if one.strength >= self.settings.plateau * strongest]
        return (Reason.LESS if seen.strength < self.settings.plateau * strongest else None), seen.strength

    # ------------------------------------------------------------------ what is learned

    def _learn(self, step: _Step, movement: PixelMesh) -> None:
        count = self.settings.pairs
        rests, shown = _best(self._steps[0].taken, 2 * count), _best(step.taken, 2 * count)
        teach = pairs_of(*_paired(rests[:count], shown[:count]), movement, self._depth)
        further = _paired(rests[count:], shown[count:])
        others = pairs_of(*further, movement, self._depth) if further[0] else None
        self._learned = learn_person(movement, teach, others)
        self.still = stills(rests[0].shot, shown[0].shot, movement, self._learned.own)
        step.taken.clear()
        self.phase = "review"

    # ------------------------------------------------------------------ what the page is told

    def state(self) -> dict[str, Any]:
        """Everything that the page shows, as JSON values."""
        step = self._steps[self._at]
        words = {"welcome": prompts.WELCOME_WORDS, "done": prompts.DONE_WORDS if self._kept else prompts.NOTHING_WORDS}
        part = min(step.held_s / self.settings.hold_s, 1.0)
        learned = self._learned
        return {
            "phase": self.phase,
            "steps": [{"title": one.title, "state": one.state} for one in self._steps],
            "title": step.title,
            "words": words.get(self.phase, step.words),
            "count": self._count if self.phase == "ready" else 0,
            "progress": round(20 * part) / 20 if self.phase == "taking" else 0.0,
            "reason": self._reason.value if self._reason and self.phase in ("ready", "taking") else "",
            "note": self._note,
            "tiles": list(TILES) if self.phase == "review" else [],
            "closer_db": _closer(learned) if learned is not None and self.phase == "review" else None,
            "kept": [prompts.words_for(name)[0] for name in self._kept],
            "can_skip": step.movement is not None,
            "emg": self._ask_emg is not None,
        }


def _closer(learned: Learned) -> float | None:
    """dB that the own map is nearer to the person than the population's, on frames that did not teach."""
    return round(learned.after_db - learned.before_db, 1) if math.isfinite(learned.before_db) else None


def _shares(shot: Shot) -> npt.NDArray[np.float32]:
    return np.asarray((shot.landmarks_px + 0.5) / len(shot.face), np.float32)


def lips_gap(places: npt.NDArray[np.floating]) -> float:
    """Between the lips' inner borders, shares of the crop's side."""
    upper, lower = _INNER_LIPS
    return float(places[lower, 1] - places[upper, 1])


def _best(taken: Sequence[_Taken], count: int) -> list[_Taken]:
    """The sharpest frames near the middle of what was taken: half of all are let go for lying far from the rest."""
    shapes = np.stack([_shares(one.shot)[:MESH] for one in taken])
    off = np.linalg.norm(shapes - np.median(shapes, axis=0), axis=2).mean(1)
    near = np.argsort(off, kind="stable")[: max(count, math.ceil(len(taken) / 2))]
    return [taken[k] for k in sorted(near, key=lambda k: -taken[k].sharpness)[:count]]


def _paired(rests: list[_Taken], shown: list[_Taken]) -> tuple[list[Shot], list[Shot]]:
    """As many of the one as of the other."""
    both = list(zip(rests, shown, strict=False))
    return [rest.shot for rest, _ in both], [target.shot for _, target in both]


def stills(rest: Shot, target: Shot, population: PixelMesh, own: PixelMesh) -> npt.NDArray[np.uint8]:
    """TILES beside each other as one JPEG, uint8 bytes: relaxed, the population's map, the own map, the real thing."""
    side = len(rest.face)
    painted = [
        MeshPainter(mesh, side).paint(rest.face, rest.landmarks_px, 1.0, 1.0, np.empty_like(rest.face))
        for mesh in (population, own)
    ]
    strip = np.concatenate([rest.face, *painted, target.at(side).face], axis=1)
    return np.asarray(cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].ravel(), np.uint8)
