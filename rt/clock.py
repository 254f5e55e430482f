"""The one clock: seconds of CLOCK_MONOTONIC, which is what LSL's `local_clock` reads on Linux.

Reading it here costs 50 ns and needs no liblsl, so that every process may use it. The tests hold the two
clocks against each other. The wall clock is only for names of folders and for people.
"""

import time


def now() -> float:
    """Seconds on the LSL clock of this machine."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def wall_text() -> str:
    """Local date and time for people and folder names, e.g. `20261121-101500`."""
    return time.strftime("%Y%m%d-%H%M%S")
