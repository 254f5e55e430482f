"""Whether what was filled in is as steady as the skin would be.

For pictures x(1..n) of a clip and c(1..n), the same without electrodes, over pixels p that are covered in both of two
frames that follow each other:

    flicker = mean |x(t, p) - x(t - 1, p)| / mean |c(t, p) - c(t - 1, p)|

1: as steady as the clean clip.  Below 1 the fill moves less than the face does.  As a moving head hides what flickers,
the same is also given for x - c, what is wrong with the fill: `of_error`, 0 for a perfect one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.metrics.checks import Picture, check_pair

Signed = npt.NDArray[np.int16]


class Flicker:
    """Takes a clip's pictures one after the other; `restart` between clips."""

    def __init__(self) -> None:
        self._before: tuple[Signed, Signed, npt.NDArray[np.bool_]] | None = None
        self._moved = self._clean_moved = self._error_moved = 0.0
        self._pixels = 0

    def restart(self) -> None:
        """The next picture does not follow the last one."""
        self._before = None

    def add(self, found: Picture, clean: Picture, covered: npt.NDArray[Any]) -> None:
        """Add a moment.

        found, clean: (height, width, 3) uint8.  covered: (height, width) bool.  Raises BadInput when sizes differ.
        """
        check_pair(found, clean)
        now = found.astype(np.int16), clean.astype(np.int16), covered.astype(bool)
        if self._before is not None:
            check_pair(found, self._before[0])
            both = now[2] & self._before[2]
            moved, clean_moved = (now[k][both] - self._before[k][both] for k in (0, 1))
            self._moved += float(np.abs(moved).sum())
            self._clean_moved += float(np.abs(clean_moved).sum())
            self._error_moved += float(np.abs(moved - clean_moved).sum())
            self._pixels += int(both.sum())
        self._before = now

    @property
    def of_picture(self) -> float | None:
        """The ratio; None when nothing was covered twice or the clean clip stood still."""
        return self._moved / self._clean_moved if self._clean_moved > 0 else None

    @property
    def of_error(self) -> float | None:
        """The same of what is wrong."""
        return self._error_moved / self._clean_moved if self._clean_moved > 0 else None

    @property
    def clean_grey_levels(self) -> float | None:
        """How much the clean clip moves: mean over covered pixels and colours, grey levels per frame."""
        return self._clean_moved / (3 * self._pixels) if self._pixels else None
