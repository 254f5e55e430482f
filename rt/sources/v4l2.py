"""Cameras of Video4Linux: which there are, and one opened through OpenCV."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rt.errors import BadSettings, MissingDevice

_CLASS = Path("/sys/class/video4linux")
_HARDWARE_STAMPS = Path("/sys/module/uvcvideo/parameters/hwtimestamps")
_BUFFERS = 2  # one being filled, one being read; each more is one more frame of age
_SELECT_TIMEOUT_S = "2"  # OpenCV's own 10 s would leave a vanished camera unnoticed
_MANUAL_EXPOSURE = 1  # V4L2_EXPOSURE_MANUAL
_EXPOSURE_UNIT_S = 1e-4  # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 microseconds


class Shot(NamedTuple):
    """One picture from a device: (height, width, 3) uint8 BGR, and its stamp in seconds (NaN when it has none)."""

    image: np.ndarray
    device_s: float


class DeviceGone(Exception):
    """The device stopped giving pictures: unplugged, switched off, or the end of a file."""


class Device(Protocol):
    """One open camera.

    width, height: pixels that it gives.  fps: what it says.  mid_exposure_s: what to add to a device stamp to get
    the middle of the exposure, 0 where that is not known.
    """

    name: str
    width: int
    height: int
    fps: float
    mid_exposure_s: float

    def read(self, buffer: np.ndarray) -> Shot | None:
        """Wait for the next picture, decoded into buffer; None for a damaged one. Raises DeviceGone."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class CameraFound:
    """A camera that the kernel knows."""

    path: str
    name: str


def list_cameras(sysfs: Path = _CLASS) -> list[CameraFound]:
    """Every node that gives pictures, in order. A webcam's second node (its metadata) is left out."""
    found = []
    for entry in sorted(sysfs.glob("video*"), key=lambda e: int(e.name[5:]) if e.name[5:].isdigit() else -1):
        if _line(entry / "index") in ("", "0"):
            found.append(CameraFound(f"/dev/{entry.name}", _line(entry / "name") or "unnamed"))
    return found


def find_camera(device: str, cameras: list[CameraFound]) -> str:
    """The path for a setting: a path, a number, or a part of the camera's name.

    Raises MissingDevice with the list of what was found.
    """
    if device.isdigit():
        device = f"/dev/video{device}"
    if device.startswith("/"):
        if Path(device).exists():
            return device
    elif device:
        named = [camera.path for camera in cameras if device.lower() in camera.name.lower()]
        if named:
            return named[0]
    listed = ", ".join(f"{camera.path} ({camera.name})" for camera in cameras) or "none"
    raise MissingDevice(f"camera {device!r} is not there; found: {listed}. Plug it in, or set `device` to another one")


class OpenCvDevice:
    """A V4L2 camera (or, for tests, a video file) read through OpenCV.

    OpenCV decodes into a picture of its own and copies that into `read`'s buffer; it gives no way around.
    """

    def __init__(self, path: str, width: int, height: int, fps: float) -> None:
        """Open and ask for MJPG of that size and rate; what it then gives stands in width, height and fps."""
        import cv2

        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_TIMEOUT_S)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # its warnings become our own sentences
        is_camera = Path(path).is_char_device()
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2 if is_camera else cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise MissingDevice(f"camera {path} cannot be opened: is another program using it, may you read it?")
        if is_camera:
            for what, value in (
                (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),  # first: it decides what sizes there are
                (cv2.CAP_PROP_FRAME_WIDTH, width),
                (cv2.CAP_PROP_FRAME_HEIGHT, height),
                (cv2.CAP_PROP_FPS, fps),
                (cv2.CAP_PROP_BUFFERSIZE, _BUFFERS),
            ):
                self._capture.set(what, value)
        self._stamp, self._decoding_error = cv2.CAP_PROP_POS_MSEC, cv2.error
        self.name = path
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.mid_exposure_s = 0.0
        if is_camera and self._capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) == _MANUAL_EXPOSURE:
            exposure = self._capture.get(cv2.CAP_PROP_EXPOSURE)
            self.mid_exposure_s = mid_exposure_s(exposure, stamped_at_start=_line(_HARDWARE_STAMPS) in ("1", "Y"))

    def read(self, buffer: np.ndarray) -> Shot | None:
        """See Device."""
        if not self._capture.grab():
            raise DeviceGone(self.name)
        stamp_s = self._capture.get(self._stamp) / 1e3
        try:
            decoded, image = self._capture.retrieve(buffer)
        except self._decoding_error:
            return None
        if not decoded or image is None or image.size == 0:
            return None
        return Shot(image, stamp_s if stamp_s > 0 else math.nan)

    def close(self) -> None:
        """See Device."""
        self._capture.release()


def mid_exposure_s(exposure_100us: float, stamped_at_start: bool) -> float:
    """Seconds from a UVC stamp to the middle of the exposure; 0 for an exposure that makes no sense.

    exposure_100us: V4L2's exposure_absolute. The uvcvideo driver stamps the first packet that arrives, which a
    camera sends when its first line is exposed; only with its option hwtimestamps=1 is it the start of the exposure.
    """
    half_s = exposure_100us * _EXPOSURE_UNIT_S / 2
    if not 0 < half_s < 0.5:
        return 0.0
    return half_s if stamped_at_start else -half_s


def check_size(device: Device, largest: tuple[int, int]) -> None:
    """Raise BadSettings when the device gives more than (width, height) pixels."""
    if device.width > largest[0] or device.height > largest[1] or not (device.width > 0 and device.height > 0):
        raise BadSettings(
            f"camera {device.name} gives {device.width}x{device.height}, the station file allows at most "
            f"{largest[0]}x{largest[1]}: set `max_width` and `max_height`, or ask for another size"
        )


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
