"""Who is in which of six folds, so that everybody is tested by a network that never saw them.

A cohort deals its people out when it is planned (calibration/cohort_plan.py), and a face that is mixed from several
takes photos of its own fold only; in sets made from it the participant's number still says which.  Of other people the
sorted names are dealt out.
"""

from __future__ import annotations

from collections.abc import Iterable

from calibration.cohort_plan import FOLDS
from calibration.data.face_set import FaceRow
from engines.errors import BadInput


def folds_of(rows: Iterable[FaceRow]) -> dict[str, int]:
    """Person -> fold, 0..5.  Raises BadInput when one person's pictures lie in several folds."""
    rows = list(rows)
    planned = {(row.person, _planned(row)) for row in rows if row.source != "mmm"}
    found: dict[str, int] = {}
    for person, fold in sorted(planned):
        if found.setdefault(person, fold) != fold:
            raise BadInput(f"pictures of {person} lie in folds {found[person]} and {fold}: make the set again")
    others = sorted({row.person for row in rows if row.source == "mmm"})
    return found | {person: place % FOLDS for place, person in enumerate(others)}


def _planned(row: FaceRow) -> int:
    """The fold of the participant whose clip it is: "017" or "017_1S_emotion_03_happy"."""
    pid = row.clip.partition("_")[0]
    if not pid.isdigit() or int(pid) < 1:
        raise BadInput(f"{row.clip!r} of {row.person} names no participant of a cohort: make the set again")
    return (int(pid) - 1) % FOLDS
