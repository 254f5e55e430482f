"""How a head is turned against the same head at rest, from landmarks: the part of their movement that is rigid.

At rest the face model is fitted once; from then on the person's own landmarks, each with its depth, are a rigid cloud
that is turned, scaled and shifted onto every new picture's landmarks.  Expressions are let free beside it, with a
normal prior, and forgotten afterwards: a smile lifts a hundred landmarks together and is no turn.  Single landmarks
that are far off count less (Cauchy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face.arrays import Floats
from engines.face.camera import rotation_from_vector
from engines.face.fit import NEUTRAL, Fitter
from engines.face.landmarks import COUNT, IRISES, OVAL, FaceLandmarks
from engines.face.mesh import FaceModel

Doubles = npt.NDArray[np.float64]

_SURE_CM = 0.08  # how far a landmark is off that nothing moves
_OVAL_CM = 0.5  # the silhouette slides over the skin
_ACTIVE = 0.3  # standard deviation of an expression's weight
_OUTLIER = 3.0  # in sd, as in engines/face/fit.py
_STEPS, _SETTLED = 12, 1e-3
_FAR_OFF = 0.12  # rms over the size of the cloud: beyond it these are not that head's landmarks
_FLIP = np.array([1.0, -1.0, 1.0])  # y up for the mathematics, y down for pictures


@dataclass(frozen=True)
class HeadTurn:
    """A rigid movement in picture space: q = matrix @ (x px, y px, z_px, 1) of a point of the head at rest.

    matrix: (3, 4) float64, y down, z to the viewer.  scale: size now over size at rest.  yaw_deg: towards the picture's
    right, pitch_deg: up, roll_deg: clockwise in the picture, all against the pose at rest, as
    engines/face/pose.HeadPose has them.  rms_px: of the landmarks, expression aside.
    """

    matrix: Doubles
    scale: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    rms_px: float

    @property
    def rotation(self) -> Doubles:
        """(3, 3) in the camera's axes: x right, y up, z to the viewer."""
        return np.asarray(_FLIP[:, None] * self.matrix[:, :3] * _FLIP / self.scale)

    @property
    def away_deg(self) -> float:
        """Angle between the face's directions now and at rest: yaw and pitch together, in-plane roll left out."""
        return float(np.degrees(np.arccos(np.clip(self.rotation[2, 2], -1, 1))))


class HeadMovement(NamedTuple):
    """A turn, and what a face does beside it.

    moved_px: (478, 3) float64, how far every landmark has moved in the pose at rest: x and y (down) as they are seen,
    the depth as the model has it; px of the picture at rest, 0 for landmarks that are not used.
    """

    turn: HeadTurn
    moved_px: Doubles


class _State(NamedTuple):
    rotation: Doubles  # (3, 3)
    scale: float
    shift: Doubles  # (2,) px, y up
    weights: Doubles  # (E,) of the expressions


