"""From a station to a finished session: the recording folder before it, the report after it."""

import contextlib
import math
import secrets
import shutil
import socket
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from rt import clock
from rt.errors import DataLost
from rt.graph import Graph
from rt.packages import refuse_second_owner
from rt.recording.session_folder import SessionFolder
from rt.run_report import build_report, print_summary, versions, write_report
from rt.session import Outcome, Session
from rt.station import Station

# (station, headless, token, port, start_s) -> graph; the functions in rt/graphs
BuildGraph = Callable[[Station, bool, str, int, float], Graph]


@dataclass(frozen=True)
class RunOptions:
    """What the command line adds to a station."""

    seconds: float | None = None
    headless: bool = False
    report: Path | None = None
    open_browser: bool = False


def free_port(host: str) -> int:
    """A free TCP port on this host; chosen before the page starts, so that a restarted page keeps its address."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def new_token() -> str:
    """256 random bits for the page's address."""
    return secrets.token_urlsafe(32)


def run_station(station: Station, build: BuildGraph, options: RunOptions, console: Console) -> int:
    """Check, make the recording's folder, run until it ends, report. Returns the exit code: 0, or 4 for lost data.

    Raises BadSettings or MissingDevice with nothing half-started.
    """
    token = new_token()
    port = station.page.port or free_port(station.page.host)
    graph = build(station, options.headless, token, port, clock.now())
    url = "" if options.headless else f"http://{station.page.host}:{port}/?token={token}"
    progress = _Progress(console, options, url)
    refuse_second_owner()
    graph.check_nodes()
    data_is_new = not station.recording.folder.exists()
    folder = _recording_folder(station)
    session: Session | None = None
    try:
        with Session(graph, recording=folder.path if folder else None, on_status=progress.show) as session:
            outcome = session.run(options.seconds)
    except BaseException:
        if folder is not None and not (session and session.began):
            _discard(folder, data_is_new)
        raise
    progress.end()
    report = build_report(outcome, "encoded" if options.headless else "drawn")
    print_summary(report, console)
    try:
        if folder is not None:
            with console.status("Writing the manifest ..."):
                _close(folder, outcome, report)
            console.print(f"recorded in {folder.path}", highlight=False, soft_wrap=True)
    finally:
        if options.report:
            write_report(report, options.report)
    return 4 if report["lost"] else 0


def _recording_folder(station: Station) -> SessionFolder | None:
    if not station.recording.enabled:
        return None
    consent = [scope for scope, given in station.recording.consent.model_dump().items() if given]
    return SessionFolder.create(
        station.recording.folder,
        station.subject,
        consent,
        settings=station.model_dump(mode="json"),
        versions=versions(),
        synthetic="synthetic" in (station.camera.kind, station.emg.kind),
    )


def _close(folder: SessionFolder, outcome: Outcome, report: dict[str, Any]) -> None:
    """Raises DataLost when the disk has no room even for that; `repair` can do it later."""
    digests = outcome.facts.get("recorder", {}).get("sha256")
    try:
        folder.close(ledger=outcome.ledger.as_json(), report=report, digests=digests)
    except DataLost as error:
        raise DataLost(f"{error}, then run: myomirror repair {folder.path}") from error


def _discard(folder: SessionFolder, data_is_new: bool) -> None:
    """A session that never began leaves nothing behind: no recording, and no data folder that was made for it."""
    shutil.rmtree(folder.path)
    if data_is_new:
        with contextlib.suppress(OSError):  # somebody else has recorded into it meanwhile
            folder.path.parent.rmdir()


class _Progress:
    """One line that is rewritten on a terminal, or one every ten seconds elsewhere."""

    def __init__(self, console: Console, options: RunOptions, url: str) -> None:
        self._console = console
        self._options = options
        self._url = url
        self._said: set[str] = set()
        self._count = 0
        self._terminal = console.is_terminal

    def show(self, status: dict[str, Any]) -> None:
        """Called by the session twice a second."""
        self._say_once(status)
        photon, muscle = (status["latency_ms"][name]["p95"] for name in ("photon_to_pixel", "muscle_to_pixel"))
        line = (
            f"{status['fps']['shown']:4.1f} fps  shown {status['shown']}  dropped {sum(status['dropped'].values())}  "
            f"photon-to-pixel p95 {_ms(photon)}  muscle-to-pixel p95 {_ms(muscle)}"
            f"{_recording_light(status)}"
        )
        if self._terminal:
            self._console.file.write(f"\r\x1b[2K{line}")
            self._console.file.flush()
        elif status["captured"] and self._count % 20 == 0:
            self._console.print(line, highlight=False, soft_wrap=True)
        self._count += status["captured"] > 0

    def _say_once(self, status: dict[str, Any]) -> None:
        if self._url and not self._said:
            self._said.add("")
            self._line(f"The page is at {self._url}")
            self._line("Press Ctrl-C, or Stop on the page, to end. Research software, not a medical device.")
            if self._options.open_browser and sys.stdin is not None and sys.stdin.isatty():
                webbrowser.open(self._url)
        for alarm in status["alarms"]:
            key = f"{alarm['t']}"
            if key not in self._said:
                self._said.add(key)
                self._line(alarm["text"], "bold red")

    def _line(self, text: str, style: str = "") -> None:
        if self._terminal:
            self._console.file.write("\r\x1b[2K")
        self._console.print(Text(text, style), soft_wrap=True)  # as it is: a text may hold square brackets

    def end(self) -> None:
        if self._terminal:
            self._console.file.write("\r\x1b[2K")


def _recording_light(status: dict[str, Any]) -> str:
    if any(facts.get("data_lost") for facts in status["facts"].values()):
        return "  RECORDING FAILED"
    return "  REC" if status["recording"] else ""


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"
