"""The command line as a process: what it refuses, how it says so, what it leaves behind, what its reports hold."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import psutil
import pytest
import yaml

from rt import cli, live
from rt import station as station_module
from rt.runtime_folder import shared_memory_root

COMMAND = str(Path(sys.executable).with_name("myomirror"))
QUICK = {"camera": {"kind": "synthetic"}, "emg": {"kind": "synthetic"}}


@dataclass
class Done:
    """A command that is over, and its traces: files in its folder, session folders that nobody holds, processes."""

    code: int
    out: str
    err: str
    files: set[str]
    abandoned: set[str]
    workers: list[int]


def run(folder: Path, *arguments, home: Path | None = None) -> Done:
    env = {**os.environ, "XDG_STATE_HOME": str(home or folder / "home"), "COLUMNS": "80"}
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    out, err = process.communicate(timeout=90)
    files = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if "home" not in path.relative_to(folder).parts
    }
    return Done(process.returncode, out, err, files, _folders_of(env["XDG_STATE_HOME"]), _workers_of(process.pid))


def _folders_of(home: str) -> set[str]:
    """Folders in shared memory of the sessions that have logged in this home."""
    sessions = {path.name for path in Path(home).glob("myomirror/log/*")}
    return {path.name for path in shared_memory_root().iterdir() if path.name.lstrip(".") in sessions}


def _workers_of(pid: int) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "rt.worker" in line and line[-1] == str(pid):
            found.append(process.pid)
    return found


def station(**sections) -> str:
    return yaml.safe_dump({**QUICK, **sections})


RECORDING = {"enabled": True, "consent": {"emg": True}}
# name: (the station file, or None for none; command; exit code; what the sentence says)
REFUSED = {
    "empty file": ("", "live STATION", 2, ("is empty", "station example")),
    "only a comment": ("# nothing\n", "live STATION", 2, ("is empty",)),
    "no yaml": ("camera: {kind: [", "live STATION", 2, ("no YAML",)),
    "a list": ("- camera\n", "live STATION", 2, ("list",)),
    "mistyped section": (station(camra={}), "live STATION", 2, ("'camra'", "did you mean 'camera'")),
    "mistyped key": (station(page={"mirrror": True}), "live STATION", 2, ("page.mirrror", "'mirror'")),
    "out of range": (station(camera={"fps": 0}), "live STATION", 2, ("camera.fps is 0", "greater")),
    "wrong type": (station(page={"port": "many"}), "live STATION", 2, ("page.port is 'many'", "integer")),
    "number for a section": (station(emg=3), "live STATION", 2, ("emg is 3",)),
    "unknown preset": (station(envelope={"preset": "quick"}), "live STATION", 2, ("'quick'", "standard")),
    "no pseudonym": (station(subject="Jane Doe"), "live STATION", 2, ("subject", "Jane Doe")),
    "no consent": (station(recording={"enabled": True}), "live STATION", 2, ("consent",)),
    "limit below target": (station(page={"target_percent": 95}), "live STATION", 2, ("limit_percent",)),
    "no such file": (None, "live STATION", 2, ("cannot be read", "station.yaml")),
    "a muscle that is none": (station(page={"muscles": ["biceps"]}), "live STATION", 2, ("biceps", "zygomaticus")),
    "placement of nothing": (station(placement={"vision": ["nose"]}), "live STATION --headless", 2, ("'nose'", "face")),
    "page on the network": (station(page={"host": "0.0.0.0"}), "live STATION", 2, ("0.0.0.0", "127.0.0.1")),
    "report nowhere": (station(), "live STATION --report no/where.json", 2, ("no/where.json", "folder")),
    "report is a folder": (station(), "live STATION --report .", 2, ("folder",)),
    "video is none": (
        station(camera={"kind": "file", "path": "station.yaml"}, recording=RECORDING),
        "live STATION --headless",
        2,
        ("station.yaml", "video"),
    ),
    "file without a path": (station(camera={"kind": "file"}), "live STATION", 2, ("camera.path",)),
    "map is missing": (station(practise={"map": "no-map"}), "live STATION --headless", 2, ("no-map",)),
    "calibration is none": (
        station(envelope={"calibration": "station.yaml"}, recording=RECORDING),
        "live STATION --headless",
        2,
        ("station.yaml",),
    ),
    "no camera": (
        station(camera={"kind": "device", "device": "/dev/video97"}, recording=RECORDING),
        "live STATION --headless",
        3,
        ("/dev/video97",),
    ),
    "no EMG stream": (
        station(emg={"kind": "lsl", "source_id": "nobody", "wait_s": 0.3}, recording=RECORDING),
        "live STATION --headless",
        3,
        ("nobody", "no EMG stream", "outlet"),
    ),
    "record without consent": (station(), "record STATION --out there", 2, ("consent",)),
    "record into a file": (
        station(recording=RECORDING),
        "record STATION --out STATION",
        2,
        ("station.yaml", "cannot record"),
    ),
    "replay of nothing": (None, "replay nothing", 2, ("nothing is no folder",)),
    "replay of a folder": (None, "replay .", 2, ("no recording",)),
    "repair of a folder": (None, "repair .", 2, ("no recording",)),
    "export of a folder": (None, "export . --out there", 2, ("no recording",)),
    "report of a folder": (None, "report .", 2, ("no recording",)),
    "check": (station(page={"trained": "biceps"}), "station check STATION", 2, ("biceps",)),
    "reach": (None, "simulate emg --reach moon --seconds 1", 2, ("moon", "machine, lan")),
    "simulated channel": (None, "simulate emg --nan-channel F99 --seconds 1", 2, ("F99",)),
}


STARTS = (  # found out only when devices and models are opened; and two more as whole processes
    "map is missing",
    "empty file",
    "page on the network",
    "video is none",
    "calibration is none",
    "no camera",
    "no EMG stream",
)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Real processes, three at a time."""

    folders = {name: tmp_path_factory.mktemp("refused") for name in STARTS}

    def attempt(name: str) -> Done:
        _prepare(folders[name], name)
        return run(folders[name], *_command(name))

    with ThreadPoolExecutor(3) as pool:
        return dict(zip(STARTS, pool.map(attempt, STARTS), strict=True))


