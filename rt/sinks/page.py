"""The display: makes the packets of the live page, and counts what became of them.

A frame counts as shown when a browser has acknowledged that it is on its canvas; both latencies end there. The
acknowledgement arrives a moment after the drawing, so the numbers are, if anything, too high.
"""

import functools
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from engines.emg.heat_landmarks import heat_file
from engines.emg.montage import FRIDLUND, MONTAGES, Montage, montage_called
from rt import clock
from rt.errors import BadSettings, LiveError
from rt.message import Estimate, Expression, Frame, Frontal, Guidance, Message, Muscles
from rt.stage import Context, Emit, Node
from rt.web import frontal
from rt.web.compose import Composer
from rt.web.face_file import face_file
from rt.web.hub import Outcome
from rt.web.protocol import REMOVALS, VIEWS, Channel, Flags, Hello, Movement, Packet, Pair, Status, Wish
from rt.web.server import PageServer, PageSettings

_VALUES_EVERY_S = 0.045  # without a picture for that long, the bars go on alone
_SERVER_HANGS_S = 1.0
_LAST_ANSWERS_S = 0.25  # at the end, how long to wait for what browsers still owe
_ALARM_SHOWN_S = 15.0
_ANSWER_SHOWN_S = 5.0  # how long the outcome of a calibration stays
_CALIBRATION_SLACK_S = 2.0  # filters settle before the seconds begin to count
# Facts that only some tell
_MORE_OF_ENGINES = ("rate_hz", "every", "relative_to", "learned_from", "calibrated", "profile")
_CALM = 0.25  # weight of the newest half second in the frame rates shown


@dataclass(frozen=True)
class PageSinkSettings:
    """What the page says about the session, and where it is served.

    montage, channels: what the muscle arrays hold (channels empty = all of the montage's).  muscles, trained,
    forbidden: muscles as the montage names them (spaces for underscores are fine).  target_percent,
    limit_percent, keep_below_percent: %MVC.  emg_delay_ms: group delay of the envelope, part of
    muscle-to-pixel.  synthetic: one sentence when the source is not a real person.  practise: whether a practise
    view can be asked for; view, amount, side, target: how it begins.  movements: bundles to choose from; own_movements:
    those of them that are fitted to this person.  guided: this session calibrates a person.
    mirror: as in a mirror, else as others see the person.
    when_stale: what is shown while the processed picture is late: 'camera' (port `raw` must be connected),
    'last' good picture greyed, or 'bars' only.  removal: what is shown of the electrodes at first ('raw', 'restored',
    'edit'), '' where they are not removed; else a picture in which they could not be removed counts as late.
    amplifier: whether muscles are measured.  estimated: whether they are estimated from the picture.  expressions:
    which faces networks say, of 'camera' and 'emg'.  port, token: fixed ones let open pages come back after a restart.
    """

    subject: str = "demo"
    montage: str = FRIDLUND.name
    channels: tuple[str, ...] = ()
    muscles: tuple[str, ...] = ("zygomaticus", "orbicularis_oculi", "orbicularis_oris", "lateral_frontalis")
    trained: str = ""
    forbidden: str = ""
    target_percent: float = 40.0
    limit_percent: float = 80.0
    keep_below_percent: float = 20.0
    emg_delay_ms: float = 0.0
    frame_limit_ms: float = 500.0
    emg_limit_ms: float = 500.0
    synthetic: str = ""
    practise: bool = False
    view: str = "camera"
    amount: float = 1.0
    side: str = "both"
    target: str = ""
    movements: tuple[str, ...] = ()
    own_movements: tuple[str, ...] = ()
    guided: bool = False
    mirror: bool = True
    when_stale: Literal["camera", "last", "bars"] = "last"
    removal: str = ""
    amplifier: bool = True
    estimated: bool = False
    expressions: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    jpeg_quality: int = 85


class _Sent(NamedTuple):
    """What must be remembered of a packet until its outcome is known."""

    t_capture: float
    t_emg: float
    counted: bool  # a frame of the ledger


