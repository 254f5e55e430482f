"""Emotions read off faces by whatever the user has: MyoMirror ships no such network.

`--classifier MODULE:FUNCTION` names a function that takes pictures of one moment each and says how likely each emotion
is:

    def classify(faces):     # (n, size, size, 3) uint8 BGR, aligned face crops
        ...
        return probabilities # (n, 6) float, in the order of EMOTIONS

For ResMaskNet (Pham et al. 2021, the papers' choice) such a module is a dozen lines around its `detect_on_crop`: leave
"neutral" out, as the papers do, and put the others into this order.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

EMOTIONS = ("angry", "disgusted", "fearful", "happy", "sad", "surprised")

Pictures = npt.NDArray[np.uint8]
Classifier = Callable[[Pictures], npt.NDArray[np.floating]]


def find_classifier(name: str) -> Classifier:
    """Import MODULE:FUNCTION; what it returns is checked at every call.

    Raises BadInput when it cannot be imported, is no function, or (when called) returns something else.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise BadInput(f"a classifier is named MODULE:FUNCTION, found {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"the classifier {name} cannot be imported ({error}): is its folder in PYTHONPATH?") from error
    if not callable(found):
        raise BadInput(f"the classifier {name} is no function")

    def checked(faces: Pictures) -> npt.NDArray[np.floating]:
        scores: Any = np.asarray(found(faces))
        if scores.shape != (len(faces), len(EMOTIONS)) or not np.isfinite(scores).all():
            raise BadInput(
                f"the classifier {name} must return ({len(faces)}, {len(EMOTIONS)}) finite numbers, one column for "
                f"each of {', '.join(EMOTIONS)}; found {scores.shape}"
            )
        return np.asarray(scores, np.float64)

    return checked
