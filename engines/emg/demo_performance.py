"""What the demo's person does: 54 s of exercises with a weak left side, seen by camera and electrodes alike.

The picture of it is bundles/demo-person, rendered once by calibration/demo_person.py; the EMG is made live.  Both begin
anew together after PERIOD_S.  A change here asks for the clip to be rendered again, and a test says so.
"""

from functools import cache

from engines.emg.montage import FRIDLUND
from engines.emg.performance import Performance
from engines.emg.profile import synkinetic
from engines.emg.simulator import Amplifier, SyntheticEmg
from engines.emg.tasks import Clip, Contraction, Task, functional_clip, task_named

PERIOD_S = 54.0

_SCRIPT = (  # task, when each hold begins and how long it lasts, s, and the clip's length
    ("Smile-Closed", (2.2, 5.6), 1.9, 8.5),
    ("Forehead-Raise", (1.0,), 1.8, 4.5),
    ("Eye-Tight", (1.0,), 1.8, 4.5),
    ("Smile-Open", (1.0,), 2.0, 5.0),
    ("Lip-Pucker", (1.0,), 1.8, 4.5),
    ("Nose-Wrinkler", (1.0,), 1.7, 4.5),
    ("Cheeks-Blow", (1.0,), 1.8, 4.5),
    ("Snarl", (1.0,), 1.7, 4.5),
    ("Depress-Lip", (1.0,), 1.7, 4.5),
    ("Eye-Gentle", (1.0,), 1.5, 4.0),
    ("surprised", (1.0,), 1.6, 5.0),
)

PROFILE = synkinetic("left", strength=0.6, residual=0.45, name="demo")
"""A healed palsy: the left side has 45 % of its strength, and its eye narrows with a smile and with a pucker."""

SEED, PERSON = 1, 15


@cache
def demo_performance() -> Performance:
    """The performance, worked out once per process; it lasts PERIOD_S and joins its own beginning."""
    return Performance([_clip(*line) for line in _SCRIPT], PROFILE, SEED, PERSON)


def demo_emg(
    rate_hz: float = 4096.0, seed: int = 0, mains_hz: float = 50.0, performance: Performance | None = None
) -> SyntheticEmg:
    """The demo's person under electrodes: sample n is taken n / rate_hz seconds after the performance began.

    seed: of the session (noise, placement of the electrodes).  performance: `demo_performance()` when absent.
    Raises BadInput when a number does not fit.
    """
    return SyntheticEmg(
        rate_hz=rate_hz,
        seed=seed,
        performance=performance or demo_performance(),
        amplifier=Amplifier(mains_hz=mains_hz),
        person=PERSON,
    )


def maximal_performance() -> Performance:
    """What the same person is calibrated with: each muscle alone at its own maximum, three times, both sides at once.

    Nothing for the first three seconds; every contraction is in `.held`, its task named as the muscle.
    """
    tasks = [Task(muscle, "calibration", ((muscle, 1.0),)) for muscle, _, _ in FRIDLUND.pairs()]
    still = Clip(task_named("Face-At-Rest"), 3.0, ())
    clips = [functional_clip(task, hold_s=1.5, rest_s=1.0, lead_s=1.0) for task in tasks]
    return Performance([still, *clips], PROFILE, SEED, PERSON, variability=0.0)


def _clip(task: str, starts_s: tuple[float, ...], hold_s: float, duration_s: float) -> Clip:
    return Clip(task_named(task), duration_s, tuple(Contraction(start_s, start_s + hold_s) for start_s in starts_s))
