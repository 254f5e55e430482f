"""The demo: a synthetic person and synthetic muscles through the same graph as a therapy session."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from engines.emg import simulator
from engines.emg.demo_performance import demo_emg, maximal_performance
from engines.emg.envelope import Envelope, chain_id, preset
from engines.emg.measures import Calibration, reference_mvc, rest_statistics
from engines.emg.montage import FRIDLUND
from engines.shipped import shipped_bundles
from rt.station import Station, parse_station

_RATE_HZ = 4096.0
_PRESET = "standard"
RESTORE = "restore-cpu"
ENCODER, EXP2EMG, EMG2EXP = "encoder-cpu", "exp2emg", "emg2exp"
_READ_EVERY = 2  # pictures: on two cores, on which a browser draws as well; the page glides in between and says so


def demo_station(
    port: int = 0,
    record: Path | None = None,
    restore: str | None = RESTORE,
    estimates: bool = True,
    frontal: bool = False,
) -> Station:
    """The station of `myomirror demo`.

    record: a folder to record into, None for nothing.  restore: the bundle that removes the person's electrodes, None
    to leave them on.  estimates: expression and muscle both ways, as far as their bundles are shipped.
    frontal: the face from the front, which costs a share of a core and needs the face model.
    """
    return parse_station(
        {
            "subject": "demo",
            "camera": {"kind": "synthetic"},
            "emg": {"kind": "synthetic"},
            "restore": {"bundle": restore, "device": "cpu"} if restore else None,  # looking for a GPU takes seconds
            **(demo_estimates() if estimates else {}),
            "motion": frontal,
            "envelope": {"preset": _PRESET, "calibration": demo_calibration()},
            "page": {"port": port},
            "recording": {
                "enabled": record is not None,
                "folder": record or Path("recordings"),
                "consent": {"emg": True, "video": True},
            },
        },
        "the demo",
    )


def demo_estimates() -> dict[str, Any]:
    """The station's sections `expression` and `estimate`: every bundle that is shipped, off where it is not.

    Muscles are estimated only where an encoder reads the face for it.
    """
    there = {path.name for path in shipped_bundles()}
    both = {name: name if name in there else None for name in (EXP2EMG, EMG2EXP)}
    if ENCODER not in there:
        both[EXP2EMG] = None
    return {
        "expression": {"bundle": ENCODER, "every": _READ_EVERY} if ENCODER in there else None,
        "estimate": both if any(both.values()) else None,
    }


def demo_calibration() -> Path:
    """The synthetic person's calibration, made as a real one is: rest, then three maximal repetitions of every muscle.

    The references are the person's own, weak side included, under the electrodes of the demo.  Kept in the user's
    cache, one file per EMG chain and simulator; 97 s of signal cost about 3 s the first time.
    """
    settings = preset(_PRESET)
    chain = chain_id(settings, _RATE_HZ)
    folder = Path(platformdirs.user_cache_dir("myomirror"))
    path = folder / f"demo-calibration-{chain}-{_simulator_id()}.json"
    if path.exists():
        return path
    performance = maximal_performance()
    raw = demo_emg(_RATE_HZ, performance=performance).block(0, round(performance.duration_s * _RATE_HZ))
    envelope = Envelope(settings).process(raw, _RATE_HZ)

    def part(start_s: float, end_s: float) -> np.ndarray:
        return envelope[round(start_s * _RATE_HZ) : round(end_s * _RATE_HZ)]

    rest_mean, rest_sd = rest_statistics(part(0.5, 3.0))
    reference = np.full(len(FRIDLUND), np.nan)
    for muscle, right, left in FRIDLUND.pairs():
        repetitions = [part(held.start_s, held.end_s) for held in performance.held if held.task == muscle]
        reference[[right, left]] = reference_mvc(repetitions, _RATE_HZ)[[right, left]]
    calibration = Calibration(
        chain_id=chain,
        labels=FRIDLUND.labels,
        rest_mean_uv=tuple(map(float, rest_mean)),
        rest_sd_uv=tuple(map(float, rest_sd)),
        reference_uv=tuple(map(float, reference)),
        reference_kind="synthetic maximum, 3 repetitions",
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    calibration.save(path)
    return path


def _simulator_id() -> str:
    """Changes with every line that decides how loud the person's muscles are."""
    sources = sorted(Path(simulator.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
