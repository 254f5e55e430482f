"""The command line. Each command imports what it needs, so that `--help` is quick.

Exit codes: 0 fine, 2 bad input or settings, 3 a required device or stream is missing, 4 data was lost.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rt.commands import Commands
from rt.engine_commands import engines_app

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Real-time facial-EMG biofeedback. Research software, not a medical device.",
)
simulate = typer.Typer(cls=Commands, no_args_is_help=True, help="Stand-ins for devices and people.")
assets = typer.Typer(no_args_is_help=True, help="Model files that are not part of the package.")
station_app = typer.Typer(no_args_is_help=True, help="Station files: example, schema, check.")
app.add_typer(simulate, name="simulate")
app.add_typer(assets, name="assets")
app.add_typer(station_app, name="station")
app.add_typer(engines_app, name="engines")

Seconds = Annotated[float | None, typer.Option(min=0.5, help="Stop after this many seconds.")]
Headless = Annotated[bool, typer.Option("--headless", help="No page: encode each picture as the page would get it.")]
ReportFile = Annotated[Path | None, typer.Option(help="Write a JSON report to this file.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the page; 0 = any free one.")]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")]
StationFile = Annotated[Path, typer.Argument(help="The station's YAML file.", show_default=False)]
Recording = Annotated[Path, typer.Argument(help="The folder of a recording.", show_default=False)]


@app.command()
def demo(
    seconds: Seconds = None,
    headless: Headless = False,
    report: ReportFile = None,
    port: Port = None,
    browser: Browser = True,
    record: Annotated[Path | None, typer.Option(help="Record into this folder (synthetic data).")] = None,
    restore: Annotated[
        str, typer.Option(help="The bundle that removes the person's electrodes; off leaves them on.")
    ] = "restore-cpu",
    estimates: Annotated[
        bool,
        typer.Option(
            "--estimates/--no-estimates",
            help="Muscles from the picture, a face from the muscles; without them a slow machine shows more frames.",
        ),
    ] = True,
    frontal: Annotated[
        bool, typer.Option("--frontal", help="Also the face from the front and how evenly it moves; needs ICT-FaceKit.")
    ] = False,
) -> None:
    """The whole pipeline on a synthetic person: no camera, amplifier, GPU or download needed."""
    from rt.graphs.demo import demo_station

    station = demo_station(port or 0, record, None if restore == "off" else restore, estimates, frontal)
    _run_station(station, seconds, headless, report, browser)


@app.command()
def live(
    station: StationFile,
    seconds: Seconds = None,
    headless: Headless = False,
    report: ReportFile = None,
    port: Port = None,
    browser: Browser = True,
    subject: Annotated[
        str | None, typer.Option(help="Another person than the station names: own maps, own muscle calibration.")
    ] = None,
) -> None:
    """A therapy session: mirror, muscles, and how late both are."""
    from rt.person_files import for_subject
    from rt.station import read_station

    settings = for_subject(read_station(station), subject)
    if port is not None:
        settings = settings.model_copy(update={"page": settings.page.model_copy(update={"port": port})})
    _run_station(settings, seconds, headless, report, browser and settings.page.open_browser)


def _run_station(settings: Any, seconds: float | None, headless: bool, report: Path | None, browser: bool) -> None:
    from rt.graphs.therapy import therapy_graph
    from rt.live import RunOptions, run_station

    options = RunOptions(seconds, headless, writable(report), browser)
    raise typer.Exit(run_station(settings, therapy_graph, options, _console()))


@app.command()
def record(
    station: StationFile,
    out: Annotated[Path, typer.Option(help="One folder per session is made in this one.")],
    seconds: Seconds = None,
    report: ReportFile = None,
) -> None:
    """A headless recording station: nobody watches it, it must not lose data."""
    from rt.graphs.recording_station import recording_graph
    from rt.live import RunOptions, run_station
    from rt.station import read_station, recording_into

    settings = recording_into(read_station(station), out)
    options = RunOptions(seconds, True, writable(report), False)
    raise typer.Exit(run_station(settings, recording_graph, options, _console()))


@app.command()
def replay(
    recording: Recording,
    speed: Annotated[float, typer.Option(min=0, help="1 = as it was, 0 = as fast as possible.")] = 1.0,
    headless: Headless = False,
    report: ReportFile = None,
    port: Port = None,
    browser: Browser = True,
    record: Annotated[Path | None, typer.Option(help="Record the replay into this folder.")] = None,
) -> None:
    """Play a recording through the same graph."""
    from rt.graphs.replay import replay_graph, replay_station
    from rt.live import RunOptions, run_station

    settings = replay_station(recording, port or 0, record)
    options = RunOptions(None, headless, writable(report), browser)
    build = lambda *args: replay_graph(recording, speed, *args)  # noqa: E731 - one argument bound, nothing more
    raise typer.Exit(run_station(settings, build, options, _console()))


@app.command()
def repair(recording: Recording) -> None:
    """Make a recording whole again after a kill or a power cut, and say what was lost."""
    from rt.recording.repair import repair as repair_recording

    with _console().status(f"Repairing {recording.name} ..."):
        result = repair_recording(recording)
    _console().print(str(result), highlight=False)


@app.command()
def export(
    recording: Recording,
    out: Annotated[Path, typer.Option(help="Where to write.")],
    format: Annotated[str, typer.Option(help="csv (one row per frame) or bids (EMG-BIDS, EDF).")] = "csv",
) -> None:
    """Write a recording for other programs."""
    from rich.progress import Progress

    from rt.recording.export import export as export_recording

    console = _console()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Exporting", total=1.0)
        written = export_recording(recording, out, format, progress=lambda done: progress.update(task, completed=done))
    for path in written:
        _console().print(str(path), highlight=False, soft_wrap=True)


@app.command()
def report(
    recording: Recording,
    out: Annotated[Path | None, typer.Option(help="The HTML file; default: report.html in the recording.")] = None,
) -> None:
    """One page about a recording: envelopes, latencies, gaps, ledger."""
    from rt.recording.report import write_report

    path = writable(out) or recording / "report.html"
    write_report(recording, path)
    _console().print(str(path), highlight=False, soft_wrap=True)


@simulate.command("emg")
def simulate_emg(
    seconds: Seconds = None,
    name: Annotated[str, typer.Option(help="LSL stream name.")] = "MyoMirror-Simulated-EMG",
    source_id: Annotated[str, typer.Option(help="LSL source_id.")] = "myomirror-simulated-emg",
    rate: Annotated[float, typer.Option(min=1000, max=20000, help="Hz")] = 4096.0,
    chunk: Annotated[int, typer.Option(min=1, max=4096, help="Samples that are sent at once.")] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    drop_every: Annotated[float | None, typer.Option(min=0.5, help="Lose 0.1 s of samples every so many s.")] = None,
    silence: Annotated[tuple[float, float] | None, typer.Option(help="From second A send nothing for B s.")] = None,
    nan_channel: Annotated[str, typer.Option(help="Label of a channel that is not a number.")] = "",
    reach: Annotated[str, typer.Option(help="Who can find it: this machine, or the lan.")] = "machine",
) -> None:
    """A real LSL outlet with 22 synthetic facial channels, standing in for an amplifier."""
    from rt.simulate import OutletSettings, run_outlet

    settings = OutletSettings(
        name=name,
        source_id=source_id,
        rate_hz=rate,
        chunk_samples=chunk,
        seconds=seconds,
        seed=seed,
        drop_every_s=drop_every,
        silence=silence,
        nan_channel=nan_channel,
        reach=_one_of(reach, "machine", "lan"),
    )
    run_outlet(settings, started=lambda text: _console().print(text, highlight=False, soft_wrap=True))


@assets.command("list")
def assets_list() -> None:
    """What there is, and where it was found."""
    from rt.assets import ASSETS, cure, find

    for asset in ASSETS:
        found = find(asset.name) or f"missing: {cure(asset.name)}"
        _console().print(f"{asset.name}  {found}", highlight=False, soft_wrap=True)


@assets.command("fetch")
def assets_fetch() -> None:
    """Download what is missing from pinned addresses, checked against pinned SHA-256 sums."""
    from rt.assets import ASSETS, cure, fetch, find

    for asset in ASSETS:
        by_hand = not asset.address and find(asset.name) is None
        done = f"{asset.name}  not downloaded: {cure(asset.name)}" if by_hand else str(fetch(asset.name))
        _console().print(done, highlight=False, soft_wrap=True)


@assets.command("verify")
def assets_verify() -> None:
    """Check what is installed against the pinned SHA-256 sums."""
    from rt.assets import ASSETS, find, verify

    for asset in ASSETS:
        if find(asset.name) is None and not asset.address:
            _console().print(f"{asset.name}  not installed", highlight=False)
        else:
            verify(asset.name)
            _console().print(f"{asset.name}  ok", highlight=False)


@assets.command("import-flame")
def assets_import_flame(
    pickle_file: Annotated[
        Path, typer.Argument(help="generic_model.pkl of FLAME 2020, which you have registered for.")
    ],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    eyelids: Annotated[
        tuple[Path, Path] | None, typer.Option(help="SMIRK's l_eyelid.npy and r_eyelid.npy; without, lids stay open.")
    ] = None,
) -> None:
    """Convert your own copy of the FLAME face model, once; nothing in the pickle is run."""
    from engines.face.flame import import_flame
    from rt.errors import BadSettings

    if out.suffix != ".npz" or not out.parent.is_dir():
        raise BadSettings(f"FLAME cannot be written to {out}: give an .npz file in a folder that exists")
    model = import_flame(pickle_file, out, eyelids)
    _console().print(
        f"{out}: {len(model.template)} vertices, {len(model.shape)} shapes, {len(model.expression)} expressions; "
        "FLAME's licence (research only) holds for it too",
        highlight=False,
        soft_wrap=True,
    )


@station_app.command("schema")
def station_schema() -> None:
    """The JSON Schema of station files, for editors."""
    from rt.station import Station

    sys.stdout.write(json.dumps(Station.model_json_schema(), indent=1) + "\n")


@station_app.command("example")
def station_example() -> None:
    """A station file to start from."""
    from rt.station import EXAMPLE

    sys.stdout.write(EXAMPLE)


@station_app.command("check")
def station_check(station: StationFile) -> None:
    """Whether a station file is right, without starting anything."""
    from rt.graphs.therapy import therapy_graph
    from rt.station import read_station

    therapy_graph(read_station(station), headless=False).check_nodes()
    _console().print(f"{station} is fine", highlight=False, soft_wrap=True)


@app.command()
def doctor(machine_readable: Annotated[bool, typer.Option("--json", help="For other programs.")] = False) -> None:
    """What this machine has, what is missing, and what to do about it."""
    from rt.doctor import as_json, diagnose, print_checks

    checks = diagnose()
    if machine_readable:
        sys.stdout.write(json.dumps(as_json(checks), indent=1) + "\n")
    else:
        print_checks(checks, _console())
    raise typer.Exit(3 if any(check.status == "fail" for check in checks) else 0)


def writable(report: Path | None) -> Path | None:
    """The report's path, found out before the session and not after it.  Raises BadSettings when it cannot be written.

    None stays None.
    """
    from rt.errors import BadSettings

    if report is None:
        return None
    if report.is_dir():
        raise BadSettings(f"the report cannot be written to {report}: it is a folder, give the name of a file")
    if not (report.parent.is_dir() and os.access(report.parent, os.W_OK)):
        raise BadSettings(f"the report cannot be written to {report}: {report.parent} is no writable folder")
    return report


def _one_of(word: str, *known: str) -> Any:
    """A word out of a few. Raises BadSettings naming them."""
    from rt.errors import BadSettings

    if word not in known:
        raise BadSettings(f"{word!r} is not one of {', '.join(known)}")
    return word


def _console() -> Any:
    from rich.console import Console

    return Console()


def main() -> None:
    """The `myomirror` command: one sentence instead of a traceback for everything that users can cause."""
    os.umask(0o077)
    try:
        app()
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        sys.stderr.write(f"myomirror: {error}\n")
        sys.exit(code)


def _exit_code(error: Exception) -> int | None:
    """The documented code for our own errors, None for a bug."""
    from engines.errors import EngineError
    from rt.errors import LiveError

    if isinstance(error, LiveError):
        return error.exit_code
    return 2 if isinstance(error, EngineError) else None