class HeadCloud:
    """One person's landmarks at rest with their depth, and how expressions move them."""

    def __init__(self, points_px: Doubles, moves_px: Doubles, sd_px: Doubles, px_per_cm: float = 1.0) -> None:
        """points_px: (L, 3), x px, y px (down), z_px.  moves_px: (E, L, 3), at weight 1.

        sd_px: (L,), how far each is off beside that; inf: unused.  px_per_cm: of the picture at rest.
        """
        self.px_per_cm = px_per_cm
        self._used = np.flatnonzero(np.isfinite(sd_px))
        up = points_px[self._used] * _FLIP
        self._moves = np.ascontiguousarray((moves_px[:, self._used] * _FLIP).transpose(2, 1, 0))  # (3, L, E)
        self._precision = 1 / sd_px[self._used]
        self._share = self._precision**2 / (self._precision**2).sum()
        self._middle = self._share @ up
        self._cloud = up - self._middle
        self._size = float(np.sqrt((self._cloud[:, :2] ** 2).sum(1).mean()))
        self._prior = np.concatenate([np.full(6, 1e-9), np.full(len(moves_px), _ACTIVE**-2.0)])

    def turn(self, landmarks_px: npt.NDArray[np.floating]) -> HeadTurn:
        """The rigid movement that brings the cloud onto landmarks.

        landmarks_px: (478, 2) as (x, y) px, in the same kind of picture as at rest.
        Raises BadInput for another shape, FaceLost when they are not finite, lie on one line or are another shape.
        """
        state, _, rms = self._solved(landmarks_px)
        return self._found(state, rms)

    def movement(self, landmarks_px: npt.NDArray[np.floating]) -> HeadMovement:
        """The turn, and what the face does beside it.  Arguments and errors: `turn`."""
        state, target, rms = self._solved(landmarks_px)
        deep = (self._moves @ state.weights)[2]
        across, toward = state.rotation[:2, :2], state.rotation[:2, 2]
        seen = (target - state.shift) / state.scale - self._cloud @ state.rotation[:2].T
        moved = np.zeros((COUNT, 3))
        moved[self._used, :2] = np.linalg.solve(across, (seen - np.outer(deep, toward)).T).T * _FLIP[:2]
        moved[self._used, 2] = deep
        return HeadMovement(self._found(state, rms), moved)

    def _solved(self, landmarks_px: npt.NDArray[np.floating]) -> tuple[_State, Doubles, float]:
        """State, the landmarks that are used (y up), and how far they are off, px."""
        if landmarks_px.shape != (COUNT, 2):
            raise BadInput(f"landmarks must be ({COUNT}, 2) pixels, found {landmarks_px.shape}")
        target = landmarks_px[self._used].astype(np.float64) * _FLIP[:2]
        if not np.isfinite(target).all():
            raise FaceLost("the landmarks are not finite numbers: there is no face")
        state = self._start(target)
        for _ in range(_STEPS):
            state, change = self._step(state, target)
            if change < _SETTLED:
                break
        error = target - self._seen(state)[:, :2] - state.shift
        rms = float(np.sqrt(self._share @ (error**2).sum(1)))
        if not rms <= _FAR_OFF * self._size * state.scale:
            raise FaceLost(f"the landmarks are {rms:.1f} px off every turn of this head: is it the same person?")
        return state, target, rms

    def _start(self, target: Doubles) -> _State:
        """An affine camera by linear least squares, made rigid."""
        sure = self._precision[:, None]
        homogeneous = np.column_stack([self._cloud, np.ones(len(self._cloud))])
        solved = np.linalg.lstsq(homogeneous * sure, target * sure, rcond=None)[0].T  # (2, 4)
        left, stretch, right = np.linalg.svd(solved[:, :3], full_matrices=False)
        if not stretch[1] > 1e-3:
            raise FaceLost("the landmarks lie on one line: there is no face")
        first, second = left @ right
        rotation = np.stack([first, second, np.cross(first, second)])
        return _State(rotation, float(stretch.mean()), np.asarray(solved[:, 3]), np.zeros(self._moves.shape[2]))

    def _seen(self, state: _State) -> Doubles:
        """(L, 3): turned and scaled, not shifted."""
        moved = self._cloud + (self._moves @ state.weights).T
        return np.asarray(state.scale * moved @ state.rotation.T)

    def _step(self, state: _State, target: Doubles) -> tuple[_State, float]:
        """One re-weighted Gauss-Newton step, and its largest change."""
        seen = self._seen(state)
        x, y, z = seen.T
        error = target - seen[:, :2] - state.shift
        off = np.linalg.norm(error, axis=1) * self._precision / (_OUTLIER * state.scale)
        sure = self._precision / (state.scale * np.sqrt(1 + off**2))
        rows = np.zeros((2, len(x), len(self._prior)))
        rows[0, :, 1], rows[0, :, 2], rows[0, :, 3], rows[0, :, 4] = z, -y, x, 1
        rows[1, :, 0], rows[1, :, 2], rows[1, :, 3], rows[1, :, 5] = -z, x, y, 1
        flat_moves = self._moves.reshape(3, -1)
        rows[:, :, 6:] = (state.scale * state.rotation[:2] @ flat_moves).reshape(2, *self._moves.shape[1:])
        rows *= sure[:, None]
        flat, left = rows.reshape(-1, rows.shape[2]), (error * sure[:, None]).T.reshape(-1)
        pull = np.concatenate([np.zeros(6), self._prior[6:] * state.weights])
        change = np.linalg.solve(flat.T @ flat + np.diag(self._prior), flat.T @ left - pull)
        moved = _State(
            _orthonormal(rotation_from_vector(change[:3]) @ state.rotation),
            state.scale * float(np.exp(np.clip(change[3], -0.5, 0.5))),
            state.shift + change[4:6],
            state.weights + change[6:],
        )
        return moved, float(np.abs(np.delete(change, (4, 5))).max())

    def _found(self, state: _State, rms_px: float) -> HeadTurn:
        linear = state.scale * state.rotation
        offset = np.array([*state.shift, self._middle[2]]) - linear @ self._middle  # depth has no origin of its own
        matrix = np.column_stack([_FLIP[:, None] * linear * _FLIP, _FLIP * offset])
        return HeadTurn(matrix, state.scale, *_angles_deg(state.rotation), rms_px)


