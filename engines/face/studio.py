"""Renders a synthetic person: any expression, a few degrees of head movement, any light, nothing allocated per frame.

One frame: displacements -> projected mesh -> light -> the photo's surroundings warped along -> the skin over them ->
eyes and mouth drawn at twice the size and laid over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face import eyes, mouth, turned
from engines.face import furrows as folds
from engines.face import light as lights
from engines.face import skin as skins
from engines.face import surroundings as around
from engines.face.anatomy import NARROW, SIDES, Detail
from engines.face.arrays import Floats, Picture, check_array, check_out, frozen
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.furrow_windows import GROUPS, RAISING
from engines.face.lids import OVERLAP_CM, meet_lids
from engines.face.light import STUDIO_LIGHT, Light
from engines.face.mesh import expression_from_arkit52
from engines.face.movement import move
from engines.face.normals import picture_normals
from engines.face.person import Person
from engines.face.pose import HeadPose, join, project_all
from engines.face.raster import Raster
from engines.face.registration import IRISES

FRONT = HeadPose()
_SCALE = 0.030  # px per cm and px of the picture's height: a head fills three quarters of it
_MIDDLE_UP = 0.50  # share of the height where the head's middle is
_EYE_BOX, _MOUTH_BOX = (0.26, 0.26), (0.56, 0.42)  # rooms for details, shares of height and width
_SHUT_FROM, _SHUT_TO = 0.10, 0.45  # of a closing lid, over which the painted one takes over
_GAP_CM = 0.14  # lips that are less apart show a soft line, not a hole
_BACK_CM = 0.35  # the mouth's inside is drawn so much deeper, lest it comes through a cheek
_LASHES_FROM, _LASHES_TO = 0.70, 0.95
_LID_SHADE = (0.45, 0.30)  # of a shut eye and of one that looks away (the photo's own look holds its shade)


@dataclass(frozen=True)
class Rendered:
    """One frame and its truth; all arrays are the studio's own and valid until its next frame.

    picture: (H, W, 3) uint8 BGR.  projected: (V, 3) float32, x px, y px, z_px of all model vertices.  raster: of the
    skin (`Person.anatomy.skin`, vertices below NARROW): triangle, barycentrics, depth.  landmarks_px: (478, 2) float32.
    face_mask: (H, W) uint8, 255 x how far the person's face (skin, eyes, mouth) covers a pixel.  expression: (52,) as
    shown.  shade: (NARROW,) float32, light on each skin vertex against the photo's.  out_from_photo: (2, 3), how the
    photo's plane came into the picture, without the head's pose.
    """

    picture: Picture
    projected: Floats
    raster: Raster
    landmarks_px: Floats
    face_mask: Picture
    expression: Floats
    pose: HeadPose
    light: Light
    shade: Floats
    out_from_photo: Floats


@dataclass
class _Fine:
    """Room for one detail at twice the size."""

    raster: Raster
    picture: Picture
    cover: Picture
    opening: Picture
    light: Picture
    gap: Picture
    points: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    @classmethod
    def of(cls, height: int, width: int) -> _Fine:
        def plane() -> Picture:
            return np.zeros((height, width), np.uint8)

        return cls(Raster(height, width), np.zeros((height, width, 3), np.uint8), plane(), plane(), plane(), plane())


class Studio:
    """One picture size and the room to draw it.  Not for use from two threads at once."""

    def __init__(self, height: int = 480, width: int = 640) -> None:
        """height, width: px, 64..4096.  Raises BadInput beyond that."""
        if not (64 <= height <= 4096 and 64 <= width <= 4096):
            raise BadInput(f"a synthetic picture must be 64..4096 px high and wide, found {height} x {width}")
        self.height, self.width = height, width
        self._raster = Raster(height, width)
        self._cover, self._soft = (np.zeros((height, width), np.uint8) for _ in range(2))
        self._face = np.zeros((height, width, 3), np.uint8)
        lattice = (-(-height // around.LATTICE_PX) + 1, -(-width // around.LATTICE_PX) + 1, 3)
        self._lattice = np.zeros(lattice, np.float32)
        sizes = [
            tuple(2 * int(share * n) for share, n in zip(box, (height, width), strict=True))
            for box in (_EYE_BOX, _MOUTH_BOX)
        ]
        self._eye, self._mouth = _Fine.of(*sizes[0]), _Fine.of(*sizes[1])
        self._normals = np.zeros((NARROW, 3), np.float32)
        self._lit, self._rough, self._shade = (np.zeros(NARROW, np.float32) for _ in range(3))
        self._moving = np.zeros((NARROW, skins.MOVING), np.float32)
        self._activation = np.zeros(len(GROUPS), np.float32)
        self._landmarks = np.zeros((478, 2), np.float32)
        self._expression = np.zeros(len(BLENDSHAPES), np.float32)
        self._lid_room = np.zeros(64, np.float32)
        self._gaze = np.zeros((2, 2), np.float32)
        self._sized_for = (0, 0, 0, 0)
        self._shell_raster: Raster | None = None  # most studios never need it

    def render(
        self,
        person: Person,
        expression: npt.ArrayLike,
        pose: HeadPose = FRONT,
        light: Light = STUDIO_LIGHT,
        out: Picture | None = None,
        backdrop: Picture | None = None,
    ) -> Rendered:
        """Draw one frame.

        expression: (52,) ARKit weights in MediaPipe's order (engines/face/blendshapes.py), 0..1, left and right the
        person's own.  pose: of the head, against the photo's.  light: against the photo's.  out: (H, W, 3) uint8 BGR,
        filled in place; without it a new picture is made.  backdrop: (H, W, 3) uint8 to stand before, instead of the
        photo's own wall.
        The same arguments give the same bytes.  Raises BadInput when an array or a weight does not fit.
        """
        values = np.asarray(expression, np.float32)
        if values.shape != (len(BLENDSHAPES),) or not (
            np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all()
        ):
            raise BadInput(f"an expression must be {len(BLENDSHAPES)} weights in 0..1, found shape {values.shape}")
        out = np.empty((self.height, self.width, 3), np.uint8) if out is None else out
        check_out(out, np.uint8, (self.height, self.width, 3))
        if backdrop is not None:
            check_array(backdrop, "backdrop", np.uint8, (self.height, self.width, 3))
        self._make_room(person)
        self._expression[:] = values
        self._pose(person, pose)
        self._light(person, pose, light)
        self._surround(person, pose, light, backdrop, out)
        self._skin(person, out)
        for side in range(2):
            self._draw_eye(person, side, out)
        self._draw_mouth(person, out)
        if light.tint != (1.0, 1.0, 1.0):
            lights.tint_picture(out, *(int(256 * factor) for factor in light.tint))
        self._mark(person)
        return Rendered(
            *(out, self._projected, self._raster, self._landmarks, self._cover, self._expression),
            *(pose, light, self._shade, self._out_from_photo),
        )

    def _make_room(self, person: Person) -> None:
        nodes = person.surroundings
        sizes = (len(person.neutral), len(nodes.place), len(nodes.rim), len(nodes.outside))
        if sizes != self._sized_for:
            self._movement, self._vertices, self._projected, self._shift = (
                np.zeros((sizes[0], 3), np.float32) for _ in range(4)
            )
            self._displaced, self._node_px = (np.zeros((sizes[1], 3), np.float32) for _ in range(2))
            self._at_rim, self._spread = (np.zeros((n, 3), np.float32) for n in sizes[2:])
            self._sized_for = sizes

    def _pose(self, person: Person, pose: HeadPose) -> None:
        """Vertices, where they come to lie, and the matrices between photo and picture."""
        weights = expression_from_arkit52(self._expression)
        move(*person.anatomy.movement_rows, person.delta, weights, self._movement)
        np.add(person.neutral, self._movement, out=self._vertices)
        for (upper, lower), (vertex, share) in zip(person.anatomy.margins, person.anatomy.falling, strict=True):
            meet_lids(self._vertices, upper, lower, vertex, share, self._lid_room, np.float32(OVERLAP_CM))
        np.subtract(self._vertices, person.neutral, out=self._movement)
        camera = person.camera
        self._turn = pose.turn_px(person.pivot_px, camera.scale)
        self._out_from_photo, self._photo_from_out = self._framing(person, pose)
        whole = join(self._out_from_photo, self._turn, camera.matrix)
        project_all(self._vertices, whole, self._projected)
        linear = self._turn[:, :3] @ camera.matrix[:, :3]
        project_all(self._movement, np.column_stack([linear, np.zeros(3)]).astype(np.float32), self._shift)

    def _framing(self, person: Person, pose: HeadPose) -> tuple[Floats, Floats]:
        zoom = pose.zoom * _SCALE * self.height / person.camera.scale
        middle = person.middle_px
        x, y = (self.width - 1) / 2, _MIDDLE_UP * (self.height - 1)
        to_out = np.array([[zoom, 0, x - zoom * middle[0]], [0, zoom, y - zoom * middle[1]]], np.float32)
        back = np.array([[1 / zoom, 0, middle[0] - x / zoom], [0, 1 / zoom, middle[1] - y / zoom]], np.float32)
        return to_out, back

    def _light(self, person: Person, pose: HeadPose, light: Light) -> None:
        picture_normals(self._projected[:NARROW], person.anatomy.skin, self._normals)
        lights.calm(self._normals, person.normals, pose.rotation.astype(np.float32), person.anatomy.shade_trust)
        lights.lambert(self._normals, light.towards, np.float32(light.ambient), self._lit)
        starts, others = person.anatomy.neighbours
        lights.shade_ratio(
            self._lit, frozen(person.lit), np.float32(light.intensity), starts, others, self._rough, self._shade
        )

    def _surround(self, person: Person, pose: HeadPose, light: Light, backdrop: Picture | None, out: Picture) -> None:
        nodes = person.surroundings
        far = np.float32(light.intensity * lights.flat_shade(light) / lights.flat_shade(STUDIO_LIGHT))
        around.move_nodes(
            *(nodes.place, nodes.follow, nodes.inside, nodes.corner, nodes.weight, nodes.rim),
            *(self._shift, self._turn, self._shade, far, self._at_rim, self._displaced),
        )
        np.matmul(nodes.spread, self._at_rim, out=self._spread)
        around.add_outside(nodes.outside, self._spread, self._displaced)
        rows, columns = nodes.shape
        origin = np.float32(nodes.origin_px)
        if backdrop is not None or pose.is_turned:
            self._shell(person, far, backdrop, out)
            return
        around.invert(self._displaced, columns, rows, origin, self._photo_from_out, self._lattice)
        around.paint(person.photo, person.matte.cover, self._lattice, far, out)

    def _shell(self, person: Person, far: np.float32, backdrop: Picture | None, out: Picture) -> None:
        """A wall, and the person's cut-out before it as a mesh with depth."""
        nodes, matte = person.surroundings, person.matte
        if backdrop is None:
            turned.flat(self._photo_from_out, self._lattice)
            around.paint(matte.wall, matte.cover, self._lattice, far, out)
        else:
            np.copyto(out, backdrop)
        if self._shell_raster is None:
            self._shell_raster = Raster(self.height, self.width)
        where = (nodes.place, nodes.follow, self._displaced, self._turn, self._out_from_photo)
        turned.place_nodes(*where, self._node_px)
        self._shell_raster.clear()
        self._shell_raster.draw(self._node_px, nodes.triangles)
        turned.paint_shell(
            *(self._shell_raster.triangle, self._shell_raster.barycentric, nodes.triangles, nodes.place),
            *(self._displaced, matte.cutout, matte.cover, far, out),
        )

    def _skin(self, person: Person, out: Picture) -> None:
        anatomy, values = person.anatomy, self._expression
        self._moving[:, skins.SHADE] = self._shade
        folds.activations(values, BLENDSHAPE_INDEX, self._activation)
        window = anatomy.furrows
        folds.spread_activations(
            *(window.starts, window.vertex, window.share, self._activation, len(RAISING)),
            *(self._moving, (skins.RAISED, skins.PULLED)),
        )
        shut = [values[BLENDSHAPE_INDEX[f"eyeBlink{side.capitalize()}"]] for side in SIDES]
        shut = [
            max(a, 0.9 * values[BLENDSHAPE_INDEX[f"eyeLookDown{s.capitalize()}"]])
            for a, s in zip(shut, SIDES, strict=True)
        ]
        upper = np.array([_ramp(a, _SHUT_FROM, _SHUT_TO) for a in shut], np.float32)
        lashes = np.array([_ramp(a, _LASHES_FROM, _LASHES_TO) for a in shut], np.float32)
        skins.shut_lids(anatomy.lid_share, anatomy.lower_lid, upper, lashes, self._moving)
        self._raster.clear()
        self._raster.draw(self._projected[:NARROW], anatomy.skin)
        self._cover[:] = 0
        box = (0, self.height, 0, self.width)
        self._paint_skin(person, self._raster, anatomy.skin, box, self._face, self._cover)
        cv2.blur(self._cover, (5, 5), dst=self._soft)
        skins.lay_over(self._face, self._cover, self._soft, out)

    def _paint_skin(
        self,
        person: Person,
        raster: Raster,
        triangles: npt.NDArray[np.int32],
        box: tuple[int, int, int, int],
        out: Picture,
        cover: Picture,
    ) -> None:
        skins.paint_skin(
            *(raster.triangle, raster.barycentric, box, triangles, person.fixed, self._moving),
            *(person.photo, person.shut, person.furrows, out, cover),
        )

    def _close_up(
        self, detail: Detail, fine: _Fine, opening: npt.NDArray[np.int32], scale: float
    ) -> tuple[int, int, int, int] | None:
        """Draw a detail's mesh finely; returns (top, left, rows, columns) in the picture, None when it is outside.

        opening: vertices around which the detail's box lies.
        """
        if len(fine.points) != len(detail.vertices):
            fine.points = np.zeros((len(detail.vertices), 3), np.float32)
        low, high = self._projected[opening, :2].min(0), self._projected[opening, :2].max(0)
        room = 0.22 * float((high - low).max()) + 3
        height, width = fine.picture.shape[0] // 2, fine.picture.shape[1] // 2
        if not np.isfinite(low).all() or (high < 0).any() or low[0] > self.width or low[1] > self.height:
            return None
        top, left = int(low[1] - room), int(low[0] - room)
        rows = min(int(high[1] + room) - top, height)
        columns = min(int(high[0] + room) - left, width)
        np.take(self._projected, detail.vertices, axis=0, out=fine.points, mode="clip")
        fine.points[:, 0] = (fine.points[:, 0] - np.float32(left)) * 2 + 0.5
        fine.points[:, 1] = (fine.points[:, 1] - np.float32(top)) * 2 + 0.5
        fine.points[detail.behind, 2] -= np.float32(_BACK_CM) * self._out_from_photo[0, 0] * scale
        fine.raster.clear()
        fine.raster.draw(fine.points, detail.local)
        fine.cover[: 2 * rows, : 2 * columns] = 0
        return top, left, rows, columns

    def _draw_eye(self, person: Person, side: int, out: Picture) -> None:
        detail, fine, eye = person.anatomy.eyes[side], self._eye, person.eyes[side]
        found = self._close_up(detail, fine, person.anatomy.eye_rings[side], person.camera.scale)
        if found is None:
            return
        top, left, rows, columns = found
        box = (0, 2 * rows, 0, 2 * columns)
        self._paint_skin(person, fine.raster, detail.whole[: detail.skin], box, fine.picture, fine.cover)
        gaze_px, amount = self._look(person, side)
        shade = float(self._shade[person.anatomy.eye_rings[side]].mean())
        lid = self._expression[BLENDSHAPE_INDEX[f"eyeBlink{SIDES[side].capitalize()}"]]
        under_lid = max(_LID_SHADE[0] * float(lid), _LID_SHADE[1] * amount)
        numbers = np.array(
            [
                *eye.origin,
                eye.centre[0] + gaze_px[0],
                eye.centre[1] + gaze_px[1],
                eye.radius,
                amount,
                shade,
                under_lid,
            ],
            np.float32,
        )
        fine_to_photo = self._eye_plane(person, side, top, left)
        eyes.paint_eye(
            *(fine.raster.triangle, detail.skin, len(detail.local), box, fine_to_photo),
            *(eye.still, eye.white, eye.iris, numbers, fine.picture, fine.cover),
        )
        skins.settle(fine.picture, fine.cover, rows, columns, top, left, out)
        skins.settle_cover(fine.cover, rows, columns, top, left, self._cover)

    def _look(self, person: Person, side: int) -> tuple[npt.NDArray[np.float64], float]:
        """The iris' way in the photo, px, and how far the eye is from the photo's own look, 0..1."""
        name = SIDES[side].capitalize()
        out_, in_, up, down = (
            float(self._expression[BLENDSHAPE_INDEX[f"eyeLook{way}{name}"]]) for way in ("Out", "In", "Up", "Down")
        )
        sideways = (out_ - in_) * (1 if side == 0 else -1)
        shift = np.array([sideways * eyes.GAZE_CM[0], (down - up) * eyes.GAZE_CM[1]]) * person.camera.scale
        self._gaze[side] = shift
        return shift, min(float(np.hypot(*shift)) / (0.1 * person.camera.scale), 1.0)

    def _eye_plane(self, person: Person, side: int, top: int, left: int) -> Floats:
        """(2, 3), photo px from fine px, for the plane through the eye."""
        ring = person.anatomy.eye_rings[side]
        depth = float(person.depth_px[ring].mean())
        turned = self._turn[:2, :2]
        shift = self._turn[:2, 2] * depth + self._turn[:2, 3]
        zoom = self._out_from_photo[0, 0]
        forward = 2 * zoom * turned
        offset = 2 * (zoom * shift + self._out_from_photo[:, 2] - (left, top)) + 0.5
        back = np.linalg.inv(forward)
        return np.column_stack([back, -back @ offset]).astype(np.float32)

    def _draw_mouth(self, person: Person, out: Picture) -> None:
        detail, fine = person.anatomy.lips, self._mouth
        found = self._close_up(detail, fine, person.anatomy.lip_outline, person.camera.scale)
        if found is None:
            return
        top, left, rows, columns = found
        box = (0, 2 * rows, 0, 2 * columns)
        self._paint_skin(person, fine.raster, detail.whole[: detail.skin], box, fine.picture, fine.cover)
        zoom = self._out_from_photo[0, 0] * person.camera.scale
        outline = self._projected[person.anatomy.lip_outline, :2]
        (x0, y0), (x1, y1) = 2 * (outline.min(0) - (left, top)), 2 * (outline.max(0) - (left, top))
        lips = (int(y0), int(y1) + 1, int(x0), int(x1) + 1)
        count = mouth.mark_opening(fine.raster.triangle, detail.skin, len(detail.local), box, lips, fine.opening)
        if count:
            mouth.blur_opening(fine.opening, max(int(2 * _GAP_CM * zoom) | 1, 3), fine.gap)
            size = max(int(2 * 0.6 * zoom) | 1, 3)
            mouth.blur_opening(fine.opening, size, fine.light)
            shade = float(self._shade[person.anatomy.lip_outline].mean())
            mouth.paint_mouth(
                *(fine.raster.triangle, fine.raster.barycentric, detail.skin, fine.opening, box),
                *(
                    detail.whole[detail.skin :],
                    person.mouth.first,
                    person.mouth.colour,
                    fine.light,
                    fine.gap,
                    size // 4,
                ),
                *(np.float32(shade), fine.picture, fine.cover),
            )
        skins.settle(fine.picture, fine.cover, rows, columns, top, left, out)
        skins.settle_cover(fine.cover, rows, columns, top, left, self._cover)

    def _mark(self, person: Person) -> None:
        """Where MediaPipe's landmarks are in this frame."""
        zoom = self._out_from_photo[0, 0]
        scale = zoom * person.camera.scale
        turned = self._turn[:2, :2]
        offset = person.attachment.offset_cm[:, :2] * np.array([1, -1], np.float32) * scale
        np.take(self._projected[:, :2], person.attachment.vertex, axis=0, out=self._landmarks, mode="clip")
        self._landmarks += offset @ turned.T
        for side, name in enumerate(SIDES):
            self._landmarks[list(IRISES[name])] += zoom * (turned @ self._gaze[side])


def _ramp(value: float, low: float, high: float) -> float:
    t = min(max((float(value) - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)