class PageSink(Node[PageSinkSettings]):
    """frame: pictures to show.  raw: the camera's own, as a stand-in.

    muscles: newest values, between pictures.  expression, estimate: what networks say, with the next packet.
    frontal: the face without its head's turn, beside the packets.
    guide: what a person who is being calibrated is to do.
    """

    Settings = PageSinkSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {
        "frame": Frame,
        "muscles": Muscles,
        "raw": Frame,
        "frontal": Frontal,
        "expression": Expression,
        "estimate": Estimate,
        "guide": Guidance,
    }
    ACKNOWLEDGES = True

    def __init__(self, settings: PageSinkSettings, context: Context) -> None:
        super().__init__(settings, context)
        montage = montage_called(settings.montage, settings.channels)
        self._hello = hello(settings, montage)
        pairs = len(self._hello.pairs)
        limits = settings.frame_limit_ms, settings.emg_limit_ms
        removes = settings.removal != ""
        self._composer = Composer(len(montage), pairs, *limits, settings.jpeg_quality, removes)
        self._composer.flags = Flags.SYNTHETIC if settings.synthetic else Flags(0)
        self._outcomes: deque[Outcome] = deque()
        self._wishes: deque[Wish] = deque()
        address = PageSettings(settings.host, settings.port, settings.token)
        face, heat = functools.partial(face_file, montage), functools.partial(heat_file, montage)
        self._server = PageServer(address, self._outcomes.append, self._wishes.append, face=face, heat=heat)
        self._sent: dict[int, _Sent] = {}
        shown = {"view": settings.view, "amount": settings.amount, "side": settings.side, "target": settings.target}
        self._statuses = StatusBoard({**shown, "restore": settings.removal})
        self._t_published = -math.inf
        self._tick_seen = (0, math.inf)
        self._finishing = False

    def open(self) -> None:
        """Serve the page and tell its address as the fact `url`. Raises MissingDevice when the port is taken."""
        self._server.start()
        self._server.set_hello(self._hello)
        self._statuses.t_start = clock.now()
        self.context.tell(url=self._server.url, port=self._server.port)

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        """Show one picture or one set of values."""
        if isinstance(message, Muscles):
            self._take_muscles(message)
        elif isinstance(message, Expression):
            self._composer.take_expression(message)
        elif isinstance(message, Estimate):
            self._composer.take_estimate(message)
        elif isinstance(message, Guidance):
            self._server.publish_guide(message)
        elif isinstance(message, Frontal):
            self._server.publish_aside(frontal.encode(message))
        elif isinstance(message, Frame) and port == "frame":
            self._show(message)
        elif isinstance(message, Frame):
            self._stand_in(message)
        self._settle()
        return ()

    def tick(self) -> Iterable[Emit]:
        """Keep the bars moving when no picture comes; hand on what people asked for; see that the server lives."""
        now = clock.now()
        if now - self._t_published > _VALUES_EVERY_S:
            self._publish_values(now)
        self._settle()
        self._watch_server(now)
        return ()

    def command(self, name: str, value: Any) -> None:
        """'status' and 'event' of the session; 'view', 'amount' and so on, which the page's controls follow."""
        if name == "status":
            status = self._statuses.read(value, clock.now())
            recording = Flags.RECORDING if status.recording == "on" else Flags(0)
            self._composer.flags = (self._composer.flags & ~Flags.RECORDING) | recording
            self._server.publish_status(status)
        elif name == "event":
            self._hear(value)
        elif name in self._statuses.picture and (name != "target" or value in self.settings.movements):
            self._statuses.picture[name] = value

    def _hear(self, event: Mapping[str, Any]) -> None:
        if event["kind"] in ("ALARM", "RESTART"):
            self._server.alarm(event["text"])
        status = self._statuses.hear(event, clock.now())
        if status is not None:
            self._server.publish_status(status)

    def finish(self) -> Iterable[Emit]:
        """Take the last answers, then tell the pages that the session is over."""
        deadline = clock.now() + _LAST_ANSWERS_S
        while self._server.viewers and self._sent and clock.now() < deadline:
            time.sleep(0.005)
            self._settle()
        self._finishing = True
        self._server.end({"rows": {}})
        self._server.stop(1.0)
        self._settle()
        return ()

    def close(self) -> None:
        """Close the port."""
        self._server.stop(0.5)

    # ---- showing

    def _show(self, frame: Frame) -> None:
        now = clock.now()
        if self._composer.is_late(frame, now):
            self.context.drop("stale")
        elif self._composer.is_unwanted(frame) and self.settings.when_stale != "camera":
            self.context.drop("not_restored")
        elif self._server.viewers == 0:
            self.context.drop("no_viewer")  # nobody looks: the encoder can rest
        else:
            jpeg = self._composer.encode(frame)
            if self.context.intact(frame):
                self._publish(self._composer.with_picture(frame, jpeg, now), counted=True)
            else:
                self.context.drop("torn")

    def _stand_in(self, frame: Frame) -> None:
        now = clock.now()
        wanted = self.settings.when_stale == "camera" and self._composer.frame_is_missing(now)
        if not wanted or self._server.viewers == 0 or self._composer.is_late(frame, now):
            return
        jpeg = self._composer.encode(frame)
        if self.context.intact(frame):
            self._publish(self._composer.with_raw_picture(frame, jpeg, now), counted=False)

    def _take_muscles(self, muscles: Muscles) -> None:
        self._composer.take_muscles(muscles)
        now = clock.now()
        if now - self._t_published > _VALUES_EVERY_S:
            self._publish_values(now)

    def _publish_values(self, now: float) -> None:
        self._publish(self._composer.with_values(now), counted=False)

    def _publish(self, packet: Packet, counted: bool) -> None:
        self._t_published = clock.now()
        t_emg = math.nan if packet.flags & Flags.STALE_EMG else packet.t_emg  # old values are marked, not measured
        self._sent[packet.packet_id] = _Sent(packet.t_capture, t_emg, counted)
        self._server.publish(packet)

    # ---- what became of it

    def _settle(self) -> None:
        while self._outcomes:
            outcome = self._outcomes.popleft()
            sent = self._sent.pop(outcome.packet_id)
            if not outcome.reason:
                self._drawn(outcome, sent)
            elif sent.counted:
                self.context.drop("unfinished" if self._finishing else outcome.reason)
        while self._wishes:
            wish = self._wishes.popleft()
            self.context.request(wish.command, wish.value)

    def _drawn(self, outcome: Outcome, sent: _Sent) -> None:
        if sent.counted:
            self.context.shown()
            self.context.observe("photon_to_pixel", (outcome.t - sent.t_capture) * 1e3)
        if not math.isnan(sent.t_emg):
            self.context.observe("muscle_to_pixel", (outcome.t - sent.t_emg) * 1e3 + self.settings.emg_delay_ms)

    def _watch_server(self, now: float) -> None:
        ticks, since = self._tick_seen
        if self._server.tick != ticks or since == math.inf:
            self._tick_seen = (self._server.tick, now)
        elif now - since > _SERVER_HANGS_S and not self._finishing:
            raise LiveError("the page's server does not answer any more: the display is started again")