class FacePose(NamedTuple):
    """How a face is turned against the camera, degrees, as in HeadTurn.  away_deg: between its direction and ours."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    away_deg: float


class HeadFitter:
    """Fits heads at rest; what does not depend on the person is set up once (0.2 s)."""

    def __init__(self, model: FaceModel) -> None:
        """model: ICT-FaceKit, whole."""
        self.face = model.part("narrow_face")
        self._fitter = Fitter(model, NEUTRAL)
        self._table = _on_skin(FaceLandmarks.load(), self.face)
        moves = [self._table.positions(field) for field in self.face.expression]
        self.moves_cm = np.stack(moves).astype(np.float64)  # (E, 478, 3)

    def at_rest(
        self, landmarks_px: npt.NDArray[np.floating], picture_size: tuple[int, int]
    ) -> tuple[Floats, HeadCloud]:
        """The head in one neutral picture.

        landmarks_px: (478, 2) px.  picture_size: height, width.
        Returns the mesh (V, 3) float32 as x px, y px, z_px, and the landmarks' cloud.  Raises as `Fitter.fit` does.
        """
        found = self._fitter.fit(landmarks_px, picture_size)
        vertices = self.face.vertices(found.identity, found.expression)
        projected = np.ascontiguousarray(found.camera.project(vertices))
        points = self._table.positions(projected).astype(np.float64)
        points[:, :2] = landmarks_px  # the person's own; only the depth is the model's
        sd_cm = np.full(COUNT, _SURE_CM)
        sd_cm[list(OVAL)] = _OVAL_CM
        sd_cm[list(IRISES)] = np.inf
        moves_px = self.moves_cm @ found.camera.matrix[:, :3].T
        return projected, HeadCloud(points, moves_px, sd_cm * found.camera.scale, found.camera.scale)

    def pose(self, landmarks_px: npt.NDArray[np.floating], picture_size: tuple[int, int]) -> FacePose:
        """How the face in one picture is turned, without anything to compare it with.

        Arguments and errors: `at_rest`.
        """
        rotation = self._fitter.fit(landmarks_px, picture_size).camera.rotation
        away = float(np.degrees(np.arccos(np.clip(rotation[2, 2], -1, 1))))
        return FacePose(*_angles_deg(rotation), away)


def _on_skin(table: FaceLandmarks, face: FaceModel) -> FaceLandmarks:
    """The table on the narrow face, which has no eyeballs: the irises' rows are put anywhere and not used."""
    corners = table.corners.copy()
    corners[list(IRISES)] = table.corners[0]
    return FaceLandmarks(corners, table.weights, table.sd_cm).on(face)


def _angles_deg(rotation: Doubles) -> tuple[float, float, float]:
    """HeadPose's yaw, pitch and roll of a rotation: roll after pitch after yaw."""
    pitch = -np.arcsin(np.clip(rotation[2, 1], -1, 1))
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    roll = np.arctan2(rotation[0, 1], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def _orthonormal(rotation: Doubles) -> Doubles:
    left, _, right = np.linalg.svd(rotation)
    return np.asarray(left @ right)
