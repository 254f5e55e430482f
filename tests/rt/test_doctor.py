"""The doctor on this machine and on faked ones: it always answers, and its advice fits."""

import io
import json
from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console

from rt import assets, doctor, packages
from rt.doctor import Check, _carefully
from rt.errors import BadSettings
from rt.sources.v4l2 import CameraFound


@pytest.fixture(scope="module")
def here():
    return doctor.diagnose()


def test_it_answers_every_question_on_this_machine(here):
    names = [check.name for check in here]
    assert len(names) == len(set(names)) == 15 + len(assets.ASSETS)
    assert {"Python", "OpenVINO", "shared memory", "LSL", "cameras", "face_landmarker.task"} <= set(names)
    for check in here:
        assert check.status in ("ok", "warn", "fail")
        assert check.found
        assert "\n" not in check.found + check.advice
        assert bool(check.advice) == (check.status != "ok"), check


def test_what_the_tests_themselves_need_is_fine(here):
    status = {check.name: check.status for check in here}
    assert status["Python"] == status["loopback"] == status["LSL"] == status["import packages"] == "ok"


def test_it_can_be_written_as_json(here):
    assert json.loads(json.dumps(doctor.as_json(here)))[0].keys() == {"name", "status", "found", "advice"}


def test_it_prints_status_in_words_and_advice():
    out = io.StringIO()
    checks = [
        Check("A", "ok", "fine"),
        Check("B [x]", "warn", "so so", "do this"),
        Check("C", "fail", "bad", "do that"),
    ]
    doctor.print_checks(checks, Console(file=out, width=40))
    assert out.getvalue().splitlines() == [
        "ok    A: fine",
        "warn  B [x]: so so",
        "      -> do this",
        "FAIL  C: bad",
        "      -> do that",
    ]


@pytest.mark.parametrize(
    "error", [OSError("no such device"), ImportError("libGL.so.1"), RuntimeError("x"), BadSettings("one sentence")]
)
def test_a_check_that_breaks_is_a_finding(error):
    def breaks():
        raise error

    check = _carefully("thing", breaks)
    assert check.status == "fail"
    assert str(error) in check.found + check.advice


def test_python_3_10_is_refused():
    assert doctor.python_version((3, 10, 14)).status == "fail"
    assert doctor.python_version((3, 11, 0)).status == "ok"


def test_a_second_owner_of_our_packages_is_refused(monkeypatch):
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"rt": ["myomirror", "requesttracker"]})
    with pytest.raises(BadSettings, match="requesttracker"):
        packages.refuse_second_owner()
    check = _carefully("import packages", doctor.package_owners)
    assert check.status == "fail"
    assert "pip uninstall requesttracker" in check.advice
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"rt": ["myomirror"]})
    assert doctor.package_owners().status == "ok"


def test_missing_system_libraries_name_the_packages():
    check = doctor.system_libraries(lambda: ["libgl1", "libegl1"])
    assert (check.status, check.advice) == ("fail", "sudo apt-get install libgl1 libegl1")
    assert doctor.system_libraries(list).status == "ok"


@pytest.mark.parametrize(
    ("version", "status"),
    [("0.10.33", "ok"), ("0.10.30", "ok"), ("0.10.32", "fail"), ("0.10.35", "fail"), ("0.11.0", "fail"),
     ("0.10.21", "warn"), ("0.10.33rc1", "warn")],
)  # fmt: skip
def test_mediapipe_that_calls_home_is_refused(version, status):
    assert doctor.mediapipe_version(version).status == status


def test_without_openvino_sessions_run_but_electrodes_stay():
    missing = doctor.openvino_version("")
    assert (missing.status, missing.advice) == ("warn", "pip install openvino")
    assert doctor.openvino_version("2026.4.1").status == "ok"


@pytest.mark.parametrize(
    ("owners", "status"),
    [([], "fail"), (["opencv-contrib-python"], "ok"), (["opencv-python", "opencv-contrib-python"], "warn")],
)
def test_two_wheels_with_cv2_are_a_warning(monkeypatch, owners, status):
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"cv2": owners})
    assert doctor.opencv_owners().status == status


@pytest.mark.parametrize(
    ("flags", "cores", "status"),
    [("fpu sse2 avx2", 4, "ok"), ("fpu sse2", 4, "warn"), ("fpu avx2", 1, "warn"), (None, 4, "ok")],
)
def test_processor(tmp_path, flags, cores, status):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: {flags}\n")
    check = doctor.processor(cpuinfo, cores)
    assert check.status == status
    if flags:
        assert "Some CPU" in check.found


@pytest.mark.parametrize(
    ("text", "status"), [("MemAvailable:  8000000 kB\n", "ok"), ("MemAvailable: 500000 kB\n", "warn"), ("", "warn")]
)
def test_memory(tmp_path, text, status):
    (tmp_path / "meminfo").write_text(text)
    assert doctor.memory(tmp_path / "meminfo").status == status


@pytest.mark.parametrize(("free_mib", "status"), [(2000, "ok"), (100, "warn"), (10, "fail")])
def test_shared_memory_and_disk(monkeypatch, tmp_path, free_mib, status):
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free_mib * 2**20, "total": 2**31})
    )
    assert doctor.shared_memory(tmp_path).status == status
    assert doctor.disk(tmp_path).status == ("warn" if free_mib < 2048 else "ok")
    assert doctor.shared_memory(tmp_path / "nothing").status == "fail"


def test_cameras(tmp_path):
    assert doctor.cameras(list).status == "warn"
    mine = tmp_path / "video0"
    mine.touch()
    check = doctor.cameras(lambda: [CameraFound(str(mine), "Desk cam")])
    assert (check.status, "Desk cam" in check.found) == ("ok", True)
    check = doctor.cameras(lambda: [CameraFound(str(tmp_path / "video9"), "Locked cam")])
    assert (check.status, "video9" in check.found) == ("warn", True)


def test_browser():
    assert doctor.browser(lambda name: None).status == "warn"
    assert doctor.browser(lambda name: f"/opt/{name}" if name == "firefox" else None).found == "/opt/firefox"


def test_assets_missing_and_altered(monkeypatch, tmp_path):
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name = "face_landmarker.task"
    assert doctor.asset_state(name).status == "warn"
    (tmp_path / name).write_bytes(b"altered")
    check = doctor.asset_state(name)
    assert check.status == "fail"
    assert str(Path(tmp_path / name)) in check.found


def test_without_liblsl_the_other_answers_still_come(monkeypatch):
    from rt import lsl
    from rt.errors import MissingDevice

    def missing(*_):
        raise MissingDevice("LabStreamingLayer cannot be loaded: pip install pylsl")

    monkeypatch.setattr(lsl, "library", missing)
    monkeypatch.setattr(doctor, "_LSL_WAIT_S", 0.0)
    checks = {check.name: check for check in doctor.diagnose()}
    assert checks["LSL"].status == checks["LSL streams"].status == "fail"
    assert "pip install pylsl" in checks["LSL"].advice
    assert checks["Python"].status == "ok"
