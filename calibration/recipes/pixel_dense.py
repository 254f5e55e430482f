"""Pixel regression with dense alignment: shape and skin are learned apart, and both can be refined on one person.

Shape: the landmarks' mean way from neutral to target, and how it depends on the neutral shape, as ridge regression on
the first principal components of it.  Skin: Eq. 3 of Akram and Khan 2020 in the frame of the mean target shape, where
neutral and target have been drawn by their landmarks, so that lip lies on lip.  The ridge of Eq. 6 pulls towards gain 1
and bias 0 here, the face as it is, or towards the population's map when one person's frames are learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from calibration.recipes.pixel_pairs import FacePairs, Pictures
from calibration.recipes.pixel_rr import PixelSums
from engines.errors import BadInput
from engines.face.pixel_mesh import MESH, POINTS, MeshPainter, PixelMesh, mesh_of, redraw, with_rim

Doubles = npt.NDArray[np.float64]
_FADE = 0.016  # of the crop's side: the map ends so softly at the face's border


@dataclass(frozen=True)
class DenseSettings:
    """What was chosen by six-fold cross-validation on the London faces (benchmarks/pixel_quality.py)."""

    lambda_gain: float = 1e4  # grey levels squared
    lambda_bias: float = 0.4
    modes: int = 3  # principal components of the neutral shape that the way depends on
    lambda_shape: float = 0.06  # (share of the crop's side) squared
    predicted: float = 0.5  # 0: the skin is learned where the target's landmarks are; 1: where the map will put them


@dataclass(frozen=True)
class RefineSettings:
    """How much a person's own frames count against the population: frames / (frames + prior)."""

    prior_shape: float = 0.5  # frames
    prior_bias: float = 0.5  # frames
    lambda_gain: float = 3e5  # grey levels squared: a person's pixels hardly vary, their gain cannot be told
    blur: float = 0.006  # of the crop's side: the change of bias is smoothed by this sigma, lest noise is learned


def fit_dense(pairs: FacePairs, expression: str, settings: DenseSettings | None = None) -> PixelMesh:
    """Learn a population's map.

    pairs: of 3 or more, in the neutral pose (pixel_pairs.in_neutral_pose).  expression: its name.
    Raises BadInput when there are too few.
    """
    settings = settings or DenseSettings()
    if len(pairs.people) < 3:
        raise BadInput(f"an expression is learned from 3 pairs or more, found {len(pairs.people)}")
    neutral, target = _shapes(pairs.neutral_px, pairs.size), _shapes(pairs.target_px, pairs.size)
    ways = target - neutral
    ways[:, MESH:] = 0  # the rim stays where the neutral face's is
    way, rest = ways.mean(0), neutral[:, :MESH].mean(0).ravel()
    basis, of_basis = _shape_ridge(neutral[:, :MESH].reshape(len(neutral), -1) - rest, ways - way, settings)
    frame = (neutral + ways).mean(0).astype(np.float32)
    nothing = np.zeros((pairs.size, pairs.size, 3), np.float32)
    shape_only = PixelMesh(
        frame=frame,
        triangles=mesh_of((neutral + ways / 2).mean(0)),  # half-way eyes and mouth are both open
        way=way.astype(np.float32),
        rest=rest.astype(np.float32),
        basis=basis.astype(np.float32),
        ways=of_basis.astype(np.float32),
        gain=nothing,
        bias=nothing,
        expression=expression,
    )
    sums = _skin_sums(pairs, shape_only, settings.predicted)
    gain, bias = sums.solve(settings.lambda_gain, settings.lambda_bias, 1.0, 0.0)
    return _with_skin(shape_only, gain - 1, bias)


