"""The demo: a synthetic person and synthetic muscles through the same graph as a therapy session."""

from pathlib import Path

import platformdirs

from engines.emg.envelope import Envelope, chain_id, preset
from engines.emg.measures import Calibration, reference_mvc, rest_statistics
from engines.emg.montage import FRIDLUND
from engines.emg.simulator import ActivationScript, SyntheticEmg, Task
from rt.station import Station, parse_station

_RATE_HZ = 4096.0
_PRESET = "standard"


def demo_station(port: int = 0, record: Path | None = None) -> Station:
    """The station of `myomirror demo`. record: a folder to record into, None for nothing."""
    return parse_station(
        {
            "subject": "demo",
            "camera": {"kind": "synthetic"},
            "emg": {"kind": "synthetic"},
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


def demo_calibration() -> Path:
    """The synthetic person's calibration, made as a real one is: rest, then three maximal repetitions of everything.

    Kept in the user's cache, one file per EMG chain; 15 s of signal cost about 0.2 s the first time.
    """
    settings = preset(_PRESET)
    chain = chain_id(settings, _RATE_HZ)
    folder = Path(platformdirs.user_cache_dir("myomirror"))
    path = folder / f"demo-calibration-{chain}.json"
    if path.exists():
        return path
    everything = Task("Maximum", tuple((muscle, 1.0, 1.0) for muscle, _, _ in FRIDLUND.pairs()), ())
    script = ActivationScript(tasks=(everything,))
    period = round(script.period_s * _RATE_HZ)
    raw = SyntheticEmg(rate_hz=_RATE_HZ, seed=1, performance=script).block(0, 3 * period)
    envelope = Envelope(settings).process(raw, _RATE_HZ)
    rest_mean, rest_sd = rest_statistics(envelope[round(0.5 * _RATE_HZ) : round((script.rest_s - 0.2) * _RATE_HZ)])
    repetitions = [envelope[i * period : (i + 1) * period] for i in range(3)]
    calibration = Calibration(
        chain_id=chain,
        labels=FRIDLUND.labels,
        rest_mean_uv=tuple(map(float, rest_mean)),
        rest_sd_uv=tuple(map(float, rest_sd)),
        reference_uv=tuple(map(float, reference_mvc(repetitions, _RATE_HZ))),
        reference_kind="synthetic maximum, 3 repetitions",
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    calibration.save(path)
    return path
