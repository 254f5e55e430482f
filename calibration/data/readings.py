"""How an encoder reads expressions, in numbers: EMG networks learn from it where there are signals and no pictures.

    reading = offset + truth mixing + what stays with the person + what stays with the moment

An encoder mixes movements that look alike, shrinks what it is unsure of, is off by something that belongs to the
person, and is restless.  A network that has learned from true expressions takes all that for muscles.  The numbers come
from stills (calibration/encoder_readings.py); how long the rest stays is an assumption, as stills do not tell.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from calibration.data.mmm_layout import FPS
from engines.errors import BadInput
from rt.recording.disk import write_atomically

Floats = npt.NDArray[np.float32]

FOLDER = "readings"  # in a folder of signals: METHOD.npz, METHOD.json
_STAYS_S = 0.3  # assumed: an error goes with the pose and the movement, which last that long
_RIDGE = 2e-3  # of the number of stills; movements that are seldom seen are not mixed with others by chance


@dataclass(frozen=True)
class Readings:
    """Of P parameters, float32.  mixing: (P, P).  offset: (P,).  of_person, of_moment: (P, P), roots of covariances."""

    mixing: Floats
    offset: Floats
    of_person: Floats
    of_moment: Floats

    @classmethod
    def fitted(cls, truth: Floats, read: Floats, people: list[str]) -> Readings:
        """By ridge regression, and from what is left.

        truth, read: (N, P), of N stills.  people: who is on them.  Raises BadInput with fewer than two people or fewer
        than two stills of each, on average.
        """
        names, who = np.unique(people, return_inverse=True)
        if len(names) < 2 or len(truth) < 2 * len(names):
            raise BadInput(f"{len(truth)} stills of {len(names)} people do not tell how an encoder reads: take more")
        about, mean = truth.mean(0, dtype=np.float64), read.mean(0, dtype=np.float64)
        centred = truth - about
        weights = centred.T @ centred + _RIDGE * len(truth) * np.eye(truth.shape[1])
        mixing = np.linalg.solve(weights, centred.T @ (read - mean))
        left = read - mean - centred @ mixing
        counts = np.bincount(who)
        means = np.stack([np.bincount(who, column) for column in left.T], 1) / counts[:, None]
        of_moment = (left - means[who]).T @ (left - means[who]) / (len(left) - len(names))
        of_person = means.T @ means / len(names) - of_moment * (1 / counts).mean()
        arrays = mixing, mean - about @ mixing, _root(of_person), _root(of_moment)
        return cls(*(np.asarray(array, np.float32) for array in arrays))

    def of(self, truth: Floats, person: np.random.Generator, moment: np.random.Generator) -> Floats:
        """What the encoder might say.  truth: (frame, P), 0..1, 30 frames a second.  Returns the same shape, 0..1.

        person: the same numbers for all clips of somebody.  moment: others for each clip.
        """
        count = len(self.offset)
        keep = np.exp(-1 / (_STAYS_S * FPS))
        drawn = moment.standard_normal((len(truth), count)) * np.sqrt(1 - keep**2)
        drawn[0] /= np.sqrt(1 - keep**2)
        rest = lfilter([1.0], [1.0, -keep], drawn, axis=0) @ self.of_moment
        read = truth @ self.mixing + self.offset + person.standard_normal(count) @ self.of_person + rest
        return np.asarray(read.clip(0.0, 1.0), np.float32)

    def write(self, path: Path) -> None:
        """As an .npz."""
        packed = io.BytesIO()
        np.savez(packed, **{field.name: getattr(self, field.name) for field in fields(self)})
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(path, packed.getvalue())

    @classmethod
    def open(cls, path: Path) -> Readings:
        """Raises BadInput for a file that is damaged."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(*(arrays[field.name] for field in fields(cls)))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BadInput(f"{path} cannot be read ({error}): write it again with myomirror parameters") from None


def _root(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """R with R R = covariance; what is below nothing, as estimates can be, counts as nothing."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)