def _prepare(folder, name):
    content = REFUSED[name][0]
    if content is not None:
        (folder / "station.yaml").write_text(content)


def _command(name):
    return REFUSED[name][1].replace("STATION", "station.yaml").split()


@pytest.mark.integration
@pytest.mark.parametrize("name", STARTS)
def test_a_refused_start_leaves_nothing(refused, name):
    content, _, code, said = REFUSED[name]
    done = refused[name]
    _is_one_sentence(done.code, done.out, done.err, code, said)
    assert done.files == (set() if content is None else {"station.yaml"})
    assert done.abandoned == set()
    assert done.workers == []


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in STARTS])
def test_refused_at_once(tmp_path, monkeypatch, capfd, name):
    content, _, code, said = REFUSED[name]
    _prepare(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["myomirror", *_command(name)])
    monkeypatch.setattr(live, "Session", None)  # nothing may be started
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capfd.readouterr()
    _is_one_sentence(caught.value.code, out, err, code, said)
    assert {path.name for path in tmp_path.iterdir()} == (set() if content is None else {"station.yaml"})


def _is_one_sentence(found_code, out, err, code, said):
    assert "Traceback" not in err + out, err
    assert found_code == code, err
    assert err.startswith("myomirror: ")
    assert err.count("\n") == 1, err
    assert all(text in err for text in said), err
    assert out == ""


def test_a_bug_is_no_sentence(monkeypatch):
    """What users cannot cause keeps its traceback."""
    monkeypatch.setattr(sys, "argv", ["myomirror", "station", "example"])
    monkeypatch.setattr(station_module, "EXAMPLE", None)
    with pytest.raises(TypeError):
        cli.main()


# ---------------------------------------------------------------------- what is fine


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A recording station for two seconds, with its report."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "station.yaml").write_text(station(recording={"consent": {"emg": True, "video": True}}))
    done = run(folder, *["record", "station.yaml", "--out", "there", "--seconds", "2", "--report", "report.json"])
    assert done.code == 0, done.err
    return done, folder, json.loads((folder / "report.json").read_text())


NUMBERS = {"p50", "p95", "p99", "max"}


