"""What every picture source needs: numbers that are never used twice, and waiting for the clock without drift."""

import time

from rt import clock

_NUMBERS_PER_LIFE = 10_000_000  # frames; 92 hours at 30 fps


def first_number(generation: int) -> int:
    """The first frame number of a source's process: a restarted one (generation 1, 2, ...) repeats none."""
    return generation * _NUMBERS_PER_LIFE


def wait_until(t_due: float, timeout_s: float) -> bool:
    """Sleep until t_due (LSL seconds), at most timeout_s. True when it is due."""
    time.sleep(min(max(t_due - clock.now(), 0.0), max(timeout_s, 0.0)))
    return clock.now() >= t_due
