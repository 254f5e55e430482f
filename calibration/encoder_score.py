"""How well face encoders read faces that they were not trained on, with electrodes and without."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from calibration.data.face_set import FaceSet
from calibration.planes import Picture, planes_of, resized
from engines.bundle import Metric
from engines.face.crop_geometry import SKIN, CropGeometry
from engines.networks.face_encoder import Encoded, FaceEncoder

_AT_ONCE = 16  # pictures


def encoder_metrics(
    encoders: Mapping[str, FaceEncoder],
    faces: FaceSet,
    size: int,
    device: torch.device,
    words: str,
    geometry: CropGeometry | None = None,
) -> dict[str, Metric]:
    """Errors against the truth, for a manifest.

    encoders: by what their metrics' names end in.  faces: what was held out; without truths nothing is measured.
    words: who they are.  geometry: of that size, to measure landmarks too.
    Expression: mean absolute error, 0..1.  Shape: rms over a person's pictures around their mean, in standard
    deviations: a person's shape must not vary.  Landmarks: mean distance in % of the crop's side.
    """
    truth = faces.truth
    if truth is None:
        return {}
    found: dict[str, Metric] = {}
    for kind, pictures, rows in (
        ("clean", faces.clean, faces.clean_at),
        ("covered", faces.covered, faces.covered_at),
    ):
        if kind == "covered" and not faces.paired:
            continue
        on = f"{words}, {'under' if kind == 'covered' else 'without'} electrodes"
        for ending, encoder in encoders.items():
            said = _said(encoder, [pictures[i] for i in rows], size, device)
            wanted = truth.expression[faces.clean_at]
            error = float(np.nanmean(np.abs(said.expression.cpu().numpy() - wanted)))
            found[f"expression_{kind}{ending}"] = Metric(round(error, 4), "mean absolute error", on)
            people = [row.person for row in faces.clean_rows]
            unsteady = _unsteadiness(said.shape.cpu().numpy(), people)
            found[f"shape_{kind}{ending}"] = Metric(round(unsteady, 4), "standard deviations", on)
            if geometry is not None:
                away = _landmarks_away(geometry, said, truth.landmarks_px[faces.clean_at], faces.size)
                found[f"landmarks_{kind}{ending}"] = Metric(round(away, 3), "% of the crop's side", on)
    return found


def _said(encoder: FaceEncoder, pictures: list[Picture], size: int, device: torch.device) -> Encoded:
    """What an encoder says about pictures, one after another."""
    parts = []
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        for first in range(0, len(pictures), _AT_ONCE):
            planes = planes_of([resized(picture, size) for picture in pictures[first : first + _AT_ONCE]])
            parts.append(encoder((planes.to(device) + 1) / 2))
    encoder.train(was_training)
    return Encoded(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _unsteadiness(shapes: np.ndarray, people: list[str]) -> float:
    names = np.array(people)
    around = [shapes[names == name] - shapes[names == name].mean(0) for name in sorted(set(people))]
    return float(np.sqrt(np.mean(np.concatenate(around) ** 2)))


def _landmarks_away(geometry: CropGeometry, said: Encoded, truth_px: np.ndarray, stored: int) -> float:
    with torch.no_grad():
        marks: Tensor = geometry.place(said.expression, said.shape, said.pose, said.camera).landmarks
    wanted = (truth_px[:, list(SKIN)] + 0.5) * 2 / stored - 1
    return float(50 * np.nanmean(np.linalg.norm(marks.cpu().numpy() - wanted, axis=-1)))
