"""What this machine has, what is missing, and what to do about it: `myomirror doctor`.

Every check is a function that gives one `Check` and never stops the others. 'fail' means that no session can run
here; 'warn' that something will not work, or not well.
"""

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rt import assets, clock
from rt.errors import LiveError
from rt.packages import refuse_second_owner
from rt.sources.v4l2 import CameraFound, list_cameras
from rt.system_libraries import missing_packages

if TYPE_CHECKING:
    from rich.console import Console

Status = Literal["ok", "warn", "fail"]

_MIB, _GIB = 2**20, 2**30
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "firefox", "firefox-esr")
_LSL_WAIT_S = 1.0  # an outlet on this machine is found within 0.3 s
_LARGEST_CLOCK_DIFFERENCE_S = 1e-3
# These call a metrics host when a model is created (FACTS of the project: measured); 0.10.30, .31 and .33 do not.
_FIRST_QUIET, _TALKING, _FIRST_TALKING = (0, 10, 30), (0, 10, 32), (0, 10, 35)


class Check(NamedTuple):
    """One thing looked at. advice: what to do, '' when there is nothing to do."""

    name: str
    status: Status
    found: str
    advice: str = ""


def diagnose() -> list[Check]:
    """Every check, in the order in which people should repair things. Takes about two seconds; needs no root."""
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("Python", python_version),
        ("import packages", package_owners),
        ("system libraries", system_libraries),
        ("MediaPipe", mediapipe_version),
        ("OpenCV", opencv_owners),
        ("OpenVINO", openvino_version),
        ("processor", processor),
        ("memory", memory),
        ("shared memory", shared_memory),
        ("disk", disk),
        ("loopback", loopback),
        ("LSL", lsl_clock),
        ("LSL streams", lsl_streams),
        ("cameras", cameras),
        ("browser", browser),
        *((asset.name, lambda name=asset.name: asset_state(name)) for asset in assets.ASSETS),
    )
    return [_carefully(name, check) for name, check in checks]


def _carefully(name: str, check: Callable[[], Check]) -> Check:
    """What a check raises is its finding: a broken installation must not hide the rest."""
    try:
        return check()
    except LiveError as error:
        return Check(name, "fail", "does not work", str(error))
    except (OSError, ImportError, RuntimeError, ValueError, AttributeError) as error:
        advice = "install MyoMirror again into a fresh environment"
        return Check(name, "fail", f"could not be looked at ({type(error).__name__}: {error})", advice)


def python_version(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """3.11 or newer."""
    found = f"{'.'.join(map(str, version))}, {sys.executable}"
    if version < (3, 11):
        return Check("Python", "fail", found, "install Python 3.11 or newer and make the environment again")
    return Check("Python", "ok", found)


def package_owners() -> Check:
    """Nobody else's `rt`, `engines` or `calibration`: raises BadSettings, which `diagnose` shows."""
    refuse_second_owner()
    return Check("import packages", "ok", "rt, engines and calibration are ours alone")


def system_libraries(missing: Callable[[], list[str]] = missing_packages) -> Check:
    """What the wheels of MediaPipe and OpenCV need from the system."""
    packages = missing()
    if packages:
        advice = f"sudo apt-get install {' '.join(packages)}"
        return Check("system libraries", "fail", f"without {', '.join(packages)} pictures cannot be read", advice)
    return Check("system libraries", "ok", "GL, EGL, GLES and GLib are there")


def mediapipe_version(installed: str | None = None) -> Check:
    """A version that stays on this machine."""
    text = installed if installed is not None else _version("mediapipe")
    if text is None:
        return Check("MediaPipe", "fail", "not installed", "pip install mediapipe==0.10.33")
    version = tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
    if version == _TALKING or version >= _FIRST_TALKING:
        return Check("MediaPipe", "fail", f"{text} calls a host on the internet", "pip install mediapipe==0.10.33")
    if version < _FIRST_QUIET:
        return Check("MediaPipe", "warn", f"{text} is older than what is tested", "pip install mediapipe==0.10.33")
    return Check("MediaPipe", "ok", text)


def openvino_version(installed: str | None = None) -> Check:
    """What runs the network that removes electrodes, where there is no graphics card. installed: '' for not at all."""
    text = installed if installed is not None else _version("openvino")
    if not text:
        return Check("OpenVINO", "warn", "not installed: electrodes are not removed", "pip install openvino")
    return Check("OpenVINO", "ok", text)


def opencv_owners() -> Check:
    """Only one of the wheels that bring `cv2`: removing one of two breaks the other."""
    owners = sorted(set(metadata.packages_distributions().get("cv2", [])))
    if not owners:
        return Check("OpenCV", "fail", "not installed", "pip install opencv-contrib-python")
    if len(owners) > 1:
        advice = f"pip uninstall {' '.join(owners)}, then pip install opencv-contrib-python"
        return Check("OpenCV", "warn", f"cv2 comes from {' and '.join(owners)}", advice)
    return Check("OpenCV", "ok", f"{owners[0]} {_version(owners[0])}")


def processor(cpuinfo: Path = Path("/proc/cpuinfo"), cores: int | None = None) -> Check:
    """Two cores, and vector instructions on x86."""
    cores = cores if cores is not None else len(os.sched_getaffinity(0))
    lines = _text(cpuinfo).splitlines()
    fields = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    name, flags = fields.get("model name", platform.machine()).strip(), fields.get("flags", "").split()
    has_avx2 = "avx2" in flags
    found = f"{cores} cores, {name}{', AVX2' if has_avx2 else ''}"
    if cores < 2:
        return Check("processor", "warn", found, "30 pictures a second need two cores: give the machine another one")
    if flags and not has_avx2:
        return Check("processor", "warn", f"{found}, no AVX2", "expect fewer pictures a second, or use a newer machine")
    return Check("processor", "ok", found)


def memory(meminfo: Path = Path("/proc/meminfo")) -> Check:
    """1.5 GiB that can be had."""
    fields = dict(line.split(":", 1) for line in _text(meminfo).splitlines() if ":" in line)
    available = int(fields.get("MemAvailable", "0").split()[0]) * 1024
    found = f"{available / _GIB:.1f} GiB available"
    if available < 1.5 * _GIB:
        return Check("memory", "warn", found, "a session takes about 1 GiB: close other programs")
    return Check("memory", "ok", found)


def shared_memory(folder: Path = Path("/dev/shm")) -> Check:  # noqa: S108 - it is looked at, not written to
    """Room for the rings of pictures."""
    if not folder.is_dir():
        return Check("shared memory", "fail", f"{folder} is not there", "mount a tmpfs there")
    if not os.access(folder, os.W_OK):
        return Check("shared memory", "fail", f"{folder} is not writable", f"sudo chmod 1777 {folder}")
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / _MIB:.0f} of {usage.total / _MIB:.0f} MiB free in {folder}"
    enlarge = "enlarge it: mount -o remount,size=512m /dev/shm, or docker run --shm-size=512m"
    if usage.free < 64 * _MIB:
        return Check("shared memory", "fail", found, enlarge)
    if usage.free < 256 * _MIB:
        return Check("shared memory", "warn", f"{found}: too little for a recorder with 640x480", enlarge)
    return Check("shared memory", "ok", found)


