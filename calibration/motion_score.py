"""How far a flow or a face is from the frontal truth: a bundle's own few numbers, and what the tables measure with."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from calibration.data.motion_set import NEUTRAL_APEX, MotionSet
from calibration.distributed import Ranks
from calibration.metrics.ssim import ssim_map
from calibration.motion_batches import MotionBatches
from calibration.planes import Picture, pictures_of
from engines.bundle import Metric
from engines.errors import BadInput
from engines.face.arrays import Floats
from engines.networks.motion_gan import MotionGan, decoded, encoded

MOST = 200  # pairs
_SHOWN_PX = 6.0  # length of a flow at full colour
_FEW = 1e-6


class PictureScore(NamedTuple):
    """ssim: -1..1, over the picture and in the face; rmse: grey levels."""

    ssim: float
    ssim_face: float
    rmse: float
    rmse_face: float


def end_point_px(found: Floats, truth: Floats, weight: npt.NDArray[np.floating] | None = None) -> float:
    """Mean end-point error, px.  found, truth: (H, W, 2).  weight: (H, W), what a place counts; all the same."""
    away = np.linalg.norm(found.astype(np.float64) - truth, axis=2)
    if weight is None:
        return float(away.mean())
    return float((away * weight).sum() / max(float(weight.sum()), _FEW))


def picture_score(found: Picture, truth: Picture, face: npt.NDArray[np.floating]) -> PictureScore:
    """How near a picture is to the truth.  found, truth: (H, W, 3) uint8 BGR.  face: (H, W) 0..1."""
    alike = ssim_map(found, truth)
    square = ((found.astype(np.float64) - truth) ** 2).mean(2)
    total = max(float(face.sum()), _FEW)
    return PictureScore(
        float(alike.mean()),
        float((alike * face).sum() / total),
        float(np.sqrt(square.mean())),
        float(np.sqrt((square * face).sum() / total)),
    )


def flow_picture(flow: Floats) -> Picture:
    """A flow to look at: colour for the direction, strength for the length up to 6 px.  Returns (H, W, 3) uint8 BGR."""
    right, down = (np.ascontiguousarray(flow[:, :, k], np.float32) for k in range(2))
    length, angle = cv2.cartToPolar(right, down)
    strength = np.clip(length / _SHOWN_PX * 255, 0, 255)
    hue = angle * (90 / np.pi) % 180
    planes = np.stack([hue, strength, np.full_like(hue, 255)], -1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_HSV2BGR), np.uint8)


@torch.no_grad()
def motion_metrics(network: MotionGan, held_out: MotionSet, size: int, given: str, on: str) -> dict[str, Metric]:
    """EPE in the face against Farneback of the frontal face, before and after; SSIM of the face that G_W makes.

    On at most 200 pairs from rest to apex.  given: what the network sees.  on: in words, who that is.
    """
    try:
        pairs = held_out.select(kind=NEUTRAL_APEX).spread(MOST)
    except BadInput:
        return {}
    batches = MotionBatches(pairs, size, given, 1, 0, Ranks(torch.device("cpu")))
    sizes = network.sizes
    scores: dict[str, list[float]] = {"epe": [], "epe_given": [], "epe_none": [], "ssim": [], "ssim_at_rest": []}
    for place in range(len(pairs.rows)):
        batch = batches.read([place])
        found = network(encoded(batch.given, sizes.motion, sizes.clip_px), batch.before)
        flow = decoded(found.flow.float(), sizes.motion, sizes.clip_px)
        truth, face = _array(batch.front), batch.face[0, 0].numpy()
        scores["epe"].append(end_point_px(_array(flow), truth, face))
        scores["epe_given"].append(end_point_px(_array(batch.given), truth, face))
        scores["epe_none"].append(end_point_px(np.zeros_like(truth), truth, face))
        if found.face is not None:
            wanted = pictures_of(batch.after)[0]
            scores["ssim"].append(picture_score(pictures_of(found.face)[0], wanted, face).ssim_face)
            scores["ssim_at_rest"].append(picture_score(pictures_of(batch.before)[0], wanted, face).ssim_face)
    words = {
        "epe": "of the flow that it makes",
        "epe_given": f"of the flow that it is given ({given})",
        "epe_none": "of no movement at all",
        "ssim": "of the face that it makes",
        "ssim_at_rest": "of the face at rest",
    }
    return {
        name: Metric(
            round(float(np.mean(values)), 4),
            "px" if name.startswith("epe") else "1",
            f"{on}, {len(values)} movements, in the face, {words[name]}",
        )
        for name, values in scores.items()
        if values
    }


def _array(flow: torch.Tensor) -> Floats:
    """(1, 2, H, W) -> (H, W, 2)."""
    return np.asarray(flow[0].permute(1, 2, 0).numpy(), np.float32)