def refine_dense(pixel_mesh: PixelMesh, pairs: FacePairs, settings: RefineSettings | None = None) -> PixelMesh:
    """Refine a population's map on one person's own frames: the population is the ridge's prior.

    pairs: one or more of this person, neutral and best expression, in the neutral pose, in crops of the map's side.
    Raises BadInput when the crops are of another size.
    """
    settings = settings or RefineSettings()
    if pairs.size != pixel_mesh.side:
        raise BadInput(f"the map has {pixel_mesh.side} px, the frames {pairs.size}: crop them alike")
    count = len(pairs.people)
    neutral, target = _shapes(pairs.neutral_px, pairs.size), _shapes(pairs.target_px, pairs.size)
    expected = np.stack([pixel_mesh.moved(shape[:MESH])[1] for shape in neutral])
    missed = (target - neutral - expected).mean(0) * (count / (count + settings.prior_shape))
    missed[MESH:] = 0
    shape = replace(pixel_mesh, way=(pixel_mesh.way + missed).astype(np.float32))
    sums = _skin_sums(pairs, shape, 0.0)
    gain, bias = sums.solve(settings.lambda_gain, settings.prior_bias, 1.0 + pixel_mesh.gain, pixel_mesh.bias)
    gain_step, bias_step = (
        cv2.GaussianBlur(step, (0, 0), settings.blur * pairs.size)
        for step in (gain - 1 - pixel_mesh.gain, bias - pixel_mesh.bias)
    )
    return _with_skin(shape, pixel_mesh.gain + gain_step, pixel_mesh.bias + bias_step)


def predict(pixel_mesh: PixelMesh, pairs: FacePairs, left: float = 1.0, right: float = 1.0) -> Pictures:
    """The neutral pictures with the expression: (pair, size, size, 3) uint8."""
    painter = MeshPainter(pixel_mesh, pairs.size)
    faces = zip(pairs.neutral, pairs.neutral_px, strict=True)
    return np.stack([painter.paint(face, points, left, right, np.empty_like(face)) for face, points in faces])


def _shapes(points_px: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.float32]:
    """(pair, 504, 2), shares of the crop's side."""
    return np.stack([with_rim((points.astype(np.float64) + 0.5) / size) for points in points_px])


def _shape_ridge(shapes: Doubles, ways: Doubles, settings: DenseSettings) -> tuple[Doubles, Doubles]:
    """Principal components of the shapes (K, 936) and the ways that they add (K, 1008)."""
    modes = min(settings.modes, len(shapes) - 1)
    _, _, axes = np.linalg.svd(shapes, full_matrices=False)
    basis = axes[:modes]
    share = shapes @ basis.T
    left = share.T @ share + settings.lambda_shape * np.eye(modes)
    return basis, np.linalg.solve(left, share.T @ ways.reshape(len(ways), 2 * POINTS))


def _skin_sums(pairs: FacePairs, pixel_mesh: PixelMesh, predicted: float) -> PixelSums:
    """What Eq. 6 needs, of neutral and target drawn in the mean frame."""
    sums, size = PixelSums((pairs.size, pairs.size, 3)), pairs.size
    frame_px = pixel_mesh.frame * size - 0.5
    for row in range(len(pairs.people)):
        points, way = pixel_mesh.moved((pairs.neutral_px[row] + 0.5) / size)
        seen_px = with_rim(pairs.target_px[row])
        seen_px[MESH:] = points[MESH:] * size - 0.5  # both pictures have the neutral face's rim
        put_px = (points + way) * size - 0.5
        goal_px = seen_px + np.float32(predicted) * (put_px - seen_px)
        neutral = redraw(pairs.neutral[row], points * size - 0.5, frame_px, pixel_mesh.triangles)
        target = redraw(pairs.target[row], goal_px, frame_px, pixel_mesh.triangles)
        sums.add(neutral, target)
    return sums


def _with_skin(shape: PixelMesh, gain: Doubles, bias: Doubles) -> PixelMesh:
    """The map with new planes (gain - 1, bias), which fade out at the face's border."""
    side, frame = len(gain), shape.frame
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(frame[:MESH]) * side - 0.5).astype(np.int32), 255)
    mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
    soft = cv2.GaussianBlur(mask, (0, 0), _FADE * side)[:, :, None] / 255.0
    return replace(shape, gain=(gain * soft).astype(np.float32), bias=(bias * soft).astype(np.float32))
