"""Frechet distance between two sets of pictures, each taken as one Gaussian in feature space (Dowson and Landau 1982).

|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).  The FID (Heusel et al. 2017) is this on features of the Inception network;
here it is on those of calibration/metrics/features.py, so the numbers are not FIDs and must not be compared with them.
A set of n pictures has a covariance of rank n - 1: with fewer than a few hundred pictures even two halves of one set
lie apart, which the row without electrodes shows.
"""

from __future__ import annotations

import numpy as np

from calibration.metrics.checks import Floats
from engines.errors import BadInput


def frechet_distance(first: Floats, second: Floats) -> float:
    """Distance, in the features' unit squared; 0 for equal sets, in any order.

    first, second: (pictures, features), at least 2 pictures each.  Raises BadInput when they do not fit.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise BadInput(f"the sets' features must be (pictures, features), found {first.shape} and {second.shape}")
    if min(len(first), len(second)) < 2:
        raise BadInput(f"a Frechet distance needs 2 pictures or more in each set, found {len(first)}, {len(second)}")
    s1, s2 = (np.atleast_2d(np.cov(found, rowvar=False)) for found in (first, second))
    apart = float(((first.mean(0) - second.mean(0)) ** 2).sum())
    root = _root(s1)
    # S1 S2 has the eigenvalues of the symmetric root S1 . S2 . root S1, whose square root always exists
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ s2 @ root), 0, None)).sum()
    return max(apart + float(np.trace(s1) + np.trace(s2) - 2 * shared), 0.0)


def _root(symmetric: Floats) -> Floats:
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)