class StatusBoard:
    """Turns the session's status into the page's."""

    def __init__(self, picture: Mapping[str, Any]) -> None:
        """picture: how the page's controls stand at first: view, amount, side, target, restore."""
        self.picture = dict(picture)
        self.t_start = math.nan
        self._t_recording = math.nan
        self._fps: dict[str, float] = {}
        self._calibration = ("", -math.inf)  # what the person is asked to do, and until when
        self._last: Status | None = None

    def hear(self, event: Mapping[str, Any], now: float) -> Status | None:
        """Take an event of the session; the new status when it asks the person for something, which cannot wait."""
        data = event["data"]
        if event["kind"] == "CALIBRATION":
            seconds = _ANSWER_SHOWN_S if data.get("done") else data["seconds"] + _CALIBRATION_SLACK_S
            text = event["text"]
            self._calibration = (text[:1].upper() + text[1:], now + seconds)
        elif event["kind"] == "ALARM" and "step" in data:  # it was refused or given up; the alarm says why
            self._calibration = ("", now)
        else:
            return None
        self._last = replace(self._last or Status(), calibration=self._calibration[0])
        return self._last

    def read(self, told: Mapping[str, Any], now: float) -> Status:
        """told: `Session.status()`.  now: LSL seconds."""
        facts = told["facts"].values()
        lost = any(found.get("data_lost") for found in facts)
        recording = "failed" if lost else "on" if told["recording"] else "off"
        if not any("recording" in found for found in facts):
            recording = "absent"
        if recording in ("off", "absent"):
            self._t_recording = math.nan
        elif math.isnan(self._t_recording):
            self._t_recording = now
        latency = told["latency_ms"]
        self._last = Status(
            fps_captured=self._smooth("captured", told["fps"]["captured"]),
            fps_shown=self._smooth("shown", told["fps"]["shown"]),
            shown=told["shown"],
            dropped=told["dropped"],
            photon_to_pixel_ms=latency["photon_to_pixel"],
            muscle_to_pixel_ms=latency["muscle_to_pixel"],
            stages={name: _stage(node) for name, node in told["nodes"].items()},
            recording=recording,
            elapsed_s=now - self.t_start,
            recorded_s=0.0 if math.isnan(self._t_recording) else now - self._t_recording,
            alarms=tuple(alarm["text"] for alarm in told["alarms"] if now - alarm["t"] < _ALARM_SHOWN_S),
            calibration=self._calibration[0] if now < self._calibration[1] else "",
            view=self.picture["view"],
            amount=float(self.picture["amount"]),
            side=self.picture["side"],
            target=self.picture["target"],
            removal=self.picture["restore"],
            engines=_engines(told["facts"]),
        )
        return self._last

    def _smooth(self, name: str, rate: float) -> float:
        before = self._fps.get(name, rate)
        self._fps[name] = before + _CALM * (rate - before)
        return self._fps[name]


