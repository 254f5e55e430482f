"""Surface electrodes on a face: the Fridlund and the Kuramoto scheme, taped on, with cables, shadows and a cap's edge.

Everything hangs on MediaPipe's landmarks: each place is a fixed mixture of them, so electrodes follow the moving skin
of a synthetic person and of any picture (sites: FACTS 1.1, Fridlund and Cacioppo 1986; Kuramoto et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import cv2
import numpy as np
import numpy.typing as npt

from engines.emg.montage import FRIDLUND, KURAMOTO, Channel
from engines.errors import BadInput
from engines.face import cables, strokes
from engines.face.arrays import Floats, Picture, check_array, check_out
from engines.face.canonical import COUNT, CanonicalFace
from engines.face.electrode_style import ElectrodeStyle
from engines.face.light import STUDIO_LIGHT, Light

Doubles = npt.NDArray[np.float64]

SCHEMES = ("fridlund", "kuramoto")
# How a muscle runs under its site, degrees from the person's left towards up, for the left side: a bipolar channel's
# two electrodes lie along it (Fridlund and Cacioppo 1986, as drawn there; read off by eye).
_ALONG_DEG = {
    "medial_frontalis": 90, "lateral_frontalis": 90, "corrugator_supercilii": 20, "depressor_supercilii": 75,
    "levator_labii_superioris": 75, "orbicularis_oris": -25, "depressor_anguli_oris": 80, "mentalis": 60,
    "orbicularis_oculi": 0, "zygomaticus": 50, "masseter": 75,
}  # fmt: skip
_FACES_FROM, _FACES_TO = 0.06, 0.2  # of the skin's area as seen from the front, over which an electrode comes into view
_CAP_POINTS = 21
_SWAY_CM = 0.12


class Electrodes:
    """One session's electrodes. The same seed gives the same bytes. Not for use from two threads at once.

    `labels` names every electrode that is on: "F20a", "F20b" (the two of a bipolar channel), "K19".
    """

    def __init__(
        self,
        face: CanonicalFace,
        seed: int,
        schemes: Sequence[str] = SCHEMES,
        style: ElectrodeStyle | None = None,
    ) -> None:
        """face: the canonical face (`CanonicalFace.load`).  schemes: one or both of SCHEMES.  style: drawn from the
        seed when absent.  Raises BadInput when a scheme is unknown.
        """
        rng = np.random.default_rng([seed, 62])
        self.style = style or ElectrodeStyle.random(rng)
        sites = [site for scheme in _checked(schemes) for site in _sites(scheme, self.style.apart_cm)]
        on = rng.random(len(sites)) >= self.style.missing
        sites = [sites[i] for i in np.flatnonzero(on)]
        rng.shuffle(sites)  # in the order in which they were put on: later cables lie over earlier tapes
        self.labels = tuple(label for label, _, _ in sites)
        self._place(face, sites, rng)
        self._lead_cables(face, rng)
        self._dress(len(sites), rng)
        self._cap = None if self.style.cap is None else _cap_rows(face, self.style, rng)
        self._head = (face.beside([[50.0, 0.0]]) - face.beside([[-50.0, 0.0]]))[0] / 100  # px per cm, to the left
        self._curve = cables.curve().astype(np.float32)
        self._grain = rng.uniform(-1, 1, (strokes.GRAIN, strokes.GRAIN)).astype(np.float32)
        self._planes = np.zeros((3, 0, 0), np.float32)
        self._box = np.zeros(4, np.int64)

    def draw(
        self,
        picture: Picture,
        landmarks_px: npt.NDArray[np.floating],
        t_s: float = 0.0,
        light: Light = STUDIO_LIGHT,
        mask: Picture | None = None,
    ) -> Picture:
        """Draw over a picture, in place.

        picture: (H, W, 3) uint8 BGR, writable.  landmarks_px: (468 or 478, 2), (x, y) px, MediaPipe's; none may be
        lost.  t_s: seconds, for the slow sway of what hangs free.  light: where shadows fall, and its tint.
        mask: (H, W) uint8, filled and returned (made when absent): 255 x how far a pixel is covered by tape, cable or
        cap. Shadows are not covered skin: they darken the picture by up to 42 % and stay out of the mask.
        Raises BadInput when an array does not fit.
        """
        check_array(picture, "picture", np.uint8, (None, None, 3))
        if not picture.flags.writeable:
            raise BadInput("electrodes are drawn in place: give a writable picture")
        height, width = picture.shape[:2]
        mask = np.zeros((height, width), np.uint8) if mask is None else mask
        check_out(mask, np.uint8, (height, width))
        points = np.asarray(landmarks_px, np.float32)[:COUNT]
        if points.shape != (COUNT, 2) or not np.isfinite(points).all():
            raise BadInput(f"electrodes need {COUNT} or 478 finite landmarks, found {np.shape(landmarks_px)}")
        mask[:] = 0
        if self._planes.shape[1:] != (height, width):
            self._planes = np.zeros((3, height, width), np.float32)
        tapes, ways, scale = self._where(points, t_s)
        shade = _shade(picture, tapes[:, : strokes.LEFT_X])
        tint = np.array(light.tint, np.float32)
        if self._cap is not None:
            self._draw_cap(self._cap @ points, scale, tint, picture, mask)
        towards, half = light.towards, max(0.5 * self.style.cable_cm * scale, 0.45)
        fall = np.array([-towards[0], towards[1]], np.float32) * np.float32(0.16 * scale)
        self._ribbons[:, strokes.HALF_PX] = half
        halves = np.full(cables.SAMPLES, half, np.float32)
        soft = np.float32(0.22 * scale + 1)
        for i, tape in enumerate(tapes):
            if tape[strokes.SEEN] > 0:
                strokes.sweep(ways[i] + fall, halves, soft, self._planes, self._box)
                strokes.cast(np.float32(0.32) * tape[strokes.SEEN], self._planes, self._box, picture)
                strokes.sweep(ways[i], halves, np.float32(1), self._planes, self._box)
                self._ribbons[i, strokes.COVER] = tape[strokes.SEEN]
                strokes.lay_ribbon(self._tinted(i, tint), float(shade[i]), self._planes, self._box, picture, mask)
                tape[strokes.SHADE] = shade[i] * self._bright[i]
                strokes.lay_tape(tape, towards, self._white * tint, self._dark * tint, self._grain, picture, mask)
        return mask

    def positions_px(self, landmarks_px: npt.NDArray[np.floating]) -> Floats:
        """(electrode, 2): where the middle of each is seen, in the order of `labels`."""
        return np.asarray(self._centre @ np.asarray(landmarks_px, np.float32)[:COUNT], np.float32)

    # ------------------------------------------------------------------ once per session

    def _place(self, face: CanonicalFace, sites: list[tuple[str, Channel, float]], rng: np.random.Generator) -> None:
        """Where each lies, as a mixture of landmarks, and how the skin runs there."""
        centre, left, up = [], [], []
        for _, channel, offset_cm in sites:
            place = face.at_uv(*channel.uv)
            directions = face.directions(place)
            mirror = -1.0 if channel.side == "right" else 1.0
            angle = np.deg2rad(_ALONG_DEG.get(channel.muscle, 0))
            along = offset_cm * np.array([mirror * np.cos(angle), np.sin(angle)])
            shift = along + rng.normal(0, self.style.error_cm, 2)
            centre.append(place + shift @ directions)
            turn = rng.uniform(-0.35, 0.35) + rng.choice([0.0, np.pi / 4], p=[0.8, 0.2])
            left.append(np.cos(turn) * directions[0] + np.sin(turn) * directions[1])
            up.append(np.cos(turn) * directions[1] - np.sin(turn) * directions[0])
        self._centre, self._left, self._up = (np.array(rows, np.float32) for rows in (centre, left, up))
        self._sites_cm = self._centre @ face.vertices[:, :2]

    def _lead_cables(self, face: CanonicalFace, rng: np.random.Generator) -> None:
        spines = cables.spines_of(rng)
        rows = []
        for centre, site in zip(self._centre, self._sites_cm, strict=True):
            rows.append(np.vstack([centre, face.beside(cables.way(site, self.style, spines, rng))]))
        self._ways = np.array(rows, np.float32)  # (electrode, POINTS, 468)
        count = len(rows)
        self._sway_phase = rng.uniform(0, 2 * np.pi, (count, cables.POINTS, 2)).astype(np.float32)
        self._sway_rate = rng.uniform(0.5, 1.6, (count, 1, 1)).astype(np.float32)  # rad/s: 4 to 12 s per turn

    def _dress(self, count: int, rng: np.random.Generator) -> None:
        """What stays the same about each tape and each cable."""
        style, n = self.style, strokes
        tapes = np.zeros((count, n.TAPE_NUMBERS), np.float32)
        half = 0.5 * style.tape_cm * rng.uniform(0.9, 1.12, count)
        tapes[:, n.HALF] = half
        tapes[:, n.ROUND] = np.minimum(style.round_cm, 0.9 * half)
        tapes[:, n.SLANT] = rng.uniform(-0.09, 0.09, count)
        tapes[:, n.BEND] = rng.uniform(-0.12, 0.12, count)
        tapes[:, n.DISC] = np.minimum(style.disc_cm, 0.8 * half)
        tapes[:, n.DISC_X], tapes[:, n.DISC_Y] = rng.normal(0, 0.05, (2, count))
        tapes[:, n.DARK] = style.disc_dark
        tapes[:, n.LIFT] = np.where(rng.random(count) < 0.15, rng.uniform(0.4, 1.0, count), 0)
        tapes[:, n.CREASE] = np.where(rng.random(count) < 0.3, rng.uniform(0.05, 0.18, count), 0)
        tapes[:, n.CREASE_ANGLE] = rng.uniform(0, np.pi, count)
        tapes[:, n.OPACITY] = style.opacity
        self._tapes = tapes
        self._bright = rng.uniform(0.95, 1.03, count).astype(np.float32)
        self._white, self._dark = np.array(style.tape_white, np.float32), np.array(style.disc_colour, np.float32)
        colours = np.array(style.cable_colours, np.float32)[rng.integers(len(style.cable_colours), size=count)]
        self._ribbons = np.zeros((count, n.RIBBON_NUMBERS), np.float32)
        self._ribbons[:, n.BLUE : n.RED + 1] = colours * rng.uniform(0.85, 1.1, (count, 1))
        self._ribbons[:, n.BRAID], self._ribbons[:, n.SHINE] = style.braid, style.shine

    # ------------------------------------------------------------------ every frame

    def _where(self, points: Floats, t_s: float) -> tuple[Floats, Floats, float]:
        """Tapes (electrode, TAPE_NUMBERS) and cables (electrode, SAMPLES, 2) in px, and px per cm of the head."""
        n, tapes = strokes, self._tapes
        scale = float(np.hypot(*(self._head @ points)))
        tapes[:, n.CENTRE_X : n.CENTRE_Y + 1] = self._centre @ points
        left, up = self._left @ points, self._up @ points
        tapes[:, n.LEFT_X : n.LEFT_Y + 1], tapes[:, n.UP_X : n.UP_Y + 1] = left, up
        faces = (left[:, 1] * up[:, 0] - left[:, 0] * up[:, 1]) / max(scale * scale, 1e-6)
        tapes[:, n.SEEN] = np.clip((faces - _FACES_FROM) / (_FACES_TO - _FACES_FROM), 0, 1)
        control = np.matmul(self._ways, points)  # (electrode, POINTS, 2)
        sway = np.sin(self._sway_phase + self._sway_rate * np.float32(t_s))
        control[:, cables.FREE] += np.float32(_SWAY_CM * scale) * sway[:, cables.FREE]
        return tapes, np.matmul(self._curve, control), scale

    def _tinted(self, i: int, tint: Floats) -> Floats:
        ribbon: Floats = self._ribbons[i].copy()
        ribbon[strokes.BLUE : strokes.RED + 1] *= tint
        return ribbon

    def _draw_cap(self, way: Floats, scale: float, tint: Floats, picture: Picture, mask: Picture) -> None:
        assert self.style.cap is not None
        narrow = 1 - 0.55 * np.abs(np.linspace(-1, 1, _CAP_POINTS)) ** 3  # it goes round the head
        halves = np.float32(0.5 * self.style.cap_cm * scale * narrow)
        fall = np.array([0, 0.18 * scale], np.float32)
        strokes.sweep(way + fall, halves, np.float32(0.5 * scale + 1), self._planes, self._box)
        strokes.cast(np.float32(0.38), self._planes, self._box, picture)
        strokes.sweep(way, halves, np.float32(1.2), self._planes, self._box)
        colour = np.array(self.style.cap, np.float32) * tint
        ribbon = np.array([1.6, *colour, 0.08, 0.0, 1.0, 0.6], np.float32)
        strokes.lay_ribbon(ribbon, 1.0, self._planes, self._box, picture, mask)


def _checked(schemes: Sequence[str]) -> Sequence[str]:
    for name in [schemes] if isinstance(schemes, str) else schemes:
        if name not in SCHEMES:
            near = get_close_matches(str(name), SCHEMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadInput(f"there is no electrode scheme {name!r}: the schemes are {' and '.join(SCHEMES)}{hint}")
    return [schemes] if isinstance(schemes, str) else schemes


def _sites(scheme: str, apart_cm: float) -> list[tuple[str, Channel, float]]:
    """(label, channel, cm along the muscle) of every electrode of a scheme."""
    if scheme == "fridlund":
        halves = (("a", -apart_cm / 2), ("b", apart_cm / 2))
        return [(f"{c.label}{letter}", c, offset) for c in FRIDLUND.channels for letter, offset in halves]
    assert KURAMOTO.reference is not None
    return [(c.label, c, 0.0) for c in (*KURAMOTO.channels, KURAMOTO.reference)]


def _cap_rows(face: CanonicalFace, style: ElectrodeStyle, rng: np.random.Generator) -> Floats:
    """(_CAP_POINTS, 468): the middle line of the cap's band over the hairline, from temple to temple."""
    x = np.linspace(-7.5, 7.5, _CAP_POINTS)
    low = rng.uniform(8.5, 9.6) + style.cap_cm / 2
    y = low - (rng.uniform(2.6, 3.6) + style.cap_cm / 2) * (np.abs(x) / 7.5) ** 2.4
    return np.asarray(face.beside(np.column_stack([x, y])), np.float32)


def _shade(picture: Picture, places_px: Floats) -> Floats:
    """(electrode,): how much lighter or darker it is around each than elsewhere, seen in the picture itself."""
    height, width = picture.shape[:2]
    coarse = cv2.resize(picture, (max(width // 4, 2), max(height // 4, 2)), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(coarse, (max(width // 24, 2), max(height // 24, 2)), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    x = places_px[:, :1] * np.float32(grey.shape[1] / width) - np.float32(0.5)
    y = places_px[:, 1:] * np.float32(grey.shape[0] / height) - np.float32(0.5)
    found = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    middle = max(float(np.median(found)), 1.0)
    level = np.float32(min(0.35 + 0.65 * float(grey.max()) / 215.0, 1.05))  # in a dark picture white tape is grey, too
    return np.asarray(level * np.clip((found / middle) ** 0.6, 0.62, 1.15), np.float32)