@pytest.mark.integration
def test_the_report_has_every_key_with_its_type(told):
    """The contract that other programs read; numbers that were not measured are null."""
    report = told[2]
    frames = report["frames"]
    assert {name: type(value) for name, value in frames.items()} == {
        "captured": int,
        "shown": int,
        "dropped": dict,
        "closed": bool,
    }
    assert all(isinstance(n, int) for n in frames["dropped"].values())
    assert frames["captured"] == frames["shown"] + sum(frames["dropped"].values()) >= 55
    assert isinstance(report["fps"]["shown"], float)
    latency = report["latency_ms"]
    assert {"photon_to_pixel", "muscle_to_pixel", "end", "stages"} <= latency.keys()
    assert latency["end"] == "encoded"
    for found in (latency["photon_to_pixel"], latency["muscle_to_pixel"], *latency["stages"].values()):
        assert found.keys() == NUMBERS
        assert all(value is None or isinstance(value, float) for value in found.values())
    emg = report["emg"]
    assert (emg["channels"], emg["rate_hz"], emg["gaps"]) == (22, 4096.0, 0)
    assert emg["samples"] > 2 * 4096
    assert report["restarts"] == {}
    for engine in report["engines"].values():
        assert {"backend", "bundle", "precision"} <= engine.keys()
        assert all(isinstance(value, str) for value in engine.values())
    assert {"python", "myomirror", "numpy"} <= report["versions"].keys()
    assert all(isinstance(version, str) for version in report["versions"].values())
    assert report["lost"] == []


@pytest.mark.integration
def test_a_recording_station_leaves_its_recording_and_nothing_else(told):
    done, folder, report = told
    (recording,) = (folder / "there").iterdir()
    names = {path.name for path in recording.iterdir()}
    assert names == {"session.json", "signals.xdf", "video_0001.mkv", "manifest.sha256"}
    assert {path.name for path in folder.iterdir()} == {"station.yaml", "there", "report.json", "home"}
    assert (folder / "report.json").stat().st_mode & 0o777 == 0o600
    assert done.abandoned == set()
    assert done.workers == []
    assert done.err == ""
    assert str(recording) in done.out
    kept = json.loads((recording / "session.json").read_text())
    assert kept["state"] == "closed"
    assert kept["ledger"] == report["frames"]
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=recording, check=False)
    assert checked.returncode == 0


@pytest.mark.integration
def test_what_can_be_made_of_a_recording(told, tmp_path):
    _, folder, _ = told
    (recording,) = (folder / "there").iterdir()
    made = run(tmp_path, "export", recording, "--out", "csv")
    assert made.code == 0, made.err
    tables = [Path(tmp_path / line) for line in made.out.split()]
    assert tables
    assert all(path.stat().st_size for path in tables)
    drawn = run(tmp_path, "report", recording, "--out", "page.html")
    assert drawn.code == 0, drawn.err
    assert "<svg" in (tmp_path / "page.html").read_text()
    assert "in order" in run(tmp_path, "repair", recording).out
    unwritable = run(tmp_path, "report", recording, "--out", "no/page.html")
    assert unwritable.code == 2
    assert unwritable.err.count("\n") == 1


def main(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["myomirror", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0, *capfd.readouterr()


def test_schema_is_valid_and_takes_the_example(monkeypatch, capfd, tmp_path):
    code, schema, _ = main(monkeypatch, capfd, "station", "schema")
    assert code == 0
    schema = json.loads(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    code, example, _ = main(monkeypatch, capfd, "station", "example")
    assert code == 0
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(example))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"camra": {}})
    (tmp_path / "station.yaml").write_text(example)
    code, out, err = main(monkeypatch, capfd, "station", "check", str(tmp_path / "station.yaml"))
    assert (code, err) == (0, "")
    assert "is fine" in out


def test_flame_is_imported_from_a_users_own_file(monkeypatch, capfd, tmp_path):
    """A damaged pickle and a place that cannot be written to are one sentence each; nothing is left behind."""
    damaged, out = tmp_path / "generic_model.pkl", tmp_path / "flame.npz"
    damaged.write_bytes(b"no pickle")
    code, _, err = main(monkeypatch, capfd, "assets", "import-flame", str(damaged), "--out", str(out))
    assert code == 2
    assert str(damaged) in err
    assert not out.exists()
    code, _, err = main(
        monkeypatch, capfd, "assets", "import-flame", str(damaged), "--out", str(tmp_path / "flame.pkl")
    )
    assert code == 2
    assert ".npz" in err


def test_doctor_for_programs(monkeypatch, capfd):
    code, out, _ = main(monkeypatch, capfd, "doctor", "--json")
    assert code in (0, 3)
    found = json.loads(out)
    assert found


def test_help_is_quick_because_it_loads_nothing(capfd):
    code = (
        "import sys; sys.argv = ['myomirror', '--help']\nimport rt.cli\ntry: rt.cli.main()\nexcept SystemExit: pass\n"
    )
    code += "print(*sorted({'numpy', 'cv2', 'zmq', 'numba', 'scipy', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    for command in ("demo", "live", "record", "replay", "repair", "export", "report", "simulate", "doctor", "station"):
        assert command in done.stdout
