"""Which triangle is seen at which pixel: a z-buffer for meshes whose triangles are about as small as a pixel.

Vertices are snapped to 1/256 px; from there on all inside tests are exact integers, so two triangles that share an
edge neither overlap nor leave a hole between them (top-left rule), whatever the order of drawing.  The face model's
triangles are so small that setting them up costs as much as filling them (at 224 px most cover one to four pixel
centres), hence no tiles, no spans and no sorting, only a box of pixels and three edge functions.

Pinhole cameras are not undone: depth and attributes are interpolated linearly in the picture, which is exact for the
weak perspective of engines/face/camera.py.
"""

import cv2
import numpy as np

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, Picture, check_array, check_indices, check_out, frozen
from engines.face.raster_draw import LIMIT_PX, NOTHING, Box, clear_box, draw_triangles, snap_vertices
from engines.face.raster_lookup import Words, interpolate_seen, texture_seen

__all__ = ["LIMIT_PX", "NOTHING", "Raster", "warm_up"]


class Raster:
    """Z-buffer, triangle indices and barycentrics of one picture size; nothing is allocated per frame.

    triangle: (height, width) int32, the index of the triangle seen at the pixel's centre, NOTHING (-1) where none is.
    barycentric: (height, width, 3) float32, weights of that triangle's corners, in their order; 0..1, sum 1; 0 where
    nothing is seen.
    depth: (height, width) float32, its z_px, larger = nearer; -inf where nothing is seen.
    All three are valid until the next `clear` or `draw`; read them, do not write into them.
    """

    def __init__(self, height: int, width: int) -> None:
        """height, width: px, 1..16384.  Raises BadInput beyond that."""
        if not (1 <= height <= 16384 and 1 <= width <= 16384):
            raise BadInput(f"a picture to draw into must be 1..16384 px high and wide, found {height} x {width}")
        self.height, self.width = height, width
        self.triangle: Indices = np.full((height, width), NOTHING, np.int32)
        self.barycentric: Floats = np.zeros((height, width, 3), np.float32)
        self.depth: Floats = np.full((height, width), -np.inf, np.float32)
        self._snapped: Indices = np.zeros((0, 2), np.int32)
        self._texture: Picture = np.zeros((0, 0, 4), np.uint8)
        self._box: Box = np.array([height, 0, width, 0], np.int64)  # what may be covered

    def clear(self) -> None:
        """Start a new picture: nothing is seen anywhere."""
        clear_box(self.triangle, self.barycentric, self.depth, self._box)
        self._box[:] = self.height, 0, self.width, 0

    def draw(self, projected: Floats, triangles: Indices, first: int = 0, both_sides: bool = False) -> None:
        """Draw a mesh over what has been drawn since `clear`: at every pixel the nearest triangle stays.

        projected: (V, 3) float32 as (x px, y px, z_px): pixel centres at integers, larger z = nearer to the viewer;
        vertices may lie outside the picture.  triangles: (F, 3) int32, corners counter-clockwise as the viewer sees
        the front.  first: what triangle 0 is called in `triangle`, so that several meshes stay apart.
        both_sides: draw triangles that face away too.
        Of equally near triangles the one drawn first stays.  Triangles without area are not drawn.
        Raises BadInput when a shape or type does not fit, a vertex is not finite or an index has no vertex.
        """
        check_array(projected, "projected vertices", np.float32, (None, 3))
        check_array(triangles, "triangles", np.int32, (None, 3))
        check_indices(triangles, len(projected))
        if not 0 <= first <= np.iinfo(np.int32).max - len(triangles):
            raise BadInput(f"the first triangle's index must be 0 or more and fit 32 bits, found {first}")
        if len(self._snapped) < len(projected):
            self._snapped = np.zeros((len(projected), 2), np.int32)
        projected, triangles = frozen(projected), frozen(triangles)
        if not snap_vertices(projected, self._snapped, self._box, self.height, self.width):
            raise BadInput("a projected vertex is not a finite number: leave lost faces out")
        draw_triangles(
            *(projected, self._snapped, triangles, first, both_sides),
            *(self.triangle, self.barycentric, self.depth),
        )

    def interpolate(self, attributes: Floats, triangles: Indices, out: Floats | None = None, first: int = 0) -> Floats:
        """Attributes of the mesh at every pixel where it is seen.

        attributes: (V, C) float32 per vertex, or (F, 3, C) float32 per triangle corner.  triangles, first: as drawn.
        out: (height, width, C) float32; other pixels keep what they hold.  Without it a new array of zeros is made.
        Returns out.  Raises BadInput when a shape or type does not fit.
        """
        check_array(triangles, "triangles", np.int32, (None, 3))
        if attributes.ndim == 3:
            check_array(attributes, "attributes per corner", np.float32, (len(triangles), 3, None))
        else:
            check_array(attributes, "attributes per vertex", np.float32, (None, None))
            check_indices(triangles, len(attributes))
        channels = attributes.shape[-1]
        if out is None:
            out = np.zeros((self.height, self.width, channels), np.float32)
        check_out(out, np.float32, (self.height, self.width, channels))
        flat = frozen(attributes.reshape(-1, channels))
        corners = frozen(triangles), attributes.ndim == 2
        interpolate_seen(flat, *corners, first, self.triangle, self.barycentric, self._box, out)
        return out

    def texture(
        self,
        uvs: Floats,
        triangle_uvs: Indices,
        picture: Picture,
        out: Picture | None = None,
        first: int = 0,
    ) -> Picture:
        """The mesh with a picture on it, bilinear, unlit.

        uvs: (T, 2) float32, u to the right and v *up* (as in OBJ files), the picture's edges at 0 and 1; outside that
        its border goes on.  triangle_uvs: (F, 3) int32, a row of uvs for each corner of the triangles drawn with
        `first`.  picture: (h, w, 3) uint8, or (h, w, 4) with an unused fourth channel, which saves a copy per call.
        out: (height, width, 3) uint8; other pixels keep what they hold (draw over a photo so).  Without it a new
        black picture is made.
        Returns out.  Raises BadInput when a shape or type does not fit.
        """
        check_array(uvs, "texture coordinates", np.float32, (None, 2))
        check_array(triangle_uvs, "triangles' texture coordinates", np.int32, (None, 3))
        check_array(picture, "texture", np.uint8, (None, None, 4 if picture.shape[2:] == (4,) else 3))
        check_indices(triangle_uvs, len(uvs))
        if not picture.size:
            raise BadInput("the texture has no pixels: give a picture of at least 1 x 1 px")
        if out is None:
            out = np.zeros((self.height, self.width, 3), np.uint8)
        check_out(out, np.uint8, (self.height, self.width, 3))
        seen = self.triangle, self.barycentric, self._box
        texture_seen(frozen(uvs), frozen(triangle_uvs), frozen(self._packed(picture)), first, *seen, out)
        return out

    def _packed(self, picture: Picture) -> Words:
        """A texture as one word per pixel, in a buffer that stays for the next picture of this size."""
        if picture.shape[2] == 3:
            if self._texture.shape[:2] != picture.shape[:2]:
                self._texture = np.empty((*picture.shape[:2], 4), np.uint8)
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA, dst=self._texture)
        return picture.view(np.uint32)[..., 0]


def warm_up() -> None:
    """Compile (or load) the kernels: call it before time matters."""
    raster = Raster(4, 4)
    corners = np.array([[0, 3, 0], [3, 3, 0], [0, 0, 0]], np.float32)
    triangles = np.array([[0, 1, 2]], np.int32)
    raster.draw(corners, triangles)
    raster.interpolate(corners, triangles)
    raster.texture(corners[:, :2].copy(), triangles, np.zeros((2, 2, 3), np.uint8))
    raster.clear()