def _engines(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    named = [found for found in facts.values() if "role" in found]
    told = ("backend", "bundle", "precision", *_MORE_OF_ENGINES)
    return {f["role"]: {k: str(f.get(k, "")) for k in told if k in f or k not in _MORE_OF_ENGINES} for f in named}


def _stage(node: Mapping[str, Any]) -> dict[str, Any]:
    words = {"running": "ok", "draining": "ok", "done": "ok", "degraded": "failed"}
    state = words.get(node["state"], "restarting")
    return {"state": "late" if state == "ok" and node["age_s"] > 1.0 else state, "restarts": node["restarts"]}


def label_of(movement: str) -> str:
    """What a person reads for a movement: pixel-eye-tight -> Eye tight; cascade-live:happy -> Happy (cascade-live)."""
    bundle, _, expression = movement.partition(":")
    words = (expression or bundle.removeprefix("pixel-")).replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:] + (f" ({Path(bundle).name})" if expression else "")


def _movements(settings: PageSinkSettings) -> tuple[Movement, ...]:
    """What there is to practise; what is fitted to the person says so."""
    own = " (fitted to you)"
    named = ((name, own if name in settings.own_movements else "") for name in settings.movements)
    return tuple(Movement(name, label_of(name) + text) for name, text in named)


def hello(settings: PageSinkSettings, montage: Montage) -> Hello:
    """What a page must know before its first packet. Raises BadSettings for a muscle that does not exist."""
    pairs = tuple(Pair(*pair) for pair in montage.pairs())
    there = [pair.muscle for pair in pairs]
    known = [muscle for muscle, _, _ in MONTAGES[montage.name].pairs()]

    def checked(name: str) -> str:
        muscle = name.strip().lower().replace(" ", "_")
        if muscle and muscle not in known:
            raise BadSettings(f"there is no muscle {name!r} in the montage {montage.name}; known: {', '.join(known)}")
        return muscle if muscle in there else ""  # known, but this station has no electrodes on it

    chosen = tuple(filter(None, (checked(name) for name in settings.muscles)))
    return Hello(
        subject=settings.subject,
        channels=tuple(Channel(c.label, c.muscle, c.side, c.site_xy) for c in montage.channels),
        pairs=pairs,
        chosen=chosen or tuple(there[:4]),
        trained=checked(settings.trained),
        forbidden=checked(settings.forbidden),
        target_percent=settings.target_percent,
        limit_percent=settings.limit_percent,
        keep_below_percent=settings.keep_below_percent,
        emg_delay_ms=settings.emg_delay_ms,
        frame_limit_ms=settings.frame_limit_ms,
        emg_limit_ms=settings.emg_limit_ms,
        synthetic=settings.synthetic,
        views=VIEWS if settings.practise else VIEWS[:1],
        movements=_movements(settings) if settings.practise else (),
        guided=settings.guided,
        mirrored=settings.mirror,
        removals=REMOVALS if settings.removal else (),
        hide_when_stale=settings.when_stale == "bars",
        amplifier=settings.amplifier,
        estimated=settings.estimated,
        expressions=settings.expressions,
    )
