"""What a head's rigid movement does to a picture, and the picture or the flow without it: ours.

eMotion-GAN lets a network find out which part of a flow is the head's.  With the 3D face fitted that part is known:
every point of the face at rest is turned as the head is turned, and what moves beyond that is expression.  It can be
taken out after measuring (`subtracted`), which keeps what Farneback gets wrong on long ways, or before (`unturned`):
the picture is brought back into the pose at rest, and only the rest is measured.  That is by far the better one, and as
places on the skin stay where they are at rest, its flow is the frontal one.

Around the face the field fades out: what is there (shoulders, wall) does not turn with the head.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.arrays import Floats, Picture, check_array, check_out, frozen
from engines.face.flow import FlowMeter, resized_flow
from engines.face.head_turn import Doubles, HeadFitter, HeadMovement, HeadTurn
from engines.face.normals import picture_normals
from engines.face.raster import Raster
from engines.kernels import kernel

_FADES_PX = 0.18  # shares of the picture's side, from the face's border on: there the field has gone
_EDGE_PX = 0.02  # and the flow that is given out
_SEEN_FROM, _SEEN_AT = 0.12, 0.35  # z of a turned normal, over which skin comes into sight


class ExpressionFlow(NamedTuple):
    """A flow without the head's movement, in the pose at rest.

    flow: (size, size, 2) float32 px, 0 where nothing is known.  trust: (size, size) float32 0..1, how well the skin
    there is seen in the turned picture; 0 beside the face.  turn: the head's.
    """

    flow: Floats
    trust: Floats
    turn: HeadTurn


class RigidHead:
    """One person's head at rest in one square picture.  Not for use from two threads at once."""

    def __init__(self, fitter: HeadFitter, landmarks_px: npt.NDArray[np.floating], size: int) -> None:
        """Fit it (20 ms).

        landmarks_px: (478, 2) as (x, y) px of the neutral picture.  size: its side, px.
        Raises BadInput and FaceLost as engines/face/fit.py does.
        """
        if not 32 <= size <= 4096:
            raise BadInput(f"a head's picture must be 32..4096 px, found {size}")
        mesh_px, self._cloud = fitter.at_rest(landmarks_px, (size, size))
        self.size, self.rest_px = size, np.array(landmarks_px, np.float32)
        raster = Raster(size, size)
        raster.draw(mesh_px, np.ascontiguousarray(fitter.face.triangles))
        normals = picture_normals(mesh_px, fitter.face.triangles)
        inside = _without_holes(raster.triangle >= 0)
        self._depth = _continued(raster.depth, raster.triangle >= 0)
        seen = raster.interpolate(normals, np.ascontiguousarray(fitter.face.triangles))
        self._normal = np.stack([_continued(seen[:, :, k], raster.triangle >= 0) for k in range(3)], -1)
        away = np.asarray(cv2.distanceTransform(255 * (~inside).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
        self._fade = _smooth_step(1 - away / (_FADES_PX * size))
        self.face = _smooth_step(1 - away / (_EDGE_PX * size))
        self._map = np.zeros((size, size, 2), np.float32)

    def turn(self, landmarks_px: npt.NDArray[np.floating]) -> HeadTurn:
        """How the head is turned in another picture.  Arguments and errors: `HeadCloud.turn`."""
        return self._cloud.turn(landmarks_px)

    def movement(self, landmarks_px: npt.NDArray[np.floating]) -> HeadMovement:
        """The turn, and what the face does beside it.  Arguments and errors: `HeadCloud.turn`."""
        return self._cloud.movement(landmarks_px)

    @property
    def px_per_cm(self) -> float:
        """Of the neutral picture."""
        return self._cloud.px_per_cm

    def rigid_flow(self, turn: HeadTurn, out: Floats | None = None) -> Floats:
        """Where every pixel of the neutral picture goes as the head turns.

        out: (size, size, 2) float32, filled and returned; without it a new array is made.  Returns px, fading to 0
        around the face.  Raises BadInput when out does not fit.
        """
        out = np.empty((self.size, self.size, 2), np.float32) if out is None else out
        check_out(out, np.float32, (self.size, self.size, 2))
        _field(_frozen32(turn.matrix), frozen(self._depth), frozen(self._fade), np.float32(0), out)
        return out

    def trust(self, turn: HeadTurn, out: Floats | None = None) -> Floats:
        """How well the skin at every pixel of the neutral picture is seen after the turn.

        out: (size, size) float32.  Returns 0..1: 0 beside the face and where it is turned away.  That the nose hides
        some cheek is not told.  Raises BadInput when out does not fit.
        """
        out = np.empty((self.size, self.size), np.float32) if out is None else out
        check_out(out, np.float32, (self.size, self.size))
        toward = _frozen32(turn.rotation[2])
        _facing(toward, frozen(self._normal), frozen(self.face), np.float32(_SEEN_FROM), np.float32(_SEEN_AT), out)
        return out

    def unturned(self, picture: Picture, turn: HeadTurn, out: Picture | None = None) -> Picture:
        """A picture of the turned head, brought back into the pose at rest, bilinear.

        picture: (size, size) or (size, size, 3) uint8.  out: the same shape, filled and returned.
        What is hidden in the picture is smeared: look at `trust`.  Raises BadInput when an array does not fit.
        """
        shape = (self.size, self.size, *picture.shape[2:])
        check_array(picture, "picture of the turned head", np.uint8, shape)
        out = np.empty_like(picture) if out is None else out
        check_out(out, np.uint8, shape)
        _field(_frozen32(turn.matrix), frozen(self._depth), frozen(self._fade), np.float32(1), self._map)
        cv2.remap(picture, self._map, None, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)
        return out


def subtracted(flow: Floats, rigid: Floats, trust: Floats) -> Floats:
    """A measured flow without the rigid one, faded by trust.

    flow, rigid: (size, size, 2) float32 px.  trust: (size, size) 0..1.  Returns a new array.  It is in the pose at rest
    by its place, but its vectors are those seen in the turned head.  Raises BadInput when they do not fit.
    """
    check_array(flow, "flow", np.float32, (None, None, 2))
    check_array(rigid, "rigid flow", np.float32, flow.shape)
    check_array(trust, "trust", np.float32, flow.shape[:2])
    found: Floats = (flow - rigid) * trust[:, :, None]
    return found


def expression_flow(
    meter: FlowMeter, head: RigidHead, neutral: Picture, picture: Picture, landmarks_px: npt.NDArray[np.floating]
) -> ExpressionFlow:
    """What the face does in a picture beyond turning.

    neutral, picture: (size, size) or (size, size, 3) uint8, size = head.size = meter.full_px.  landmarks_px: (478, 2)
    of `picture`.  Returns arrays of meter.size.  Raises BadInput and FaceLost as `FlowMeter.measure` and `turn` do.
    """
    turn = head.turn(landmarks_px)
    found = meter.measure(neutral, head.unturned(picture, turn))
    trust = np.asarray(cv2.resize(head.trust(turn), (meter.size, meter.size), interpolation=cv2.INTER_AREA), np.float32)
    return ExpressionFlow(found.flow * trust[:, :, None], trust, turn)


def flow_less_head(meter: FlowMeter, head: RigidHead, flow: Floats, turn: HeadTurn) -> Floats:
    """`subtracted` for a flow that meter measured: rigid flow and trust are brought to its size."""
    side = (meter.size, meter.size)
    trust = np.asarray(cv2.resize(head.trust(turn), side, interpolation=cv2.INTER_AREA), np.float32)
    return subtracted(flow, resized_flow(head.rigid_flow(turn), meter.size), trust)


def _without_holes(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Eyes and mouth are holes in the mesh, and part of the face."""
    outlines = cv2.findContours(seen.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    filled = np.zeros(seen.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, -1)
    return filled > 0


def _continued(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Values of the nearest known pixel where there are none, calmed there."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, np.float32)
    table[nearest[known]] = values[known]
    filled = table[nearest]
    calm = cv2.GaussianBlur(filled, (0, 0), values.shape[0] / 60)
    return np.ascontiguousarray(np.where(known, filled, calm), dtype=np.float32)


def _smooth_step(values: Floats) -> Floats:
    t = np.clip(values, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _frozen32(values: Doubles) -> Floats:
    return frozen(np.ascontiguousarray(values, dtype=np.float32))


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    plane, flow = np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    _field(_frozen32(np.eye(3, 4)), frozen(plane), frozen(plane), np.float32(0), flow)
    normals = frozen(np.zeros((2, 2, 3), np.float32))
    _facing(_frozen32(np.eye(3)[2]), normals, frozen(plane), np.float32(0), np.float32(1), plane.copy())


@kernel
def _field(matrix: Floats, depth: Floats, fade: Floats, own: np.float32, out: Floats) -> None:
    """out[y, x] = fade (matrix (x, y, z, 1) - (x, y)) + own (x, y); own 1 gives places, 0 ways.  matrix: (3, 4)."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            px, py, z = np.float32(x), np.float32(y), depth[y, x]
            u = matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2] * z + matrix[0, 3] - px
            v = matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2] * z + matrix[1, 3] - py
            out[y, x, 0] = fade[y, x] * u + own * px
            out[y, x, 1] = fade[y, x] * v + own * py


@kernel
def _facing(toward: Floats, normal: Floats, face: Floats, low: np.float32, high: np.float32, out: Floats) -> None:
    """out = face x smooth step of the turned normal's z.  toward: (3,) the rotation's last row.  normal: (h, w, 3)."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            z = toward[0] * normal[y, x, 0] + toward[1] * normal[y, x, 1] + toward[2] * normal[y, x, 2]
            t = min(max((z - low) / (high - low), np.float32(0)), np.float32(1))
            out[y, x] = face[y, x] * t * t * (np.float32(3) - np.float32(2) * t)
