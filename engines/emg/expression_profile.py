"""The two expression spaces as EMG networks see them: how many values, and how far they reach (DESIGN 8)."""

import difflib
from typing import NamedTuple

from engines.errors import BadInput


class ExpressionProfile(NamedTuple):
    """One expression space."""

    name: str
    values: int
    range: tuple[float, float]  # what a network's input and output may hold


PROFILES = {
    profile.name: profile
    for profile in (
        ExpressionProfile("arkit52", 52, (0.0, 1.0)),  # MediaPipe's order, engines/face/blendshapes.py
        ExpressionProfile("flame55", 55, (-5.0, 5.0)),  # 50 expression | 2 eyelid | 3 jaw; standard deviations, radians
    )
}


def expression_profile(name: str) -> ExpressionProfile:
    """One of the two.  Raises BadInput, naming the nearest."""
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, 1, cutoff=0.0)[0]
        raise BadInput(f"there is no expression profile {name!r}; the nearest one is {near!r}")
    return PROFILES[name]
