"""Seven expressions by name: neutral and the six emotions, as labels; and which of them a picture shows.

The prototypes are the emotions of engines/emg/tasks.py (EMFACS) at their height, as they show on a face.  A picture is
of the expression whose prototype is nearest, if that is nearer than half of the prototype's own distance from neutral;
else of none, such as a pucker, a half smile or a snarl.  Blinks do not count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.emg.muscles import shown_by
from engines.emg.tasks import TASKS
from engines.face.action_units import UNITS, labels_from_arkit52

Floats = npt.NDArray[np.float32]

NEUTRAL = "neutral"
EXPRESSIONS = (NEUTRAL, *(task.name for task in TASKS if task.mode == "emotion"))
NONE = -1
_NEAR = 0.5  # of the distance between a prototype and neutral
_COUNTED = [column for column, unit in enumerate(UNITS) if unit != 45]


def prototypes(profile: str) -> Floats:
    """(7, labels) float32: what each expression is in a profile's labels, 0..1; rows as in EXPRESSIONS."""
    shown = [shown_by(task.intent) for task in TASKS if task.mode == "emotion"]
    return labels_from_arkit52(np.stack([np.zeros_like(shown[0]), *shown]), profile)


def classes_of(blendshapes: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """(N,) places in EXPRESSIONS, -1 for none of them or where something is not known.  blendshapes: (N, 52)."""
    labels = labels_from_arkit52(blendshapes, "facs17")[:, _COUNTED]  # (N, 16)
    wanted = prototypes("facs17")[:, _COUNTED]  # (7, 16)
    away = np.linalg.norm(labels[:, None] - wanted[None], axis=2)  # (N, 7)
    reach = _NEAR * np.linalg.norm(wanted, axis=1)
    reach[0] = reach[1:].min()
    known = np.isfinite(away).all(1)
    nearest = np.where(known, np.argmin(np.nan_to_num(away, nan=np.inf), 1), 0)
    near = away[np.arange(len(away)), nearest] < reach[nearest]
    return np.where(known & near, nearest, NONE).astype(np.int64)
