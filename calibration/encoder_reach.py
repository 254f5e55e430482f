"""How face encoders stand to what EIFER's first phase is to reach."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from calibration.reading_scores import CLEAN, COVERED, MEDIAPIPE
from calibration.restoration import Row

Kinds = Mapping[str, Mapping[str, Row]]  # kind of pictures -> reader -> row
LEFT = 0.6  # of E^N's expression error under electrodes


def reach(kinds: Kinds, encoders: Sequence[str]) -> list[dict[str, Any]]:
    """One entry per encoder and aim: bundle, what, measured (None when nothing could be), target, reached.

    kinds: on people never seen.  encoders: names, E^N first; the others are compared with it.
    """
    first, *others = encoders
    found = []
    for name in others:
        found += list(_beside(kinds, name, first))
    if MEDIAPIPE in kinds[COVERED]:
        for name in encoders:
            own, its = (_mean(kinds[COVERED][reader], "landmarks_same") for reader in (name, MEDIAPIPE))
            found.append(_aim(name, f"landmarks under electrodes, of {MEDIAPIPE}'s error", own / its, "< 1", own < its))
    return found


def _beside(kinds: Kinds, name: str, first: str) -> Iterator[dict[str, Any]]:
    own = _mean(kinds[COVERED][name], "expression")
    left = own / _mean(kinds[COVERED][first], "expression")
    yield _aim(name, f"expression error under electrodes, of {first}'s", left, f"<= {LEFT}", left <= LEFT)
    for kind, readers in kinds.items():
        if kind not in (CLEAN, COVERED):
            share = own / _mean(readers[first], "expression")
            yield _aim(name, f"the same, of {first}'s on faces {kind}", share, "<= 1", share <= 1)


def _aim(bundle: str, what: str, measured: float, target: str, reached: bool) -> dict[str, Any]:
    known = None if math.isnan(measured) else measured
    return {"bundle": bundle, "what": what, "measured": known, "target": target, "reached": bool(reached)}


def _mean(row: Row, name: str) -> float:
    return row[name].mean if name in row else math.nan
