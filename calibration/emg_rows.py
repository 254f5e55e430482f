"""Pairs as a network reads them: one long table, normalised, and for every row the clip that it lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.data.emg_pairs import Pairs
from calibration.data.emg_signals import Floats, Rows
from calibration.data.mmm_layout import FPS
from calibration.emg_scale import Scale
from engines.emg.emg_bundle import EmgBundle
from engines.emg.taps import tap_offsets, tap_rows
from engines.errors import BadInput


@dataclass(frozen=True)
class EmgRows:
    """R rows of all clips, one clip after the other.

    given: (R, inputs).  wanted: (R, outputs).  weight: (R, outputs), 0 where an artefact spoilt it.  first: (R,) the
    first row of the row's clip.  usable: (U,) the rows that may be learned from.
    """

    given: Floats
    wanted: Floats
    weight: Floats
    first: npt.NDArray[np.int64]
    usable: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]  # (tap,) rows back
    clips: tuple[Rows, ...]

    @classmethod
    def of(cls, pairs: Pairs, scales: Mapping[str, Scale], bundle: EmgBundle) -> EmgRows:
        """Raises BadInput when the expressions are not of the bundle's profile."""
        if pairs.profile != bundle.profile.name:
            raise BadInput(
                f"{pairs.folder} holds {pairs.method}, expressions in {pairs.profile}, and the network is for "
                f"{bundle.profile.name}: choose another method"
            )
        face = np.concatenate([clip.expression for clip in pairs.clips]).astype(np.float32)
        muscles = np.concatenate([scales[clip.id.pid].normalised(clip.envelope_uv) for clip in pairs.clips])
        intact = np.concatenate([clip.intact for clip in pairs.clips])
        lengths = [len(clip.expression) for clip in pairs.clips]
        first = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths).astype(np.int64)
        offsets = tap_offsets(bundle.taps_ms, FPS)
        if bundle.direction == "exp2emg":
            parts = (face, muscles, intact.astype(np.float32), intact.any(axis=1))
        else:
            good = intact.all(axis=1)
            parts = (muscles, face, np.ones(face.shape, np.float32), good)
        given, wanted, weight, use = parts
        return cls(given, wanted, weight, first, np.flatnonzero(use), offsets, pairs.clips)

    def inputs(self, rows: npt.NDArray[np.int64]) -> Floats:
        """(N,) rows -> (N, tap, inputs), newest first."""
        return self.given[tap_rows(rows, self.first[rows], self.offsets)]

    def by_clip(self, values: Floats) -> list[Floats]:
        """Cut (R, ...) into clips."""
        return np.split(values, np.cumsum([len(clip.expression) for clip in self.clips])[:-1])


def references(values: Floats, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[float]:
    """A robust reference for every column: the 99.5th percentile of its size, and not below a thousandth of all's."""
    sizes = np.percentile(np.abs(values[rows]), 99.5, axis=0)
    return [float(size) for size in np.maximum(sizes, max(1e-3 * float(sizes.max()), 1e-6))]
