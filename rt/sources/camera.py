"""A camera: its own capture thread, the newest picture wins, stamps from the device, and it may come and go.

Decoding happens in the capture thread (OpenCV lets go of the interpreter meanwhile) into three buffers of its own:
one being written, one waiting, one being read. `read` copies the newest into the runtime's buffer, which belongs to
the work loop: 0.1 ms for 640x480. What that buys: a camera that hangs in the kernel never hangs the work loop.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rt import clock
from rt.errors import BadSettings, LiveError, MissingDevice
from rt.message import Frame, Message
from rt.sources.pacing import first_number
from rt.sources.v4l2 import Device, DeviceGone, OpenCvDevice, check_size, find_camera, list_cameras
from rt.stage import Context, Emit, Source

_OLDEST_STAMP_S = 1.0  # a device stamp older than this at arrival is on another clock
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 2.0
_DAMAGED_IN_A_ROW = 30  # then the device is taken for gone
_TOLD_EVERY_S = 1.0

Opener = Callable[[], Device]


@dataclass(frozen=True)
class CameraSettings:
    """Which camera, and what to ask of it."""

    device: int | str = 0  # number of /dev/videoN, a path (best: /dev/v4l/by-id/...), or part of the name
    width: int = 640
    height: int = 480
    fps: float = 30.0
    max_width: int = 0  # the largest picture that is taken when the camera gives another size; 0 = width
    max_height: int = 0


class Taken(NamedTuple):
    """A picture as `CaptureLoop.take` gives it; valid until the next `take`."""

    image: np.ndarray
    t_capture: float
    stamp: str


class MissingCounter:
    """Counts pictures that the device made and nobody got, from the gaps between its stamps.

    The period is the median of the last 31 intervals, so a camera that halves its rate in the dark is not a loss.
    """

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=31)
        self._last = math.nan
        self.count = 0

    def see(self, t: float) -> None:
        """Take in the next stamp, seconds."""
        interval = t - self._last
        self._last = t
        if not interval > 0:
            return
        if len(self._intervals) >= 8:
            self.count += max(round(interval / float(np.median(self._intervals))) - 1, 0)
        self._intervals.append(interval)

    def restart(self) -> None:
        """After the device was away: the gap is told elsewhere."""
        self._last = math.nan


class CaptureLoop:
    """Reads a device in a thread of its own and opens it again when it vanishes.

    `events` collects (kind, sentence, details) for the work loop to pass on: the runtime's context is not for
    threads. overtaken: pictures replaced by a newer one before anybody took them.
    """

    def __init__(self, device: Device, reopen: Opener) -> None:
        self.events: SimpleQueue[tuple[str, str, dict[str, Any]]] = SimpleQueue()
        self.overtaken = 0
        self.damaged = 0
        self.missing = MissingCounter()
        self._device: Device | None = device
        self._reopen = reopen
        self._buffers = [np.empty((device.height, device.width, 3), np.uint8) for _ in range(3)]
        self._newest: tuple[int, Taken] | None = None
        self._in_hand = -1  # buffer that the work loop reads
        self._fresh = threading.Condition()
        self._stopping = threading.Event()
        self._last_device_s = -math.inf
        self._t_lost = math.nan
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self, timeout_s: float) -> Taken | None:
        """The newest picture that has not been taken yet, waiting at most timeout_s.

        Raises MissingDevice when the thread has died of an error of ours, so that the process is started anew.
        """
        if not self._thread.is_alive():
            raise MissingDevice("the camera's capture thread has ended: the log says why")
        with self._fresh:
            self._fresh.wait_for(lambda: self._newest is not None, timeout_s)
            if self._newest is None:
                return None
            (self._in_hand, taken), self._newest = self._newest, None
            return taken

    def stop(self) -> None:
        """End the thread; a device that hangs in the kernel is left to the end of the process."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._device is None and not self._open_again():
                return
            try:
                self._read_until_gone()
            except DeviceGone as gone:
                self._t_lost = clock.now()
                self.events.put(("ALARM", f"camera {gone} gives no more pictures: waiting for it to come back", {}))
                self._close_device()
        self._close_device()

    def _open_again(self) -> bool:
        """Try until it is back; False when the source is being closed."""
        pause_s, said = _FIRST_PAUSE_S, ""
        while not self._stopping.wait(pause_s):
            try:
                self._device = self._reopen()
            except LiveError as error:
                if isinstance(error, BadSettings) and str(error) != said:  # it is there, but will not do
                    said = str(error)
                    self.events.put(("ALARM", said, {}))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            gap_s = clock.now() - self._t_lost
            text = f"camera {self._device.name} is back after {gap_s:.1f} s"
            self.events.put(("GAP", text, {"gap_s": round(gap_s, 3)}))
            self.missing.restart()
            return True
        return False

    def _read_until_gone(self) -> None:
        device, damaged_in_a_row = self._device, 0
        assert device is not None
        while not self._stopping.is_set():
            place = self._free_place()
            shot = device.read(self._fitting_buffer(place, device))
            t_arrival = clock.now()
            if shot is None:
                self.damaged, damaged_in_a_row = self.damaged + 1, damaged_in_a_row + 1
                if damaged_in_a_row >= _DAMAGED_IN_A_ROW:
                    raise DeviceGone(device.name)
                continue
            damaged_in_a_row = 0
            t_capture, stamp = self._time_of(shot.device_s, t_arrival, device.mid_exposure_s)
            self.missing.see(t_capture)
            with self._fresh:
                self.overtaken += self._newest is not None
                self._newest = place, Taken(shot.image, t_capture, stamp)
                self._fresh.notify()

    def _time_of(self, device_s: float, t_arrival: float, mid_exposure_s: float) -> tuple[float, str]:
        """A device stamp counts when it lies on our clock and moves on; else the moment of arrival."""
        plausible = 0.0 <= t_arrival - device_s <= _OLDEST_STAMP_S and device_s > self._last_device_s
        if not plausible:
            return t_arrival, "host"
        self._last_device_s = device_s
        return min(device_s + mid_exposure_s, t_arrival), "device"

    def _free_place(self) -> int:
        with self._fresh:
            used = {self._in_hand, self._newest[0] if self._newest else -1}
        return next(place for place in range(len(self._buffers)) if place not in used)

    def _fitting_buffer(self, place: int, device: Device) -> np.ndarray:
        shape = (device.height, device.width, 3)
        if self._buffers[place].shape != shape:  # it came back with another size
            self._buffers[place] = np.empty(shape, np.uint8)
        return self._buffers[place]

    def _close_device(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


class CameraSource(Source[CameraSettings]):
    """The newest picture of a V4L2 camera.

    Numbers of frames count what is given on; facts tell what is not: `overtaken` (a newer picture came before we
    looked), `missing` (gaps in the device's stamps), `damaged` (could not be decoded).
    """

    Settings = CameraSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def __init__(self, settings: CameraSettings, context: Context, opener: Opener | None = None) -> None:
        super().__init__(settings, context)
        self._opener = opener or self._open_v4l2
        self._number = first_number(context.generation)
        self._loop: CaptureLoop | None = None
        self._t_told = 0.0

    def open(self) -> None:
        """Open the camera. Raises MissingDevice with what was found, BadSettings for a picture too large."""
        device = self._open_checked()
        asked = (self.settings.width, self.settings.height, self.settings.fps)
        self.context.tell(device=device.name, width=device.width, height=device.height, fps=round(device.fps, 2))
        if (device.width, device.height) != asked[:2] or abs(device.fps - asked[2]) > 0.5:
            text = (
                f"camera {device.name} gives {device.width}x{device.height} at {device.fps:g} fps instead of "
                f"{asked[0]}x{asked[1]} at {asked[2]:g}: that is what is used"
            )
            self.context.event("CAMERA", text)
        self._loop = CaptureLoop(device, self._open_checked)
        self._loop.start()

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        """The newest picture, at most one. A camera never ends."""
        assert self._loop is not None, "read() before open()"
        self._pass_on(self._loop)
        taken = self._loop.take(timeout_s)
        if taken is None:
            return ()
        self.context.tell(stamp=taken.stamp)
        image = self.context.frame_buffer("frame", (taken.image.shape[0], taken.image.shape[1], 3))
        np.copyto(image, taken.image)
        number, self._number = self._number, self._number + 1
        return [("frame", Frame(number, taken.t_capture, taken.stamp, image))]

    def close(self) -> None:
        """End the capture thread and let go of the camera."""
        if self._loop is not None:
            self._loop.stop()

    def _open_checked(self) -> Device:
        device = self._opener()
        settings = self.settings
        try:
            check_size(device, (settings.max_width or settings.width, settings.max_height or settings.height))
        except BadSettings:
            device.close()
            raise
        return device

    def _open_v4l2(self) -> Device:
        path = find_camera(str(self.settings.device), list_cameras())
        return OpenCvDevice(path, self.settings.width, self.settings.height, self.settings.fps)

    def _pass_on(self, loop: CaptureLoop) -> None:
        """Events of the capture thread, and once a second its counts."""
        while True:
            try:
                kind, text, data = loop.events.get_nowait()
            except Empty:
                break
            self.context.event(kind, text, **data)
        if clock.now() - self._t_told > _TOLD_EVERY_S:
            self._t_told = clock.now()
            self.context.tell(overtaken=loop.overtaken, missing=loop.missing.count, damaged=loop.damaged)
