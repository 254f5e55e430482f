"""A session: everything that a graph needs to live, from the check before the start to the swept memory after it.

Nothing is started before the graph has been checked and memory reserved. Sinks open first; sources begin when
everybody is ready. Stop: sources first, the end travels through every edge, sinks finish; then terminate, then kill.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
import zmq

from rt import clock
from rt.board import METRICS, Board, Percentiles, State
from rt.control import Desk
from rt.errors import BadSettings, LiveError, MissingDevice
from rt.graph import LATEST, Graph, node_class
from rt.group import Group
from rt.ledger import Ledger, display_sink, read_ledger
from rt.message import Chunk, Event
from rt.packages import refuse_second_owner
from rt.ring import create_ring
from rt.runtime_folder import RuntimeFolder
from rt.stage import Source
from rt.worker import STANDING

_STOP_S = 2.0
_CLOSE_S = 0.5  # after a start that failed: for those who had opened their devices already
_TERMINATE_S = 0.3
_STATUS_S = 0.5
_WATCH_MS = 20
_LOGS_KEPT = 30  # sessions
# Switches: whoever is restarted finds them as they were left
_STANDING = ("record", "view", "amount", "side", "target", "restore")
_ERRORS: dict[int, type[LiveError]] = {2: BadSettings, 3: MissingDevice}

log = logging.getLogger("myomirror.session")


@dataclass(frozen=True)
class Outcome:
    """What a session leaves behind besides its files."""

    ledger: Ledger
    fps_shown: float
    latency_ms: dict[str, Percentiles]
    stages_ms: dict[str, Percentiles]
    restarts: dict[str, int]
    facts: dict[str, dict[str, Any]]
    signals: dict[str, tuple[int, int]]  # per node that hands on EMG: samples and gaps, whatever was restarted
    events: list[Event]
    duration_s: float
    stop_s: float  # how long the staged shutdown took
    ended_well: dict[str, bool]  # per group: finished by itself


@dataclass
class _Pace:
    """Frames per second from the board's counters."""

    t_first: float = 0.0
    first: int = 0
    t_then: float = 0.0
    then: Counter[str] = field(default_factory=Counter)

    def rates(self, counts: dict[str, int]) -> dict[str, float]:
        now = clock.now()
        if not self.t_first and counts["shown"]:
            self.t_first, self.first = now, counts["shown"]
        seconds = max(now - self.t_then, 1e-3)
        rates = {name: (count - self.then[name]) / seconds for name, count in counts.items()}
        self.t_then, self.then = now, Counter(counts)
        return rates

    def overall(self, shown: int, t_stop: float) -> float:
        return (shown - self.first) / (t_stop - self.t_first) if self.t_first and t_stop > self.t_first else 0.0


