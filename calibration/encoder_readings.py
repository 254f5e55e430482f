"""From stills whose truth is known to how an encoder reads (calibration/data/readings.py), beside signals.

    myomirror parameters Live=ENCODER --data SIGNALS --faces FACES

Stills of the split `validation` are read, of whom the encoder has learned nothing: with electrodes and without, as it
meets both in a session.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calibration.data.emg_signals import read_about
from calibration.data.face_set import FaceSet
from calibration.data.readings import FOLDER, Readings
from calibration.encoder_parameters import Eye, Seeing, once_each
from calibration.restoration_samples import spread
from engines.errors import BadInput
from rt.recording.disk import write_atomically

MOST = 1500  # stills, each read twice
_VALUES = 52


class Still(NamedTuple):
    """Where one is in a set's part."""

    person: str
    clean: int
    covered: int


def known_stills(faces: FaceSet, most: int = MOST) -> list[Still]:
    """Of a set's part, evenly spread.  Raises BadInput where no expression is known."""
    truth = faces.truth
    if truth is None or not faces.paired:
        raise BadInput(f"{faces.folder} does not know its faces' expressions: make faces with myomirror simulate faces")
    known = [
        Still(row.person, int(clean), int(covered))
        for row, clean, covered in zip(faces.clean_rows, faces.clean_at, faces.covered_at, strict=True)
        if row.source == "cohort" and np.isfinite(truth.expression[clean]).all()
    ]
    if not known:
        raise BadInput(f"{faces.folder} holds photos only, whose expressions nobody knows: make a set with animations")
    return [known[place] for place in spread(len(known), most)]


def write_readings(
    signals: Path,
    faces: FaceSet,
    seeings: Sequence[Seeing],
    backend: str | None = None,
    precision: str | None = None,
    most: int = MOST,
    done: Callable[[], None] = lambda: None,
) -> int:
    """Write METHOD.npz and METHOD.json into SIGNALS/readings, for each method; what was there is replaced.

    done: called after every still and method.  Returns how many stills were read.
    Raises BadInput for signals or stills that do not do, BundleError, OSError and DataLost when it cannot be written.
    """
    read_about(signals)
    once_each(seeings)
    part = faces.select("validation")
    stills, truth = known_stills(part, most), part.truth
    assert truth is not None  # known_stills has seen to it
    true = np.stack([truth.expression[still.clean] for still in stills]).astype(np.float32)
    people = [still.person for still in stills]
    for seeing in seeings:
        read = []
        with ExitStack() as stack:
            eye = Eye(seeing, stack, backend, precision)
            for still in stills:
                pictures = part.clean[still.clean], part.covered[still.covered]
                read += [eye.row(np.ascontiguousarray(picture))[:_VALUES] for picture in pictures]
                done()
        readings = Readings.fitted(np.repeat(true, 2, 0), np.stack(read), [name for name in people for _ in range(2)])
        readings.write(signals / FOLDER / f"{seeing.method}.npz")
        about = {**eye.about, "stills": len(stills), "people": len(set(people)), "origin": part.origin}
        write_atomically(signals / FOLDER / f"{seeing.method}.json", (json.dumps(about, indent=1) + "\n").encode())
    return len(stills)
