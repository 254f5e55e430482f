"""What every way of moving a picture has in common: the job, the picture, the clock, and the CPU counter.

Latency runs from "the producer has its pixels" to "the consumer has an array and has read its first and last byte".
CPU is that of the two processes, all their threads, over the frames after the warm-up, less what it costs to make the
pixels: that is measured where the picture is made in private memory, and the same amount is taken off for every way
(so that a way whose pixels are made in slower, shared memory pays the difference itself).
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt import clock

SLOTS = 10  # pictures in shared memory: what `Graph.rings` gives a `latest` edge, and the same for every peer
_WAIT_S = 20.0


@dataclass(frozen=True)
class Job:
    """One run of one way. folder: for sockets and results. frames: pictures sent, the first warm_up unmeasured."""

    folder: str
    frames: int = 120
    warm_up: int = 15
    fps: float = 30.0
    height: int = 720
    width: int = 1280

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, 3

    @property
    def last(self) -> int:
        return self.frames - 1

    def result(self, role: str) -> dict[str, Any]:
        """What `Meter` wrote in that role's process."""
        found: dict[str, Any] = json.loads((Path(self.folder) / f"{role}.json").read_text())
        return found

    @staticmethod
    def from_json(text: str) -> "Job":
        return Job(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Meter:
    """Lives in the producer's or the consumer's process and writes folder/ROLE.json at the end."""

    def __init__(self, job: Job, role: str) -> None:
        self._job = job
        self._role = role
        self._pixels = np.random.default_rng(7).integers(0, 256, job.shape, np.uint8)
        self._cpu_s = 0.0
        self._fill_s = 0.0
        self._latency_ms: list[float] = []
        self._wrong = 0
        self._t_first = clock.now() + 0.2  # the first frame, once everything is set up

    def due(self, number: int) -> float:
        """When frame `number` is to be made, LSL seconds."""
        return self._t_first + number / self._job.fps

    def fill(self, number: int, image: np.ndarray) -> float:
        """Make picture `number` in `image` (a copy of noise that carries its number); returns when it was ready."""
        if number == self._job.warm_up:
            self._cpu_s = time.process_time()
        begin = time.thread_time()
        np.copyto(image, self._pixels)
        image[0, 0, 0] = image[-1, -1, -1] = number % 251
        if number >= self._job.warm_up:
            self._fill_s += time.thread_time() - begin
        return clock.now()

    def take(self, number: int, t_ready: float, image: np.ndarray) -> bool:
        """Use a picture that has arrived. True for the last one."""
        right = image[0, 0, 0] == image[-1, -1, -1] == number % 251 and image.shape == self._job.shape
        now = clock.now()
        if number >= self._job.warm_up:
            self._wrong += not right
            if not self._latency_ms:
                self._cpu_s = time.process_time()
            self._latency_ms.append((now - t_ready) * 1e3)
        return number >= self._job.last

    def write(self) -> None:
        """Leave the numbers in the job's folder."""
        measured = self._job.frames - self._job.warm_up
        found = {
            "cpu_ms": (time.process_time() - self._cpu_s) * 1e3 / measured,
            "fill_ms": self._fill_s * 1e3 / measured,
            "latency_ms": self._latency_ms,
            "wrong": self._wrong,
        }
        (Path(self._job.folder) / f"{self._role}.json").write_text(json.dumps(found))


def private_pictures(job: Job) -> Iterator[np.ndarray]:
    """As many pictures in the producer's own memory as a ring has, in turn: earlier ones may still be on their way."""
    pictures = [np.zeros(job.shape, np.uint8) for _ in range(SLOTS)]
    while True:
        yield from pictures


def paced(job: Job, meter: Meter) -> Iterator[int]:
    """The numbers of the frames, each at its time; ends one period after the last."""
    for number in range(job.frames + 1):
        time.sleep(max(meter.due(number) - clock.now(), 0.0))
        if number < job.frames:
            yield number


def say_ready(job: Job) -> None:
    """The consumer is listening."""
    (Path(job.folder) / "ready").touch()


def wait_ready(job: Job) -> None:
    """Wait for the consumer. Raises TimeoutError when it does not come."""
    t_limit = clock.now() + _WAIT_S
    while not (Path(job.folder) / "ready").exists():
        if clock.now() > t_limit:
            raise TimeoutError(f"the consumer was not ready within {_WAIT_S:g} s: see what it printed")
        time.sleep(0.01)