class Session(AbstractContextManager["Session"]):
    """A running graph. Use as a context manager, then `run`. threads=True keeps everything in this process (tests)."""

    def __init__(
        self,
        graph: Graph,
        recording: Path | None = None,
        threads: bool = False,
        on_status: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        refuse_second_owner()
        graph.check()
        self.graph = graph
        self.events: list[Event] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self._on_status = on_status
        self._recording = recording
        self._wanted_stop = False
        self._fatal: dict[str, Any] | None = None
        self._pace = _Pace()
        self._missed: dict[str, list[Event]] = {}
        self._standing: dict[str, Any] = {}
        self._sink = display_sink(graph)
        self._folder = RuntimeFolder()
        try:
            self._prepare(threads)
        except OSError as error:
            self._folder.remove()
            raise MissingDevice(f"the session cannot be prepared in {self.folder.parent}: {error}") from error
        except BaseException:
            self._folder.remove()
            raise

    def _prepare(self, threads: bool) -> None:
        path = self._folder.path
        self._folder.write("graph.json", self.graph.to_json())
        if self._recording:
            self._folder.write("recording", str(self._recording))
        names = [node.name for node in self.graph.nodes]
        self.board = Board(path / "board", names, [e.name for e in self.graph.edges], create=True)
        for ring in self.graph.rings():
            create_ring(path / f"{ring.name}.ring", ring.slots, ring.slot_bytes)
        self._zmq = zmq.Context()
        self._desk = Desk(self._zmq, path)
        log_folder = self.log_folder = _log_folder(path.name)
        self._log = logging.FileHandler(log_folder / "session.log", delay=True)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logging.getLogger("myomirror").addHandler(self._log)  # instead of Python's last resort, the terminal
        logging.getLogger("myomirror").setLevel(logging.INFO)
        self.groups = {
            name: Group(name, path, [self.board.node(n.name) for n in self.graph.group(name)], log_folder, threads)
            for name in self.graph.groups
        }

    @property
    def folder(self) -> Path:
        """The session's private folder in shared memory."""
        return self._folder.path

    @property
    def began(self) -> bool:
        """Whether every process was ready and the sources have been let go."""
        return bool(self.board.flags["go"][0])

    # ------------------------------------------------------------------ life

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.began:
                self.stop()  # at once when it has been stopped; after an error, sinks still get to finish
            else:
                self._shut_down()
        finally:
            self._desk.close()
            self._zmq.term()
            logging.getLogger("myomirror").removeHandler(self._log)
            self._log.close()
            self._folder.remove()

    def start(self) -> None:
        """Start every process and wait until all are ready (or a stop is wanted).

        Raises what the first one to fail says.
        """
        for group in self.groups.values():
            group.start()
        t_limit = clock.now() + 60.0
        waiting = set(self.groups)
        while waiting and not self._wanted_stop:
            self._listen(_WATCH_MS)
            waiting = {n for n, g in self.groups.items() if g.state < State.READY}
            failed = [g for g in self.groups.values() if g.exit_code is not None]
            if self._fatal or failed:
                self._listen(_WATCH_MS)  # its last words may just be arriving
                raise self._start_error(failed)
            if clock.now() > t_limit:
                raise MissingDevice(
                    f"{', '.join(sorted(waiting))} did not get ready within 60 s: see {self.log_folder}"
                )
        self.board.flags["go"] = 1

    def _start_error(self, failed: list[Group]) -> LiveError:
        if self._fatal:
            return _ERRORS.get(self._fatal["code"], LiveError)(self._fatal["text"])
        return LiveError(f"{failed[0].name} could not start: {failed[0].last_words()} (log: {self.log_folder})")

    def run(self, seconds: float | None = None) -> Outcome:
        """Start, watch, stop; returns what became of it. Stops after `seconds`, when every source has ended, on
        the page's stop button, or on SIGINT/SIGTERM."""
        before = self._catch_signals()
        try:
            self.start()
            t_go = clock.now()
            while not self._wanted_stop and not self._sources_ended():
                if seconds is not None and clock.now() - t_go >= seconds:
                    break
                self.turn()
            t_stop = clock.now()
            ended_well = self.stop()
            return self._outcome(t_go, t_stop, ended_well)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def turn(self) -> None:
        """One look at everything: messages, processes, status."""
        self._listen(_WATCH_MS)
        self._watch()
        if clock.now() - self._pace.t_then > _STATUS_S:
            self._publish_status()

    def request_stop(self) -> None:
        """Ask `run` to stop (safe from a signal handler or another thread)."""
        self._wanted_stop = True

    def command(self, name: str, value: Any = None) -> None:
        """Tell every node, as the page's buttons do."""
        if name == "stop":
            self.request_stop()
        if name == "marker":  # for the recording and for the LSL outlet, which take down events
            self._happened(Event(clock.now(), "MARKER", "session", str(value)))
        if name in _STANDING:
            self._standing[name] = value
            self._folder.write(STANDING, json.dumps(self._standing))
        self._desk.publish(name, value)

    def stop(self) -> dict[str, bool]:
        """Sources first; then wait, terminate, kill. Returns per group whether it ended by itself."""
        again = bool(self.board.flags["stop"][0])
        self._t_stop = clock.now()
        self.board.flags["t_stop"] = self._t_stop
        self.board.flags["stop"] = 1
        while clock.now() - self._t_stop < _STOP_S and any(g.exit_code is None for g in self.groups.values()):
            self._listen(_WATCH_MS)
        ended = self._shut_down()
        self._listen(1)
        if not again:
            self._tell_unfinished()
        return ended

    def _shut_down(self) -> dict[str, bool]:
        self.board.flags["stop"] = 1
        t_limit = clock.now() + (0.05 if self.board.flags["go"][0] else _CLOSE_S)
        ended = {name: group.wait(t_limit) for name, group in self.groups.items()}
        for group in self.groups.values():
            group.terminate()
        t_limit = clock.now() + _TERMINATE_S
        for group in self.groups.values():
            group.kill(t_limit)
        return {name: well and self.groups[name].exit_code == 0 for name, well in ended.items()}

    def _catch_signals(self) -> dict[int, Any]:
        try:
            return {
                number: signal.signal(number, lambda *_: self.request_stop())
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            }
        except ValueError:
            return {}  # not the main thread: whoever owns it decides

    # ------------------------------------------------------------------ watching

    def _listen(self, timeout_ms: int) -> None:
        self._desk.wishes.poll(timeout_ms)
        for wish in self._desk.read():
            if "event" in wish:
                self._happened(self._weighed(Event(**wish["event"])))
            elif "facts" in wish:
                self.facts.setdefault(wish["node"], {}).update(wish["facts"])
            elif "command" in wish:
                self.command(wish["command"], wish["value"])
            elif "fatal" in wish:
                self._fatal = wish["fatal"]

    def _watch(self) -> None:
        for name, group in self.groups.items():
            was = group.state
            if trouble := group.watch():
                self._missed.pop(name, None)
                if not group.degraded:
                    self._missed[name] = []
                lost = group.degraded and any(node_class(n).KEEPS for n in self.graph.group(name))
                data = {"restarts": group.generation, "data_lost": lost}
                self._happened(Event(clock.now(), "ALARM", name, trouble, data))
            elif name in self._missed and was == State.RUNNING:
                for event in self._missed.pop(name):
                    self._desk.publish("event", _as_json(event), to=name)
                self._happened(Event(clock.now(), "RESTART", name, f"{name} is back", {"restarts": group.generation}))

    def _weighed(self, event: Event) -> Event:
        """What an edge has lost is an alarm, and lost data, only where the node at its end was to keep it."""
        edge = next((e for e in self.graph.edges if e.name == event.data.get("edge")), None)
        if edge is None:
            return event
        keeps = node_class(self.graph.by_name[edge.consumer]).KEEPS
        return replace(event, kind=event.kind if keeps else "GAP", data={**event.data, "data_lost": keeps})

    def _tell_unfinished(self) -> None:
        """What was still on its way to a node that keeps it when the stop could wait no longer, is lost."""
        for edge in self.graph.edges:
            row = self.board.edge(edge.name)
            left = int(row["sent"][0] - row["delivered"][0] - row["dropped"][0].sum())
            if left > 0 and edge.kind != LATEST and node_class(self.graph.by_name[edge.consumer]).KEEPS:
                text = f"{left} messages of {edge.source} had not reached {edge.consumer} when the session stopped"
                data = {"edge": edge.name, "data_lost": True}
                self._happened(Event(clock.now(), "ALARM", edge.consumer, text, data))

    def _happened(self, event: Event) -> None:
        (log.warning if event.kind == "ALARM" else log.info)("%s %s: %s", event.kind, event.node, event.text)
        self.events.append(event)
        for missed in self._missed.values():
            missed.append(event)
        self._desk.publish("event", _as_json(event))

    def _sources_ended(self) -> bool:
        sources = [n.name for n in self.graph.nodes if issubclass(node_class(n), Source)]
        states = [int(self.board.node(name)["state"][0]) for name in sources]
        return all(state in (State.DRAINING, State.DONE, State.DEGRADED) for state in states)

    def _publish_status(self) -> None:
        status = self.status()
        self._desk.publish("status", status)
        if self._on_status:
            self._on_status(status)

    def status(self) -> dict[str, Any]:
        """The state of everything, as the page and the terminal show it (JSON values)."""
        ledger = read_ledger(self.graph, self.board)
        rates = self._pace.rates({"captured": ledger.captured, "shown": ledger.shown})
        now = clock.now()
        return {
            "fps": rates,
            "captured": ledger.captured,
            "shown": ledger.shown,
            "dropped": ledger.dropped,
            "latency_ms": {m: self.board.histogram(m).percentiles()._asdict() for m in METRICS},
            "nodes": {
                spec.name: {
                    "state": State(int(self.board.node(spec.name)["state"][0])).name.lower(),
                    "age_s": round(now - float(self.board.node(spec.name)["heartbeat"][0]), 2),
                    "restarts": self.groups[spec.group].generation,
                }
                for spec in self.graph.nodes
            },
            "facts": self.facts,
            "alarms": [_as_json(e) for e in self.events if e.kind == "ALARM"][-5:],
            "recording": any(f.get("recording") for f in self.facts.values()),
        }

    # ------------------------------------------------------------------ the end

    def _outcome(self, t_go: float, t_stop: float, ended_well: dict[str, bool]) -> Outcome:
        ledger = read_ledger(self.graph, self.board)
        return Outcome(
            ledger=ledger,
            fps_shown=self._pace.overall(ledger.shown, t_stop),
            latency_ms={m: self.board.histogram(m).percentiles() for m in METRICS},
            stages_ms={
                n: self.board.histogram(n).percentiles() for n in (*self.board.node_names, *self.board.edge_names)
            },
            restarts={
                n.name: self.groups[n.group].generation for n in self.graph.nodes if self.groups[n.group].generation
            },
            facts=self.facts,
            signals={name: (int(row["samples"][0]), int(row["gaps"][0])) for name, row in self._signal_rows()},
            events=self.events,
            duration_s=t_stop - t_go,
            stop_s=clock.now() - t_stop,
            ended_well=ended_well,
        )

    def _signal_rows(self) -> list[tuple[str, Any]]:
        names = [n.name for n in self.graph.nodes if Chunk in node_class(n).OUTPUTS.values()]
        return [(name, self.board.node(name)) for name in names]


def _log_folder(name: str) -> Path:
    """A new folder for the logs of this session; only those of the last sessions are kept."""
    root = Path(platformdirs.user_log_dir("myomirror"))
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / name).mkdir(mode=0o700)
    with os.scandir(root) as found, contextlib.suppress(FileNotFoundError):  # another session may tidy up as well
        for old in sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)[_LOGS_KEPT:]:
            shutil.rmtree(old.path, ignore_errors=True)
    return root / name


def _as_json(event: Event) -> dict[str, Any]:
    return {"t": event.t, "kind": event.kind, "node": event.node, "text": event.text, "data": event.data}
