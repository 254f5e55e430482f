"""Which LSL stream is the EMG, and how its columns become the montage: by name, or not at all."""

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from engines.emg.montage import FRIDLUND
from engines.errors import UnknownChannel
from rt import clock, lsl
from rt.errors import BadSettings, MissingDevice
from rt.stage import Context

_LOOK_EVERY_S = 0.02
_OTHERS_S = 0.8  # LSL asks around every 0.5 s: a second stream that fits shows by then
_NUMERIC = frozenset({1, 2, 4, 5, 6, 7})  # LSL's float32, double64, int32, int16, int8, int64


@dataclass(frozen=True)
class LslEmgSettings:
    """Which stream, and how to read it. Without name, type and source_id any stream of type 'EMG' is meant."""

    name: str = ""
    type: str = ""
    source_id: str = ""
    channels: dict[str, str] = field(default_factory=dict)  # {stream label: montage label}, where they differ
    labels: tuple[str, ...] = ()  # in stream order, only for an outlet that does not name its channels
    unit: str = ""  # only for an outlet that does not say its unit
    rate_hz: float = 0.0  # refuse any other; 0: whatever the outlet says
    chunk_ms: float = 8.0  # the least that is handed on at once; what the sender pushes at once stays whole
    wait_s: float = 10.0  # for the outlet to appear, when the session starts
    reach: lsl.Reach = "machine"
    session: str = ""

    def wanted(self) -> lsl.Wanted:
        """The stream that is meant."""
        if self.name or self.type or self.source_id:
            return lsl.Wanted(self.name, self.type, self.source_id)
        return lsl.Wanted(type="EMG")


def find(pylsl: Any, wanted: lsl.Wanted, wait_s: float, context: Context) -> Any:
    """The one stream that is meant. Raises MissingDevice after wait_s, BadSettings when several fit."""
    watch = lsl.Watch(pylsl)
    deadline = clock.now() + wait_s
    while not watch.fitting(wanted):
        if clock.now() > deadline:
            raise MissingDevice(
                f"no EMG stream with {wanted} appeared within {wait_s:g} s; {lsl.listed(watch.streams())}. "
                "Start the amplifier's LSL outlet or correct the station file"
            )
        context.beat()
        time.sleep(_LOOK_EVERY_S)
    if not wanted.source_id:
        time.sleep(_OTHERS_S)
    fitting = watch.fitting(wanted)
    if len(fitting) > 1:
        raise BadSettings(
            f"{len(fitting)} EMG streams fit {wanted}: {lsl.listed(fitting)}. Give the source_id of one of them"
        )
    return fitting[0]


class Fit(NamedTuple):
    """How a stream's columns become the montage: which ones, and microvolt per unit of each."""

    columns: np.ndarray  # (channel,) int64
    scale: np.ndarray  # (channel,) float32
    rate_hz: float


def fit(info: Any, settings: LslEmgSettings) -> Fit:
    """Check a full stream description against the montage, by name. Raises BadSettings: what, found what, do what."""
    who = f"the LSL stream {info.name()!r}"
    rate_hz = float(info.nominal_srate())
    if info.channel_format() not in _NUMERIC:
        raise BadSettings(f"{who} carries text, not numbers: choose the stream with the EMG samples")
    if not rate_hz > 0:
        raise BadSettings(f"{who} has no regular rate: EMG needs one; switch it on in the amplifier's outlet")
    if settings.rate_hz and abs(rate_hz / settings.rate_hz - 1) > 1e-3:
        raise BadSettings(
            f"{who} runs at {rate_hz:g} Hz where {settings.rate_hz:g} Hz are expected: "
            "set the amplifier's rate, or rate_hz in the station file"
        )
    labels = _labels(info, settings, who)
    try:
        columns = FRIDLUND.index_of(labels, settings.channels or None)
    except UnknownChannel as error:
        raise BadSettings(f"{who} cannot be used: {error}") from error
    units = lsl.channel_texts(info, "unit") or [""] * len(labels)
    scale = [_microvolts(units[i] or settings.unit, labels[i], who) for i in columns]
    return Fit(columns, np.array(scale, np.float32), rate_hz)


def _labels(info: Any, settings: LslEmgSettings, who: str) -> list[str]:
    count = int(info.channel_count())
    found = lsl.channel_texts(info, "label")
    if any(found) and settings.labels:
        raise BadSettings(f"{who} names its channels itself: remove labels from the station file")
    labels = found if any(found) else list(settings.labels)
    if not labels:
        raise BadSettings(
            f"{who} has {count} channels without names: name them in the amplifier's outlet, or give their labels in "
            "stream order in the station file"
        )
    if len(labels) != count:
        raise BadSettings(f"{who} has {count} channels but {len(labels)} labels ({', '.join(labels)}): correct them")
    return labels


def _microvolts(unit: str, label: str, who: str) -> float:
    factor = lsl.microvolts_per(unit)
    if factor is None:
        said = f"the unit {unit!r}, which is not known" if unit else "no unit"
        raise BadSettings(
            f"{who} gives channel {label} {said}: say microvolts, millivolts or volts in its description"
            + ("" if unit else ", or give unit in the station file")
        )
    return factor
