"""An LSL outlet that stands in for an amplifier: what `myomirror simulate emg` runs.

22 channels with labels, units and a source_id, in step with the LSL clock: what the demo's person does, round and
round. Its faults can be switched on: lost packets, silence, a broken channel.
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.emg.demo_performance import demo_emg
from engines.emg.simulator import ORIGIN, SyntheticEmg
from engines.errors import EngineError
from rt import clock, lsl
from rt.errors import BadSettings

_LONGEST_S = 0.5  # of one push, when catching up


@dataclass(frozen=True)
class OutletSettings:
    """What the outlet says of itself, and what is wrong with it. Times in seconds since it started."""

    name: str = "MyoMirror-Simulated-EMG"
    type: str = "EMG"
    source_id: str = "myomirror-simulated-emg"
    rate_hz: float = 4096.0
    chunk_samples: int = 64  # per push
    seconds: float | None = None  # None: until it is told to stop
    seed: int = 0
    start_s: float | None = None  # LSL seconds at which the person's performance begins; None: now
    drop_every_s: float | None = None  # lose drop_s of samples, this often
    drop_s: float = 0.1
    silence: tuple[float, float] | None = None  # (from, for): send nothing, as if a cable were out
    nan_channel: str = ""  # the label of a channel that is not a number
    reach: lsl.Reach = "machine"
    session: str = ""

    def check(self) -> None:
        """Raise BadSettings for the first value that cannot work."""
        s = self
        if not 1 <= s.chunk_samples <= s.rate_hz * _LONGEST_S:
            raise BadSettings(f"chunk_samples must be 1 to {int(s.rate_hz * _LONGEST_S)}, found {s.chunk_samples}")
        if s.seconds is not None and not s.seconds > 0:
            raise BadSettings(f"seconds must be above 0, found {s.seconds:g}")
        if s.drop_every_s is not None and not 0 < s.drop_s < s.drop_every_s:
            raise BadSettings(f"needs 0 < drop_s < drop_every_s, found {s.drop_s:g} and {s.drop_every_s:g}")
        if s.silence is not None and not (s.silence[0] >= 0 and s.silence[1] > 0):
            raise BadSettings(f"silence is (from, for) in seconds, found {s.silence}")


def run_outlet(settings: OutletSettings, started: Callable[[str], None] | None = None) -> int:
    """Serve the outlet until `seconds` are over, or SIGINT or SIGTERM comes; returns the samples that were taken.

    started: called with one sentence once the outlet is there.  Raises BadSettings, MissingDevice (no liblsl).
    """
    with _stop_on_signal() as stop:
        return serve(settings, stop, started)


def serve(settings: OutletSettings, stop: threading.Event, started: Callable[[str], None] | None = None) -> int:
    """As `run_outlet`, until `stop` is set; touches no signals."""
    settings.check()
    try:
        person = demo_emg(settings.rate_hz, settings.seed)
        broken = person.montage.column(settings.nan_channel) if settings.nan_channel else None
    except EngineError as error:
        raise BadSettings(str(error)) from error
    pylsl = lsl.library(settings.reach, settings.session)
    person.block(0, 1)
    outlet = _outlet(pylsl, settings, person)
    if started is not None:
        started(
            f"{settings.name} ({settings.type}, {len(person.montage)} channels, {settings.rate_hz:g} Hz, source_id "
            f"{settings.source_id}) is on; its signal is {ORIGIN}"
        )
    return _push(outlet, settings, person, broken, stop)


def _outlet(pylsl: Any, settings: OutletSettings, person: SyntheticEmg) -> Any:
    labels = person.montage.labels
    info = pylsl.StreamInfo(
        settings.name, settings.type, len(labels), settings.rate_hz, pylsl.cf_float32, settings.source_id
    )
    lsl.describe(info, labels, "microvolts", montage=person.montage.name, origin=ORIGIN)
    return pylsl.StreamOutlet(info)


def _push(
    outlet: Any, settings: OutletSettings, person: SyntheticEmg, broken: int | None, stop: threading.Event
) -> int:
    """Push on an absolute schedule; sample n of the performance is taken at t_zero + n / rate_hz."""
    rate_hz, least = settings.rate_hz, settings.chunk_samples
    t_started = clock.now()
    t_zero = t_started if settings.start_s is None else settings.start_s
    first = max(math.ceil((t_started - t_zero) * rate_hz), 0)
    end = math.inf if settings.seconds is None else first + round(settings.seconds * rate_hz)
    following = first
    while following < end:
        t_due = t_zero + (following + least - 1) / rate_hz
        if stop.wait(max(t_due - clock.now(), 0.0)):
            break
        whole_pushes = max(math.floor((clock.now() - t_zero) * rate_hz + 1 - following) // least, 1)
        count = int(min(whole_pushes * least, _LONGEST_S * rate_hz, end - following))
        block = person.block(following, count)
        if broken is not None:
            block[:, broken] = np.nan
        if _goes_out((following - first) / rate_hz, settings):
            outlet.push_chunk(block, t_zero + (following + count - 1) / rate_hz)
        following += count
    return following - first


def _goes_out(t_s: float, settings: OutletSettings) -> bool:
    """Whether the push at this second is sent, or falls to one of the faults."""
    every_s = settings.drop_every_s
    if every_s is not None and t_s >= every_s and t_s % every_s < settings.drop_s:
        return False
    if settings.silence is not None:
        begin_s, for_s = settings.silence
        return not begin_s <= t_s < begin_s + for_s
    return True


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    stop = threading.Event()
    chosen = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in chosen]
    try:
        yield stop
    finally:
        for number, old in zip(chosen, before, strict=True):
            signal.signal(number, old)
