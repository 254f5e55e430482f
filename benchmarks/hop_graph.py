"""One hop through the whole runtime: a real session with a camera process and a display process.

Unlike 'ring and link' this contains everything a live station pays for: work loop, heartbeats, board, trace stamps,
stage histograms, news from the session.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.hop_meter import Job, Meter
from rt.graph import LATEST, EdgeSpec, Graph, NodeSpec
from rt.message import Frame, Message
from rt.session import Session
from rt.sources.pacing import wait_until
from rt.stage import Emit, Node, Source


@dataclass(frozen=True)
class HopSettings:
    """job: `Job.to_json()`."""

    job: str


class Pixels(Source[HopSettings]):
    """Makes each picture in the ring's own memory."""

    Settings = HopSettings
    OUTPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def open(self) -> None:
        self._job = Job.from_json(self.settings.job)
        self._meter: Meter | None = None
        self._number = 0

    def read(self, timeout_s: float) -> Iterable[Emit] | None:
        self._meter = self._meter or Meter(self._job, "producer")
        if not wait_until(self._meter.due(self._number), timeout_s):
            return []
        if self._number == self._job.frames:
            self._meter.write()
            return None
        image = self.context.frame_buffer("frame", self._job.shape)
        t_ready = self._meter.fill(self._number, image)
        self._number += 1
        return [("frame", Frame(self._number, t_ready, "host", image))]


class Display(Node[HopSettings]):
    """Uses each picture."""

    Settings = HopSettings
    INPUTS: ClassVar[dict[str, type[Message]]] = {"frame": Frame}

    def open(self) -> None:
        self._meter = Meter(Job.from_json(self.settings.job), "consumer")

    def process(self, port: str, message: Message) -> Iterable[Emit]:
        assert isinstance(message, Frame)
        if self._meter.take(message.seq - 1, message.t_capture, message.image):  # the worker numbers from one
            self._meter.write()
        return ()


def run_session(job: Job) -> None:
    """Run it as a station would. Raises what the session raises."""
    settings = {"job": job.to_json()}
    nodes = (
        NodeSpec("camera", f"{__name__}:Pixels", "camera", settings),
        NodeSpec("display", f"{__name__}:Display", "display", settings),
    )
    edge = EdgeSpec("camera.frame", "display.frame", LATEST)
    with Session(Graph(nodes, (edge,), (job.height, job.width), job.fps)) as session:
        session.run(10 + job.frames / job.fps)
