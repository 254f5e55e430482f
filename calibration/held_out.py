"""A few numbers about a network that takes electrodes off, on faces it has not learned from: for its manifest.

`myomirror evaluate` measures more, and beside peers; this is what a bundle always says about itself.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from calibration.data.face_set import FaceSet
from calibration.metrics.psnr import decibel, mean_squared_error
from calibration.planes import Picture, centre, pictures_of, planes_of, resized
from engines.bundle import Metric

MOST = 200  # pictures
LEAST_ERROR = 1e-2  # grey levels squared: equal pictures count as 68 dB, not as infinity


@torch.no_grad()
def restored(network: nn.Module, pictures: list[Picture]) -> Picture:
    """Run a network on pictures, one by one.  pictures: (size, size, 3) uint8 BGR.  Returns (N, size, size, 3)."""
    device = next(network.parameters()).device

    def face(picture: Picture) -> Picture:
        found = network(planes_of([picture]).to(device))
        return pictures_of(found if isinstance(found, torch.Tensor) else found.face)

    return np.concatenate([face(picture) for picture in pictures])


def measured(network: nn.Module, faces: FaceSet, size: int, load: int, on: str) -> dict[str, Metric]:
    """Measure on the middle of at most 200 pictures, evenly spaced.

    size, load: px, as in training.  on: says in words which pictures those are.
    Returns PSNR in covered and uncovered skin (255^2 / MSE, per picture, then the mean) with and without the network
    where the truth is known; how much clean faces are changed, always.
    """
    clean = [_seen(faces.clean[at], size, load) for at in _spaced(faces.clean_at)]
    change = np.abs(restored(network, clean).astype(np.float32) - np.stack(clean)).mean()
    metrics = {"change_of_clean": Metric(round(float(change), 3), "grey level", f"{on}, faces without electrodes")}
    if not faces.paired or faces.mask is None:
        return metrics
    rows = _spaced(np.arange(len(faces.covered_at)))
    covered = [_seen(faces.covered[faces.covered_at[row]], size, load) for row in rows]
    truth = np.stack([_seen(faces.clean[faces.clean_at[row]], size, load) for row in rows])
    mask = np.stack([_seen(faces.mask[faces.covered_at[row]], size, load) for row in rows])
    found = restored(network, covered)
    values = {
        "psnr_covered": (_psnr(found, truth, mask > 127), "where electrodes cover"),
        "psnr_covered_before": (_psnr(np.stack(covered), truth, mask > 127), "where electrodes cover, untouched"),
        "psnr_uncovered": (_psnr(found, truth, mask == 0), "where nothing covers"),
    }
    known = {name: (value, words) for name, (value, words) in values.items() if value is not None}
    return metrics | {name: Metric(round(value, 3), "dB", f"{on}, {words}") for name, (value, words) in known.items()}


def _psnr(found: Picture, truth: Picture, where: npt.NDArray[np.bool_]) -> float | None:
    """Mean over the pictures that have such a place; None when none has."""
    triples = zip(found, truth, where, strict=True)
    errors = [mean_squared_error(one, wanted, place) for one, wanted, place in triples if place.any()]
    return float(np.mean([decibel(max(error, LEAST_ERROR)) for error in errors])) if errors else None


def _seen(picture: Picture, size: int, load: int) -> Picture:
    return centre(resized(picture, load), size)


def _spaced(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if len(rows) <= MOST:
        return rows
    chosen: npt.NDArray[np.int64] = rows[np.linspace(0, len(rows) - 1, MOST).round().astype(int)]
    return chosen