def disk(folder: Path | None = None) -> Check:
    """Room for recordings where the command is run."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB free in {folder}"
    if free < 2 * _GIB:
        return Check("disk", "warn", found, "an hour of recording takes up to 2 GiB: make room, or record elsewhere")
    return Check("disk", "ok", found)


def loopback() -> Check:
    """The page and LSL need ports on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    return Check("loopback", "ok", f"a port of 127.0.0.1 can be opened and reached (tried {port})")


def lsl_clock() -> Check:
    """liblsl loads, and its clock is ours."""
    from rt import lsl

    pylsl = lsl.library()
    difference_s = min((abs(pylsl.local_clock() - clock.now()) for _ in range(5)), default=0.0)
    version = pylsl.library_version()
    found = f"liblsl {version // 100}.{version % 100}, its clock is {difference_s * 1e6:.0f} us from ours"
    if difference_s > _LARGEST_CLOCK_DIFFERENCE_S:
        advice = "muscles and pictures could not be joined: install pylsl 1.18 and remove other copies of liblsl"
        return Check("LSL", "fail", found, advice)
    return Check("LSL", "ok", found)


def lsl_streams() -> Check:
    """What the network shows; none is fine for the demo."""
    from rt import lsl

    watch = lsl.Watch(lsl.library())
    time.sleep(_LSL_WAIT_S)
    streams = watch.streams()
    if any(stream.type() == "EMG" for stream in streams):
        return Check("LSL streams", "ok", lsl.listed(streams))
    advice = "start the amplifier's LSL outlet, or `myomirror simulate emg`, before a live session"
    return Check("LSL streams", "warn", f"no EMG stream: {lsl.listed(streams)}", advice)


def cameras(found: Callable[[], list[CameraFound]] = list_cameras) -> Check:
    """Cameras that may be opened; none is fine for the demo."""
    listed = found()
    if not listed:
        return Check("cameras", "warn", "none", "plug one in before a live session; the demo needs none")
    text = ", ".join(f"{camera.path} ({camera.name})" for camera in listed)
    locked = [camera.path for camera in listed if not os.access(camera.path, os.R_OK | os.W_OK)]
    if locked:
        advice = "sudo usermod -aG video $USER, then log in again"
        return Check("cameras", "warn", f"{text}; {', '.join(locked)} may not be opened", advice)
    return Check("cameras", "ok", text)


def browser(which: Callable[[str], str | None] = shutil.which) -> Check:
    """Something to see the page with."""
    path = next((path for name in _BROWSERS if (path := which(name))), None)
    if path is None:
        return Check("browser", "warn", "none", "sudo apt-get install chromium; without one, sessions run headless")
    return Check("browser", "ok", path)


def asset_state(name: str) -> Check:
    """Whether a pinned file is installed and whole."""
    state, purpose = assets.state(name), assets.asset(name).purpose
    if state == "missing":
        return Check(name, "warn", f"not installed: {purpose}", assets.cure(name))
    if state == "altered":
        return Check(name, "fail", f"{assets.find(name)} is not the pinned file", f"remove it, {assets.cure(name)}")
    return Check(name, "ok", f"{assets.find(name)}, sha256 as pinned")


def print_checks(checks: list[Check], console: "Console") -> None:
    """For people: one line per check, and what to do under those that need something."""
    from rich.text import Text

    marks: dict[str, tuple[str, str]] = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}
    for check in checks:
        word, colour = marks[check.status]
        line = Text.assemble((word, colour), f"  {check.name}: {check.found}")
        console.print(line, soft_wrap=True)
        if check.advice:
            console.print(Text(f"      -> {check.advice}"), soft_wrap=True)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def as_json(checks: list[Check]) -> list[dict[str, Any]]:
    """The checks as plain JSON values."""
    return [check._asdict() for check in checks]
