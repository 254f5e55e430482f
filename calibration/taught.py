"""Whom a bundle was taught by, so that whoever judges it can tell who is unseen.

A made set's seed decides its people and their splits (calibration/cohort_plan.py), so a manifest says it.
"""

from engines.bundle import Training


def data_words(origin: str, seed: int) -> str:
    """How a manifest names a set of pictures.  seed: the set's."""
    return f"{origin}; people and splits of seed {seed}"


def knows_split(training: Training, seed: int) -> bool:
    """Whether a bundle was taught by a set with the splits of this seed."""
    return training.data.endswith(data_words("", seed))
