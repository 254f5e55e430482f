"""LabStreamingLayer: the one place that configures liblsl, looks for streams, and reads what they say of themselves.

liblsl is configured once per process, before its first call, and never again; every LSL import goes through
`library`. By default LSL stays on this machine: it knows no authentication and no encryption, and its data ports
listen on every interface, so `reach="lan"` belongs into a network that only the therapy room uses.
"""

import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rt.errors import BadSettings, MissingDevice

Reach = Literal["machine", "lan"]

SESSION_VARIABLE = "MYOMIRROR_LSL_SESSION"
"""Streams see each other only within one LSL session; tests and demos each get their own through this variable."""

_FORGET_S = 1.5  # a stream that no longer answers stays in the list this long
_QUIET = -3  # liblsl logs fatal errors only: a lost outlet is told in our own words

_lock = threading.Lock()
_configured: tuple[Reach, str] | None = None
_pylsl: Any = None


def library(reach: Reach = "machine", session: str = "") -> Any:
    """The `pylsl` module, imported and configured at the first call in this process.

    reach: 'machine' keeps every search and answer on the loopback interface; 'lan' uses the network with LSL's own
    settings (its `lsl_api.cfg`, where there is one).  session: LSL session id; the environment variable
    `MYOMIRROR_LSL_SESSION` wins over it, '' is LSL's default.
    Raises MissingDevice without liblsl, BadSettings when this process has already been configured otherwise.
    """
    global _configured, _pylsl
    wanted = (reach, os.environ.get(SESSION_VARIABLE, "") or session)
    with _lock:
        if _configured is None:
            _pylsl = _import()
            content = config_content(*wanted)
            if content:
                _pylsl.set_config_content(content)
            _configured = wanted
    if _configured != wanted:
        raise BadSettings(
            f"LSL is already set to reach {_configured[0]!r}, session {_configured[1]!r} in this process, not "
            f"{wanted[0]!r}, {wanted[1]!r}: give every LSL node of one group the same"
        )
    return _pylsl


def config_content(reach: Reach, session: str) -> str:
    """The configuration handed to liblsl, in its INI form; '' leaves the site's own `lsl_api.cfg` in force."""
    if any(not (c.isalnum() or c in "-_.") for c in session):
        raise BadSettings(f"the LSL session {session!r} may hold letters, digits, '-', '_' and '.' only")
    lab = [f"SessionID = {session}"] if session else []
    if reach == "lan":
        return "\n".join(["[lab]", *lab, "[log]", f"level = {_QUIET}", ""]) if session else ""
    return "\n".join(
        [
            "[ports]",
            "IPv6 = disable",
            "[multicast]",
            "ResolveScope = machine",
            "ListenAddress = 127.0.0.1",
            "[lab]",
            "KnownPeers = {127.0.0.1}",
            *lab,
            "[log]",
            f"level = {_QUIET}",
            "",
        ]
    )


def _import() -> Any:
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingDevice(
            f"LabStreamingLayer is needed for EMG over the network, and it cannot be loaded ({error}): "
            "pip install pylsl"
        ) from error
    return pylsl


@dataclass(frozen=True)
class Wanted:
    """Which stream is meant; '' means any. At least one of the three must be given."""

    name: str = ""
    type: str = ""
    source_id: str = ""

    def fits(self, info: Any) -> bool:
        """Whether a stream on the network is meant."""
        return all(
            not wanted or wanted == found
            for wanted, found in (
                (self.name, info.name()),
                (self.type, info.type()),
                (self.source_id, info.source_id()),
            )
        )

    def __str__(self) -> str:
        said = [f"{k} {v!r}" for k, v in (("name", self.name), ("type", self.type), ("source_id", self.source_id)) if v]
        return ", ".join(said) or "any stream"


class Watch:
    """Streams that are on the network now; looks in the background, and never blocks.

    liblsl's one-shot search is not used: with a timeout of 0.5 s it returned after 5.5 s when nothing was there
    (liblsl 1.18, measured).
    """

    def __init__(self, pylsl: Any) -> None:
        self._resolver = pylsl.ContinuousResolver(forget_after=_FORGET_S)

    def streams(self) -> list[Any]:
        """Every stream of this LSL session, as `pylsl.StreamInfo` without description."""
        found: list[Any] = self._resolver.results()
        return found

    def fitting(self, wanted: Wanted, except_uids: Collection[str] = ()) -> list[Any]:
        """The streams that are meant, except those with these uids (outlets that are gone but still listed)."""
        return [info for info in self.streams() if wanted.fits(info) and info.uid() not in except_uids]


def listed(streams: Sequence[Any]) -> str:
    """What is on the network, for people: name, type, channels, rate, source_id."""
    if not streams:
        return "there is no LSL stream at all"
    return "found " + "; ".join(
        f"{s.name()!r} (type {s.type()!r}, {s.channel_count()} channels, {s.nominal_srate():g} Hz, "
        f"source_id {s.source_id()!r})"
        for s in sorted(streams, key=lambda s: str(s.name()))
    )


def channel_texts(info: Any, field: str) -> list[str]:
    """What the stream says of each channel ('label', 'unit'), '' where it says nothing; [] without a channel list.

    info: a full `pylsl.StreamInfo` (from `StreamInlet.info`).
    """
    texts: list[str] = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        texts.append(str(channel.child_value(field)).strip())
        channel = channel.next_sibling("channel")
    return texts


def microvolts_per(unit: str) -> float | None:
    """What one of this unit is in microvolt; None when the unit is not known. Takes words, symbols and `1e-6`-style
    exponents (the '-6' that pylsl and MNE write for microvolt)."""
    text = unit.strip().replace("\N{GREEK SMALL LETTER MU}", "u").replace("\N{MICRO SIGN}", "u")
    return _UNITS.get(text, _UNITS.get(text.lower().removesuffix("s")))


_UNITS = {
    **dict.fromkeys(("uV", "uv", "microvolt", "-6"), 1.0),
    **dict.fromkeys(("mV", "millivolt", "-3"), 1e3),
    **dict.fromkeys(("V", "v", "volt"), 1e6),
    **dict.fromkeys(("nV", "nanovolt", "-9"), 1e-3),
}


def describe(info: Any, labels: Sequence[str], unit: str, **facts: str) -> None:
    """Write channel labels, their unit and further facts into a stream's description, the way XDF files have it."""
    channels = info.desc().append_child("channels")
    for label in labels:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
    for name, value in facts.items():
        info.desc().append_child_value(name, value)
