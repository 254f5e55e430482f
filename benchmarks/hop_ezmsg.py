"""The same hop in ezmsg: a publisher unit and a subscriber unit in processes of their own, over its shared memory.

It gets the advantages that its settings offer: buffers large enough from the start (otherwise the first message makes
it move to a new segment) and as few of them as our ring has slots. Its subscribers come in two kinds, and both are
measured: `leaky` keeps the promise of our `latest` edge (newest wins, nobody is held back) and copies each message;
the other kind hands out a view and holds the publisher back when it is slow.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import ezmsg.core as ez
import numpy as np

from benchmarks.hop_meter import SLOTS, Job, Meter, private_pictures
from rt import clock

_ROOM = 4096  # for ezmsg's header and the pickled rest of the message
_LARGEST = 720 * 1280 * 3


@dataclass
class Picture:
    """The message."""

    number: int
    t_ready: float
    image: np.ndarray


class HopSettings(ez.Settings):
    """What to send."""

    job: Job


class Pixels(ez.Unit):
    """Publishes pictures at the job's rate."""

    SETTINGS = HopSettings
    OUTPUT = ez.OutputStream(Picture, num_buffers=SLOTS, buf_size=_LARGEST + _ROOM)

    @ez.publisher(OUTPUT)
    async def publish(self) -> AsyncGenerator[tuple[ez.OutputStream, Picture], None]:
        job = self.SETTINGS.job
        pictures, meter = private_pictures(job), Meter(job, "producer")
        for number in range(job.frames):
            await asyncio.sleep(max(meter.due(number) - clock.now(), 0.0))
            image = next(pictures)
            yield self.OUTPUT, Picture(number, meter.fill(number, image), image)
        await asyncio.sleep(max(meter.due(job.frames) - clock.now(), 0.0))
        meter.write()


class _Display(ez.Unit):
    """Uses each picture."""

    SETTINGS = HopSettings

    async def initialize(self) -> None:
        self.meter = Meter(self.SETTINGS.job, "consumer")

    async def take(self, picture: Picture) -> None:
        if self.meter.take(picture.number, picture.t_ready, picture.image):
            self.meter.write()
            await asyncio.sleep(3 / self.SETTINGS.job.fps)  # the producer writes its own numbers one period later
            raise ez.NormalTermination


class NewestDisplay(_Display):
    """Newest wins: like our `latest` edge."""

    INPUT = ez.InputStream(Picture, leaky=True, max_queue=1)

    @ez.subscriber(INPUT)
    async def use(self, picture: Picture) -> None:
        await self.take(picture)


class EveryDisplay(_Display):
    """Every message, without a copy; a slow one holds the publisher back."""

    INPUT = ez.InputStream(Picture)

    @ez.subscriber(INPUT)
    async def use(self, picture: Picture) -> None:
        await self.take(picture)


def run_ezmsg(job: Job, newest: bool) -> None:
    """Run the graph to its end. ezmsg starts processes of its own: call this in one that has nothing else to do."""
    display = NewestDisplay if newest else EveryDisplay
    units: dict[str, Any] = {"PIXELS": Pixels(HopSettings(job)), "DISPLAY": display(HopSettings(job))}
    edges = ((units["PIXELS"].OUTPUT, units["DISPLAY"].INPUT),)
    ez.run(components=units, connections=edges, process_components=tuple(units.values()))
