"""Electrodes of the Fridlund and the Kuramoto scheme on the synthetic person's face model: tapes, cables, shadows.

They lie on the mesh that the picture was rendered from, so they bend with the skin, are lit by the light on it and are
hidden where the head hides them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.emg.montage import FRIDLUND, KURAMOTO, Montage
from engines.errors import BadInput
from engines.face import tapes as tape_kernels
from engines.face import wires as wire_kernels
from engines.face.arrays import Floats, Indices, Picture, check_array, check_out, frozen
from engines.face.electrode_sites import electrodes_of, partner, sites
from engines.face.electrode_style import ElectrodeStyle
from engines.face.follow import HeadFrame
from engines.face.headband import Headband
from engines.face.light import STUDIO_LIGHT, Light, flat_shade
from engines.face.mesh import LANDMARKS_68, FaceModel
from engines.face.raster import Raster
from engines.face.skin_light import SkinLight
from engines.face.skin_surface import Places, SkinSurface, surface_of, tangents
from engines.face.tapes import COLUMN
from engines.face.wiring import plan

WHITE = 236.0  # grey level of a white sheet that faces the viewer in the photos' light
_SWAY_CM = 0.25
_THINNER = 0.8  # cables here, against those that lie flat
_TAPE_SHADE, _CABLE_SHADE = 0.32, 0.42


_NO_TAPE = LANDMARKS_68[31:60]  # nostrils, lids, lips
_CLEAR_CM = 0.65  # tapes keep away from them
_TOGETHER, _ALONE = 0.85, 0.5  # of the error: the two of a pair are put on together
_STRAPS = 0.4  # share of sessions in which bundles are taped to the skin


class MeshElectrodes:
    """One session's electrodes.  The same seed gives the same bytes.  Not for use from two threads at once.

    `labels` names every electrode that is on: "F20a", "F20b" (the two of a bipolar channel), "K19".
    """

    def __init__(
        self,
        model: FaceModel,
        seed: int,
        montages: Sequence[Montage] = (FRIDLUND, KURAMOTO),
        style: ElectrodeStyle | None = None,
    ) -> None:
        """Put the electrodes on (0.5 s).

        model: a whole head.  montages: whose channels to draw.  style: drawn from the seed when absent.
        Raises BadInput when a montage's place on the face is not known or the model is only a part.
        """
        rng = np.random.default_rng([seed, 63])
        self.style = style or ElectrodeStyle.random(rng)
        names = electrodes_of(montages)
        surface = surface_of(model)
        chance = rng.random(len(names))
        on = (chance >= self.style.missing) | (chance == chance.max())  # one always holds
        self.labels = tuple(name for name, is_on in zip(names, on, strict=True) if is_on)
        places = self._put_on(surface, rng)
        self._places = places
        self._vertices, self._shares = surface.patches(places)
        self._frame = HeadFrame(model)
        self._skin_light = SkinLight(surface)
        first = {name: i for i, name in enumerate(self.labels)}
        pairs = np.array([min(i, first.get(partner(name) or name, i)) for i, name in enumerate(self.labels)], np.int32)
        self._wiring = plan(surface, places, pairs, self.style, rng)
        self._band = None if self.style.cap is None else Headband(surface, self.style, rng)
        self._tapes = self._cut_tapes(places, rng)
        self._wires = self._colour_wires(pairs, rng)
        self._strap_patches, self._straps = self._cut_straps(surface, rng)
        count = len(self._wiring.chain)
        self._phase = rng.uniform(0, 2 * np.pi, 3).astype(np.float32)
        self._points, self._along = np.zeros((count, 3), np.float32), np.zeros((count, 2), np.float32)
        self._facing, self._view = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._patches = np.zeros((len(self.labels), 6, 3), np.float32)
        self._grain = rng.uniform(-1, 1, (tape_kernels.GRAIN_SIDE,) * 2).astype(np.float32)
        self._shadow = np.zeros((0, 0), np.uint8)
        self._kept = np.zeros((0, 0), np.uint8)
        self._box: Indices = np.zeros(4, np.int32)

    def draw(
        self,
        picture: Picture,
        projected: Floats,
        raster: Raster,
        light: Light = STUDIO_LIGHT,
        out_mask: Picture | None = None,
        t_s: float = 0.0,
        out_shadow: Picture | None = None,
    ) -> Picture:
        """Draw over a rendered picture, in place.

        picture: (H, W, 3) uint8 BGR.  projected: (V, 3) float32, all model vertices in the picture.  raster: of the
        skin (`Rendered.raster`), same size.  light: as rendered with; its tint is ignored, as `Studio` does.
        out_mask: (H, W) uint8, filled and returned (made when absent): 255 x how far a pixel is covered by tape, cable
        or band.  t_s: seconds, for the slow sway of what hangs free.  out_shadow: (H, W) uint8, filled: 255 x how much
        light the electrodes take away there.  Shadows are not covered skin and stay out of the mask.
        Raises BadInput when an array does not fit.
        """
        check_array(picture, "picture", np.uint8, (raster.height, raster.width, 3))
        if not picture.flags.writeable:
            raise BadInput("electrodes are drawn in place: give a writable picture")
        check_array(projected, "projected vertices", np.float32, (None, 3))
        if len(projected) <= self._vertices.max():
            raise BadInput(f"electrodes need all vertices of the whole head, found {len(projected)}")
        shape = (raster.height, raster.width)
        mask = np.zeros(shape, np.uint8) if out_mask is None else out_mask
        check_out(mask, np.uint8, shape)
        if self._shadow.shape != shape:
            self._shadow, self._kept = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        kept = self._kept if out_shadow is None else out_shadow
        check_out(kept, np.uint8, shape)
        mask[:] = 0
        kept[:] = 0
        self._box[:] = shape[0], 0, shape[1], 0
        self._draw(picture, frozen(projected), frozen(raster.depth), light, mask, kept, t_s)
        return mask

    def positions_px(self, projected: Floats) -> Floats:
        """(electrode, 3) float32: where the middle of each is, x px, y px, z_px, in the order of `labels`."""
        return self._places.on(projected).astype(np.float32)

    # ------------------------------------------------------------------ every frame

    def _draw(
        self, picture: Picture, projected: Floats, depth: Floats, light: Light, mask: Picture, kept: Picture, t_s: float
    ) -> None:
        matrix = self._frame.matrix(projected)
        scale = np.float32(HeadFrame.scale(matrix))
        towards = frozen(light.towards)
        shades = frozen(self._skin_light.read(picture, projected, depth, float(scale)))
        bright = WHITE * light.intensity * flat_shade(light) / flat_shade(STUDIO_LIGHT)
        white = frozen(np.full(3, min(bright, 250.0), np.float32))
        patches, box, shadow = self._patches, self._box, self._shadow
        tape_kernels.bend_patches(projected, self._vertices, self._shares, patches)
        tape_kernels.lay_tapes(
            *(self._tapes, patches, scale, shades, towards, white, np.float32(_TAPE_SHADE)),
            *(self._grain, depth, picture, mask, kept),
        )
        wiring, wires = self._wiring, self._wires
        wiring.followers.follow(projected, matrix, float(scale), self._points, self._facing)
        self._sway(float(scale), t_s)
        wire_kernels.directions(self._points, wiring.chain, self._along)
        wire_kernels.views(self._facing, wiring.chain, wiring.slips, self._view)
        wire_kernels.shade_wires(
            *(self._points, self._view, self._facing, wiring.height_cm, wiring.chain, wires, scale, towards),
            *(np.float32(_CABLE_SHADE), depth, shadow, box),
        )
        wire_kernels.darken(shadow, box, picture, kept)
        wire_kernels.lay_wires(
            *(self._points, self._along, self._view, wiring.chain, wiring.order, wires, scale, towards, white),
            *(depth, picture, mask),
        )
        if len(self._straps):
            tape_kernels.bend_patches(projected, *self._strap_patches, self._strap_bent)
            tape_kernels.lay_tapes(
                *(self._straps, self._strap_bent, scale, shades, towards, white, np.float32(_TAPE_SHADE)),
                *(self._grain, depth, picture, mask, kept),
            )
        if self._band is not None:
            self._band.draw(
                *(picture, projected, matrix, float(scale), shades, white, self._grain, depth, mask, kept),
            )

    def _sway(self, scale: float, t_s: float) -> None:
        """What hangs swings a little, all together."""
        a, b, c = self._phase
        x = np.sin(0.9 * t_s + a) + 0.5 * np.sin(2.1 * t_s + b)
        y = 0.3 * np.sin(1.3 * t_s + c)
        self._points[:, 0] += np.float32(_SWAY_CM * scale * x) * self._wiring.loose
        self._points[:, 1] += np.float32(_SWAY_CM * scale * y) * self._wiring.loose

    # ------------------------------------------------------------------ once per session

    def _put_on(self, surface: SkinSurface, rng: np.random.Generator) -> Places:
        """Sites with the error of a hurried hand, along the skin."""
        perfect = sites(surface, self.labels)
        shift = rng.normal(0, self.style.error_cm, (len(self.labels), 2))
        order = {name: i for i, name in enumerate(self.labels)}
        edges = surface.model.neutral[surface.model.rows_of(_NO_TAPE)].astype(np.float64)
        moved = perfect.points.copy()
        for i, name in enumerate(self.labels):
            left, up = tangents(perfect.normals[i])
            other = order.get(partner(name) or name, i)
            way = shift[min(i, other)] * _TOGETHER + shift[i] * _ALONE if other != i else shift[i]
            nearest = np.linalg.norm(edges - perfect.points[i], axis=1).min()
            for _ in range(4):
                spot = perfect.points[i] + way[0] * left + way[1] * up
                if np.linalg.norm(edges - spot, axis=1).min() >= min(_CLEAR_CM, 0.9 * nearest):
                    moved[i] = spot
                    break
                way = way / 2  # nobody sticks a tape over an eye, a nostril or the lips
        return surface.nearest(moved, perfect.normals)

    def _cut_tapes(self, places: Places, rng: np.random.Generator) -> Floats:
        """What stays the same about each tape."""
        style, n = self.style, len(self.labels)
        tape = np.zeros((n, len(COLUMN)), np.float32)

        def put(**columns: npt.ArrayLike) -> None:
            for name, value in columns.items():
                tape[:, COLUMN[name]] = value

        half = 0.5 * style.tape_cm
        turn = rng.uniform(-0.4, 0.4, n) + np.where(rng.random(n) < 0.15, np.pi / 4, 0)
        crease, lift = rng.uniform(0, np.pi, n), rng.integers(4, size=n) * np.pi / 2 + np.pi / 4
        put(half_p=half * rng.uniform(0.88, 1.14, n), half_q=half * rng.uniform(0.88, 1.14, n))
        put(round=np.minimum(style.round_cm, 0.8 * half) * rng.uniform(0.7, 1.2, n), cos=np.cos(turn), sin=np.sin(turn))
        for side in range(4):
            tape[:, COLUMN[f"tilt_{side}"]] = rng.uniform(-0.09, 0.09, n)
        put(wave=rng.uniform(0, 0.012, n), wave_at=rng.uniform(0, 2 * np.pi, n))
        opacity = style.opacity * rng.uniform(0.96, 1.0, n)
        put(opacity=opacity, rim=opacity * rng.uniform(0.78, 0.97, n))
        bright = rng.uniform(0.96, 1.03, n)
        for name, level in zip(("blue", "green", "red"), style.tape_white, strict=True):
            put(**{name: level / 232.0 * bright})
        put(grain=rng.uniform(0.01, 0.03))
        put(crease=np.where(rng.random(n) < 0.35, rng.uniform(0.1, 0.45, n), 0), crease_at=rng.normal(0, 0.4 * half, n))
        put(crease_cos=np.cos(crease), crease_sin=np.sin(crease))
        put(
            lift=np.where(rng.random(n) < 0.12, rng.uniform(0.3, 0.9, n), 0),
            lift_cos=np.cos(lift),
            lift_sin=np.sin(lift),
        )
        disc = np.minimum(style.disc_cm, 0.55 * half) * rng.uniform(0.94, 1.06, n)
        put(disc=disc, disc_p=rng.normal(0, 0.05, n), disc_q=rng.normal(0, 0.05, n))
        cover = style.disc_dark * rng.uniform(0.88, 1.0, n)
        put(disc_cover=cover, disc_soft=0.02 + 0.1 * (1 - style.disc_dark))
        for name, level in zip(("disc_blue", "disc_green", "disc_red"), style.disc_colour, strict=True):
            put(**{name: level / 236.0 * rng.uniform(0.85, 1.15, n)})
        put(dome=rng.uniform(0.25, 0.6) * rng.uniform(0.8, 1.2, n), shine=0.5 * style.shine)
        leave = self._wiring.leave
        for i, normal in enumerate(places.normals):
            left, up = tangents(normal)
            u, v = float(leave[i] @ left), float(leave[i] @ up)
            p, q = u * tape[i, COLUMN["cos"]] + v * tape[i, COLUMN["sin"]], 0.0
            q = v * tape[i, COLUMN["cos"]] - u * tape[i, COLUMN["sin"]]
            length = max(float(np.hypot(p, q)), 1e-6)
            tape[i, COLUMN["lead_cos"]], tape[i, COLUMN["lead_sin"]] = p / length, q / length
        put(lead=(0.15 + 0.35 * (1 - style.opacity) * 10) * rng.uniform(0.4, 1.0, n) * 0.5)
        return frozen(tape)

    def _cut_straps(self, surface: SkinSurface, rng: np.random.Generator) -> tuple[tuple[Indices, Floats], Floats]:
        """Strips of the same tape that hold bundles to the skin, in some sessions: patches and rows."""
        wanted = rng.random() < _STRAPS
        held = self._wiring.straps[(rng.random(len(self._wiring.straps)) < 0.7) & wanted]
        place = surface.nearest(held[:, 0], held[:, 0] * [1, 0.2, 1])
        rows = (
            np.repeat(self._tapes[:1], len(held), axis=0)
            if len(self._tapes)
            else np.zeros((0, len(COLUMN)), np.float32)
        )
        long, wide = rng.uniform(0.6, 1.0, len(held)), rng.uniform(0.3, 0.5, len(held))
        for row, normal, across, a, b in zip(rows, place.normals, held[:, 1], long, wide, strict=True):
            left, up = tangents(normal)
            u, v = float(across @ left), float(across @ up)
            length = max(float(np.hypot(u, v)), 1e-6)
            changes = {
                "half_p": a,
                "half_q": b,
                "cos": u / length,
                "sin": v / length,
                "disc": 0,
                "lift": 0,
                "round": 0.05,
            }
            changes |= {"crease": 0.45, "crease_at": rng.normal(0, 0.1), "crease_cos": 1, "crease_sin": 0}
            for name, value in changes.items():
                row[COLUMN[name]] = value
        self._strap_bent = np.zeros((len(held), 6, 3), np.float32)
        return surface.patches(place), frozen(rows)

    def _colour_wires(self, pairs: Indices, rng: np.random.Generator) -> Floats:
        style, n = self.style, len(pairs)
        wires = np.zeros((n, wire_kernels.CABLE_COLUMNS), np.float32)
        colours = np.array(style.cable_colours, np.float32)[rng.integers(len(style.cable_colours), size=n)]
        if rng.random() < 0.5:  # the two leads of a pair look alike
            colours = colours[pairs]
        wires[:, wire_kernels.RADIUS] = 0.5 * style.cable_cm * _THINNER * rng.uniform(0.92, 1.08, n)
        wires[:, 1:4] = colours * rng.uniform(0.85, 1.1, (n, 1)) / 236.0
        wires[:, wire_kernels.SHINY] = style.shine
        wires[:, wire_kernels.STREAK] = 0.6 * style.braid
        return frozen(wires)


def warm_up(model: FaceModel) -> None:
    """Compile (or load) the kernels, the band's too: call it before time matters."""
    electrodes = MeshElectrodes(model, 0, style=ElectrodeStyle())
    raster = Raster(8, 8)
    electrodes.draw(np.zeros((8, 8, 3), np.uint8), model.neutral.copy(), raster)
