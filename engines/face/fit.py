"""The face model fitted to a photo's landmarks: who it is, how the head is turned, and what the face is doing.

Maximum a posteriori: each landmark is off by what it was off on the photos that its place was learned from, identity
weights are normal with variance one (as the model's authors define them), expression weights are small and not
negative.  Gauss-Newton on rotation, scale, shift, identity and expression together, re-weighted so that single wrong
landmarks do not bend the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face.camera import Camera, rotation_from_vector
from engines.face.landmarks import COUNT, IRISES, OVAL, FaceLandmarks
from engines.face.mesh import FaceModel

SMALLEST_FACE_PX = 24.0  # side of the landmarks' box, as in crop.py

# What a face does on a photo that is meant to be neutral, or on a smiling one.  Sideways jaws are left out: without
# the teeth they look like somebody's shape.
MOVEMENTS = (
    "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R", "browOuterUp_L", "browOuterUp_R",
    "eyeBlink_L", "eyeBlink_R", "eyeWide_L", "eyeWide_R", "jawOpen", "mouthFrown_L", "mouthFrown_R",
    "mouthLowerDown_L", "mouthLowerDown_R", "mouthPress_L", "mouthPress_R", "mouthPucker", "mouthRollLower",
    "mouthRollUpper", "mouthSmile_L", "mouthSmile_R", "mouthStretch_L", "mouthStretch_R", "mouthUpperUp_L",
    "mouthUpperUp_R",
)  # fmt: skip

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FitSettings:
    """How a fit weighs landmarks against what faces are like.

    Chosen so that a neutral and a smiling photo give the same shape: on 90 people the two shapes of one person differ
    by 0.37 of what two people's differ by.
    """

    modes: int = 60  # identity modes, the strongest first
    landmark_sd_cm: float = 0.24  # more than a landmark is off: 468 of them do not err independently
    oval_sd_cm: float = 0.5
    identity_sd: float = 1.0
    expression_sd: float = 0.5
    outlier: float = 3.0  # in sd: beyond it a landmark counts less and less (Cauchy)
    steps: int = 15  # at most
    settled: float = 1e-3  # a step that changes no weight by more, in sd, was the last


NEUTRAL = FitSettings(expression_sd=0.15)  # for a photo of somebody who was asked to look neutral
ANY_EXPRESSION = FitSettings()


@dataclass(frozen=True)
class Fit:
    """A fitted face.

    identity: (modes,) float32, standard deviations.  expression: (E,) float32, 0..1.
    rms_px: distance between landmarks and mesh, px, root mean square over those of the skin's 432 landmarks beside the
    face oval that lie in the picture; oval_rms_px: over those of the oval's 36, 0 where none does.
    """

    identity: npt.NDArray[np.float32]
    expression: npt.NDArray[np.float32]
    camera: Camera
    rms_px: float
    oval_rms_px: float


def fit(
    model: FaceModel,
    landmarks_px: npt.NDArray[np.floating],
    picture_size: tuple[int, int],
    settings: FitSettings = ANY_EXPRESSION,
) -> Fit:
    """Fit the model to one photo, once; `Fitter` is for many.

    landmarks_px: (478, 2) as (x, y) in picture pixels, MediaPipe's order, unmirrored.  picture_size: (height, width);
    landmarks outside it are the tracker's guess and are left out.
    Raises BadInput when the landmarks' shape is wrong, FaceLost when they are not finite, smaller than 24 px, on one
    line or mostly outside the picture.
    """
    return Fitter(model, settings).fit(landmarks_px, picture_size)


@dataclass(frozen=True)
class _State:
    scale: float  # px per cm
    rotation: Array  # (3, 3)
    shift_px: Array  # (2,)
    weights: Array  # (K,): identity, then MOVEMENTS


class Fitter:
    """Fits one model to any number of photos."""

    def __init__(
        self, model: FaceModel, settings: FitSettings = ANY_EXPRESSION, landmarks: FaceLandmarks | None = None
    ) -> None:
        """model: whole, or a part with the narrow face.  landmarks: on the whole model; the learned ones by default."""
        table = (FaceLandmarks.load() if landmarks is None else landmarks).on(model)
        sd_cm = np.hypot(table.sd_cm, settings.landmark_sd_cm)
        sd_cm[list(OVAL)] = np.hypot(table.sd_cm[list(OVAL)], settings.oval_sd_cm)
        sd_cm[list(IRISES)] = np.inf  # gaze is not fitted
        self._used = np.flatnonzero(np.isfinite(sd_cm))
        self._precision = 1 / sd_cm[self._used].astype(np.float64)
        self._settings, self._expressions = settings, len(model.expression)
        self._movements = np.array([model.expression_index(name) for name in MOVEMENTS])
        self._modes = min(settings.modes, len(model.identity))
        displacements = [*model.identity[: self._modes], *model.expression[self._movements]]
        self._neutral = table.positions(model.neutral)[self._used].astype(np.float64)
        self._basis = np.stack([table.positions(field)[self._used] for field in displacements]).astype(np.float64)
        sd = [settings.identity_sd] * self._modes + [settings.expression_sd] * len(MOVEMENTS)
        self._prior = 1 / np.array(sd)

    def fit(self, landmarks_px: npt.NDArray[np.floating], picture_size: tuple[int, int]) -> Fit:
        """Fit one photo; arguments, result and errors as of the function `fit`."""
        target_px, inside = self._targets(landmarks_px, picture_size)
        state = self._start(target_px, self._precision * inside)
        for _ in range(self._settings.steps):
            state, change = self._step(state, target_px, self._precision * inside)
            if change < self._settings.settled:
                break
        return self._result(state, target_px, inside)

    def _targets(
        self, landmarks_px: npt.NDArray[np.floating], picture_size: tuple[int, int]
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        if landmarks_px.shape != (COUNT, 2):
            raise BadInput(f"landmarks must be ({COUNT}, 2) pixels, found {landmarks_px.shape}")
        if not np.isfinite(landmarks_px).all() or np.ptp(landmarks_px, axis=0).min() < SMALLEST_FACE_PX:
            raise FaceLost(f"there is no face of {SMALLEST_FACE_PX:.0f} px or more to fit")
        target_px = landmarks_px[self._used].astype(np.float64)
        height, width = picture_size
        inside = np.all((target_px >= 0) & (target_px <= (width - 1, height - 1)), axis=1)
        if inside.sum() < len(inside) / 2:
            raise FaceLost("most of the face lies outside the picture")
        return target_px, inside

    def _start(self, target_px: Array, precision: Array) -> _State:
        """Pose of the average face: an affine camera by linear least squares, made rigid."""
        homogeneous = np.column_stack([self._neutral, np.ones(len(self._neutral))])
        sure = precision[:, None]
        solved = np.linalg.lstsq(homogeneous * sure, target_px * sure, rcond=None)[0]
        affine: Array = np.asarray(solved.T, np.float64)  # (2, 4)
        left, stretch, right = np.linalg.svd(affine[:, :3] * [[1.0], [-1.0]], full_matrices=False)
        if stretch[1] < 1e-3:
            raise FaceLost("the landmarks lie on one line")
        first, second = left @ right
        rotation = np.stack([first, second, np.cross(first, second)])
        return _State(float(stretch.mean()), rotation, affine[:, 3], np.zeros(len(self._basis)))

    def _step(self, state: _State, target_px: Array, precision: Array) -> tuple[_State, float]:
        """One re-weighted Gauss-Newton step, and its largest change of a weight in the prior's sd."""
        error_px, jacobian = self._linearised(state, target_px)
        sure = _cauchy(error_px, precision / state.scale, self._settings.outlier)
        rows = (jacobian * sure[:, None, None]).reshape(-1, jacobian.shape[-1])
        prior = np.concatenate([np.full(6, 1e-6), self._prior])
        normal = rows.T @ rows + np.diag(prior**2)
        pull = prior**2 * np.concatenate([np.zeros(6), state.weights])
        gradient = rows.T @ (error_px * sure[:, None]).reshape(-1) - pull
        floor = np.concatenate([np.full(6 + self._modes, -np.inf), -state.weights[self._modes :]])
        change = _solve_above(normal, gradient, floor)
        weights = state.weights + change[6:]
        weights[self._modes :] = np.clip(weights[self._modes :], 0.0, 1.0)
        moved = _State(
            state.scale * float(np.exp(np.clip(change[3], -0.5, 0.5))),
            _orthonormal(rotation_from_vector(change[:3]) @ state.rotation),
            state.shift_px + change[4:6],
            weights,
        )
        return moved, float(np.abs((weights - state.weights) * self._prior).max())

    def _linearised(self, state: _State, target_px: Array) -> tuple[Array, Array]:
        """(L, 2) px still missing, and (L, 2, 6 + K): what turning, scaling, shifting and each weight would add."""
        turned = (self._neutral + np.tensordot(state.weights, self._basis, 1)) @ state.rotation.T
        modes = self._basis @ state.rotation[:2].T  # (K, L, 2)
        x, y, z = turned.T
        zero, one = np.zeros_like(x), np.ones_like(x)
        s = state.scale
        across = [zero, s * z, -s * y, s * x, one, zero]  # d x_px / d (turn x, turn y, turn z, log s, shift x, shift y)
        down = [s * z, zero, -s * x, -s * y, zero, one]
        jacobian = np.empty((len(x), 2, 6 + len(modes)))
        jacobian[:, 0, :6], jacobian[:, 1, :6] = np.stack(across, 1), np.stack(down, 1)
        jacobian[:, 0, 6:], jacobian[:, 1, 6:] = s * modes[:, :, 0].T, -s * modes[:, :, 1].T
        seen_px = np.column_stack([s * x, -s * y]) + state.shift_px
        return target_px - seen_px, jacobian

    def _result(self, state: _State, target_px: Array, inside: npt.NDArray[np.bool_]) -> Fit:
        expression = np.zeros(self._expressions, np.float32)
        expression[self._movements] = state.weights[self._modes :]
        square = (self._linearised(state, target_px)[0][inside] ** 2).sum(1)
        oval = np.isin(self._used[inside], OVAL)
        return Fit(
            state.weights[: self._modes].astype(np.float32),
            expression,
            Camera(state.scale, state.rotation, state.shift_px),
            float(np.sqrt(square[~oval].mean())) if not oval.all() else 0.0,
            float(np.sqrt(square[oval].mean())) if oval.any() else 0.0,
        )


def _cauchy(error_px: Array, precision: Array, outlier: float) -> Array:
    """(L,), 1 / px: square roots of the landmarks' weights, less for those that are far off now."""
    off = np.linalg.norm(error_px, axis=1) * precision / outlier
    return np.asarray(precision / np.sqrt(1 + off**2))


def _solve_above(normal: Array, gradient: Array, floor: Array) -> Array:
    """Solve normal @ change = gradient with change >= floor: what would fall below is held there, at most 4 times."""
    free = np.ones(len(gradient), bool)
    change = np.zeros(len(gradient))
    for _ in range(4):
        held = ~free
        change[held] = floor[held]
        rest = gradient[free] - normal[np.ix_(free, held)] @ change[held]
        change[free] = np.linalg.solve(normal[np.ix_(free, free)], rest)
        below = change < floor - 1e-9
        if not below.any():
            break
        free &= ~below
    return change


def _orthonormal(rotation: Array) -> Array:
    left, _, right = np.linalg.svd(rotation)
    return np.asarray(left @ right)
