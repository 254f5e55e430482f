"""The face model fitted to a photo's landmarks: who it is, how the head is turned, and what the face is doing.

Maximum a posteriori: landmark errors of some tenths of a millimetre, identity weights normal with variance one (as the
model's authors define them), expression weights small and not negative.  Gauss-Newton on rotation, scale, shift,
identity and expression together, re-weighted so that single wrong landmarks do not bend the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face.camera import Camera, rotation_from_vector
from engines.face.mesh import LANDMARKS_68, MEDIAPIPE_68, FaceModel

LANDMARKS = 478
SMALLEST_FACE_PX = 24.0  # side of the landmarks' box, as in crop.py
JAW = slice(0, 17)  # of the 68: the tracker puts them on the silhouette, which slides over the skin as the head turns

# What a face does on a photo that is meant to be neutral, or on a smiling one.  The jaw line, where identity and a jaw
# pushed sideways look alike, is left to identity.
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
    """How a fit weighs landmarks against what faces are like."""

    modes: int = 60  # identity modes, the strongest first
    landmark_sd_cm: float = 0.12  # error of a landmark that is not on the jaw line
    jaw_sd_cm: float = 0.40
    identity_sd: float = 1.0
    expression_sd: float = 0.25
    outlier: float = 3.0  # in sd: beyond it a landmark counts less and less (Cauchy)
    steps: int = 12


@dataclass(frozen=True)
class Fit:
    """A fitted face.

    identity: (modes,) float32, standard deviations.  expression: (E,) float32, 0..1.  rms_px: distance of landmarks
    and mesh, px, root mean square over the 51 inner landmarks; jaw_rms_px: over the 17 of the jaw line.
    """

    identity: npt.NDArray[np.float32]
    expression: npt.NDArray[np.float32]
    camera: Camera
    rms_px: float
    jaw_rms_px: float


def fit(
    model: FaceModel,
    landmarks_px: npt.NDArray[np.floating],
    picture_size: tuple[int, int],
    settings: FitSettings = FitSettings(),
) -> Fit:
    """Fit the model to one photo.

    landmarks_px: (478, 2) as (x, y) in picture pixels, MediaPipe's order, unmirrored.  picture_size: (height, width);
    landmarks outside it are the tracker's guess and are left out.
    Raises BadInput when the landmarks' shape is wrong, FaceLost when they are not finite, smaller than 24 px, mostly
    outside the picture or on one spot.
    """
    target_px, inside = _targets(landmarks_px, picture_size)
    problem = _Problem(model, target_px, inside, settings)
    state = problem.start()
    for _ in range(settings.steps):
        state = problem.step(state)
    return problem.result(state)


def _targets(
    landmarks_px: npt.NDArray[np.floating], picture_size: tuple[int, int]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    if landmarks_px.shape != (LANDMARKS, 2):
        raise BadInput(f"landmarks must be ({LANDMARKS}, 2) pixels, found {landmarks_px.shape}")
    if not np.isfinite(landmarks_px).all() or np.ptp(landmarks_px, axis=0).min() < SMALLEST_FACE_PX:
        raise FaceLost(f"there is no face of {SMALLEST_FACE_PX:.0f} px or more to fit")
    target_px = np.asarray(landmarks_px, np.float64)[list(MEDIAPIPE_68)]
    height, width = picture_size
    inside = np.all((target_px >= 0) & (target_px <= (width - 1, height - 1)), axis=1)
    if inside.sum() < len(inside) / 2:
        raise FaceLost("most of the face lies outside the picture")
    return target_px, inside


@dataclass(frozen=True)
class _State:
    scale: float  # px per cm
    rotation: Array  # (3, 3)
    shift_px: Array  # (2,)
    weights: Array  # (modes + movements,): identity, then expression


class _Problem:
    """Landmarks, modes at the landmarks and priors of one photo."""

    def __init__(
        self, model: FaceModel, target_px: Array, inside: npt.NDArray[np.bool_], settings: FitSettings
    ) -> None:
        rows = model.rows_of(LANDMARKS_68)
        self._model, self._settings = model, settings
        self._movements = np.array([model.expression_index(name) for name in MOVEMENTS])
        self._modes = min(settings.modes, len(model.identity))
        self._neutral = model.neutral[rows].astype(np.float64)
        chosen = (model.identity[: self._modes, rows], model.expression[self._movements][:, rows])
        self._basis = np.concatenate(chosen).astype(np.float64)  # (K, 68, 3)
        self._target_px = target_px
        sd_cm = np.full(len(rows), settings.landmark_sd_cm)
        sd_cm[JAW] = settings.jaw_sd_cm
        self._precision = np.where(inside, 1 / sd_cm, 0.0)  # 1 / cm
        prior_sd = [settings.identity_sd] * self._modes + [settings.expression_sd] * len(MOVEMENTS)
        self._prior = 1 / np.array(prior_sd)

    def start(self) -> _State:
        """Pose of the average face: an affine camera by linear least squares, made rigid."""
        homogeneous = np.column_stack([self._neutral, np.ones(len(self._neutral))])
        sure = self._precision[:, None]
        affine = np.linalg.lstsq(homogeneous * sure, self._target_px * sure, rcond=None)[0].T  # (2, 4)
        left, stretch, right = np.linalg.svd(affine[:, :3] * [[1.0], [-1.0]], full_matrices=False)
        if stretch[1] < 1e-6:
            raise FaceLost("the landmarks lie on one line")
        first, second = left @ right
        rotation = np.stack([first, second, np.cross(first, second)])
        return _State(float(stretch.mean()), rotation, affine[:, 3], np.zeros(len(self._basis)))

    def step(self, state: _State) -> _State:
        """One re-weighted Gauss-Newton step; expression weights that would become negative stay at 0."""
        error_px, jacobian = self._linearised(state)
        weight = self._weights(error_px, state.scale)
        rows = (jacobian * weight[:, None, None]).reshape(-1, jacobian.shape[-1])
        right = (error_px * weight[:, None]).reshape(-1)
        prior = np.concatenate([np.zeros(6), self._prior])
        gradient = rows.T @ right - prior**2 * np.concatenate([np.zeros(6), state.weights])
        normal = rows.T @ rows + np.diag(prior**2 + 1e-9)
        free = np.ones(len(prior), bool)
        first = 6 + self._modes
        for _ in range(4):
            change = np.zeros(len(prior))
            held = np.flatnonzero(~free)
            change[held] = -state.weights[held - 6]
            change[free] = np.linalg.solve(
                normal[np.ix_(free, free)], gradient[free] - normal[np.ix_(free, held)] @ change[held]
            )
            negative = np.flatnonzero(state.weights[self._modes :] + change[first:] < -1e-9) + first
            if len(negative) == 0:
                break
            free[negative] = False
        weights = state.weights + change[6:]
        weights[self._modes :] = np.clip(weights[self._modes :], 0.0, 1.0)
        return _State(
            state.scale * float(np.exp(np.clip(change[3], -0.5, 0.5))),
            rotation_from_vector(change[:3]) @ state.rotation,
            state.shift_px + change[4:6],
            weights,
        )

    def result(self, state: _State) -> Fit:
        """Whatever has been found, in the model's terms."""
        expression = np.zeros(len(self._model.expression), np.float32)
        expression[self._movements] = state.weights[self._modes :]
        error_px = self._linearised(state)[0]
        inner = np.delete(error_px, JAW, axis=0)
        return Fit(
            state.weights[: self._modes].astype(np.float32),
            expression,
            Camera(state.scale, _orthonormal(state.rotation), state.shift_px),
            _rms(inner),
            _rms(error_px[JAW]),
        )

    def _linearised(self, state: _State) -> tuple[Array, Array]:
        """(68, 2) px still missing, and (68, 2, 6 + K): what turning, scaling, shifting and each weight would add."""
        turned = (self._neutral + np.tensordot(state.weights, self._basis, 1)) @ state.rotation.T
        modes = self._basis @ state.rotation.T  # (K, 68, 3)
        x, y, z = turned.T
        zero, one = np.zeros_like(x), np.ones_like(x)
        s = state.scale
        across = [zero, s * z, -s * y, s * x, one, zero]  # d x_px / d (turn x, turn y, turn z, log s, shift x, shift y)
        down = [s * z, zero, -s * x, -s * y, zero, one]
        jacobian = np.empty((len(x), 2, 6 + len(modes)))
        jacobian[:, 0, :6], jacobian[:, 1, :6] = np.stack(across, 1), np.stack(down, 1)
        jacobian[:, 0, 6:], jacobian[:, 1, 6:] = s * modes[:, :, 0].T, -s * modes[:, :, 1].T
        seen_px = np.column_stack([s * x, -s * y]) + state.shift_px
        return self._target_px - seen_px, jacobian

    def _weights(self, error_px: Array, scale: float) -> Array:
        """(68,), 1 / px: precision of each landmark times Cauchy's weight of its present error."""
        precision = self._precision / scale
        off = np.linalg.norm(error_px, axis=1) * precision / self._settings.outlier
        return np.asarray(precision / np.sqrt(1 + off**2))


def _orthonormal(rotation: Array) -> Array:
    left, _, right = np.linalg.svd(rotation)
    return np.asarray(left @ right)


def _rms(error_px: Array) -> float:
    return float(np.sqrt((error_px**2).sum(1).mean()))
