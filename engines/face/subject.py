"""The demo's person: the average of ninety faces, moved by warping, on a webcam's noisy picture.

Everything is precomputed once from two pictures and two landmark shapes (bundles/average-face).  Per frame: the wanted
movements' displacement fields are added up over the face's box, the lids are drawn down, one pass samples the neutral
and the smiling picture and fades between them, one affine warp moves the head, one pass adds the noise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import numpy.typing as npt
from scipy.interpolate import LinearNDInterpolator

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError

HEIGHT, WIDTH = 480, 640
BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "average-face"

# ARKit's names, as MediaPipe gives them; left and right are the person's own (left is the picture's right side)
EXPRESSIONS = (
    "mouthSmileLeft", "mouthSmileRight", "mouthPucker", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "browDownLeft", "browDownRight", "eyeBlinkLeft", "eyeBlinkRight",
)  # fmt: skip

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]  # (box height, box width, 2): where to look, relative to the pixel, as (x, y) px
Words = npt.NDArray[np.uint64]

# MediaPipe's contours from the temple to the nose
_LIDS = {
    "Right": ([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133]),
    "Left": ([263, 466, 388, 387, 386, 385, 384, 398, 362], [263, 249, 390, 373, 374, 380, 381, 382, 362]),
}
_BROWS = {"Right": [70, 63, 105, 66, 107], "Left": [300, 293, 334, 296, 336]}
_LIPS = [61, 291, 0, 17]  # corners, middle of the upper and of the lower lip
_SMILE_REACH = 1.35  # a full smile goes this much further than the mean of the photos
_MARGIN_PX = 24  # over which movements fade to nothing around the face
_BROW_HALF_PX = 8.0  # half the brow's thickness, which moves as one
_NOISE_MIDDLE = 10  # the table holds noise + 10, so that it stays in uint8
_NOISE_SPARE = 32  # px by which the table is larger than the frame: every frame cuts out another part
_LASHES_PX = 3.0  # the lid's edge that moves without being stretched


class Subject:
    """A moving picture of a face whose expression is set from outside.  Not for use from two threads at once."""

    def __init__(self, bundle_dir: Path = BUNDLE, seed: int = 0) -> None:
        """Load the pictures and precompute the movements (about 0.2 s).

        bundle_dir: made by calibration/average_face.py.  seed: of the noise.
        Raises BundleError when the bundle is damaged or is another system's.
        """
        arrays = read_bundle(bundle_dir, system="average_face").arrays
        try:
            neutral, smiling = (_decode(arrays[f"{name}_jpeg"], bundle_dir) for name in ("neutral", "smiling"))
            rest_px, smile_px = (arrays[f"{name}_shape_px"].astype(np.float64) for name in ("neutral", "smiling"))
        except KeyError as error:
            raise BundleError(f"{bundle_dir} lacks the array {error}: make it again") from error
        low = np.maximum(np.floor(np.minimum(rest_px.min(0), smile_px.min(0))) - _MARGIN_PX, 0).astype(int)
        high = np.ceil(np.maximum(rest_px.max(0), smile_px.max(0))).astype(int) + _MARGIN_PX
        self._box = (slice(low[1], min(high[1], HEIGHT - 1)), slice(low[0], min(high[0], WIDTH - 1)))
        self._neutral, self._smiling = _pack(neutral), _pack(smiling)
        self._left = _left_share(self._box, smile_px[1, 0])
        self._rest_px, self._smile_px = rest_px, smile_px
        self._base, self._moves = _movements(self._box, rest_px, smile_px)
        self._lids = {side: _lid_lines(smile_px, *_LIDS[side]) for side in _LIDS}
        self._field = np.empty_like(self._base)
        self._still = neutral
        self._noise = _sensor_noise(seed)
        self._noise_middle = np.full((HEIGHT, WIDTH, 3), _NOISE_MIDDLE, dtype=np.uint8)

    def render(self, expression: Mapping[str, float], t_s: float, out: Picture) -> Picture:
        """Draw one frame.

        expression: name from EXPRESSIONS -> 0..1; names left out are 0.  t_s: seconds, sets the head's slow sway and
        the noise: the same expression and time give the same picture.  out: (480, 640, 3) uint8 BGR, C-contiguous,
        filled in place and returned; unmirrored, so the person's left is on the right.
        Raises BadInput when a name is unknown, a value lies outside 0..1 or out does not fit.
        """
        if out.shape != (HEIGHT, WIDTH, 3) or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise BadInput(f"out must be contiguous uint8 ({HEIGHT}, {WIDTH}, 3), found {out.dtype} {out.shape}")
        for name, amount in expression.items():
            if name not in EXPRESSIONS or not 0 <= amount <= 1:
                raise BadInput(f"{name}={amount} cannot be drawn: use 0..1 for {', '.join(EXPRESSIONS)}")
        np.copyto(self._field, self._base)
        for name, (rows, columns, field) in self._moves.items():
            amount = expression.get(name, 0.0)
            if amount > 0:
                _add_scaled(self._field[rows, columns], field, np.float32(amount))
        y, x = self._box[0].start, self._box[1].start
        for side, lids in self._lids.items():
            closure = expression.get(f"eyeBlink{side}", 0.0)
            if closure > 0:
                _draw_lid(self._field, lids, closure, y, x)
        smile = [np.float32(expression.get(f"mouthSmile{side}", 0.0)) for side in ("Left", "Right")]
        _sample(self._neutral, self._smiling, self._field, self._left, *smile, y, x, self._still)
        cv2.warpAffine(self._still, _sway(t_s), (WIDTH, HEIGHT), dst=out, borderMode=cv2.BORDER_REPLICATE)
        shift = int(t_s * 1000) * 2654435761  # any odd multiplier spreads neighbouring frames over the table
        row, column = (shift >> 8) % _NOISE_SPARE, (shift >> 16) % _NOISE_SPARE
        cv2.add(out, self._noise[row : row + HEIGHT, column : column + WIDTH], dst=out)
        return np.asarray(cv2.subtract(out, self._noise_middle, dst=out))

    def landmarks_px(self, expression: Mapping[str, float], t_s: float) -> npt.NDArray[np.float32]:
        """Where the 478 landmarks of `render`'s picture are: the truth of smile and head movement.

        The shape's 468 and five for each iris in the middle of its eye. Lids, brows and pucker are
        left out: they move no point that aligns a face. (478, 2) float32, (x, y) in px.
        """
        shares = (expression.get(f"mouthSmile{side}", 0.0) for side in ("Left", "Right"))
        left = (self._rest_px[:, 0] >= self._rest_px[1, 0])[:, None]
        amount = _SMILE_REACH * np.where(left, *shares)
        moved = self._rest_px + amount * (self._smile_px - self._rest_px)
        irises = [np.tile(moved[_LIDS[side][0]].mean(0), (5, 1)) for side in ("Right", "Left")]  # 468.. and 473..
        sway = _sway(t_s)
        return np.asarray(np.vstack([moved, *irises]) @ sway[:, :2].T + sway[:, 2], dtype=np.float32)


def _decode(jpeg: npt.NDArray[Any], bundle_dir: Path) -> Picture:
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    if picture is None or picture.shape != (HEIGHT, WIDTH, 3):
        raise BundleError(f"{bundle_dir} holds no {WIDTH} x {HEIGHT} picture: make it again")
    return np.asarray(picture, dtype=np.uint8)


def _pack(picture: Picture) -> Words:
    """Blue, green and red in 16-bit lanes of one word per pixel, so that one product weighs all three."""
    wide = picture.astype(np.uint64)
    return np.asarray(wide[:, :, 0] | wide[:, :, 1] << np.uint64(16) | wide[:, :, 2] << np.uint64(32))


def _pixels(box: tuple[slice, slice]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    y, x = np.mgrid[box]
    return x.astype(np.float64), y.astype(np.float64)


def _left_share(box: tuple[slice, slice], middle_px: float) -> npt.NDArray[np.float32]:
    """(box width,): how far each column belongs to the person's left, 0..1, soft over the lips' middle."""
    x = np.arange(box[1].start, box[1].stop)
    return (1 / (1 + np.exp(-(x - middle_px) / 6.0))).astype(np.float32)


def _movements(
    box: tuple[slice, slice], rest_px: npt.NDArray[np.float64], smile_px: npt.NDArray[np.float64]
) -> tuple[Field, dict[str, tuple[slice, slice, Field]]]:
    """Build the field that shows the neutral shape, and for each movement what a full one adds to it.

    The pictures lie in the smiling shape, so the neutral face is a displacement and a smile takes it away.
    """
    x, y = _pixels(box)
    fade = _fade(x.shape)
    to_picture = LinearNDInterpolator(_with_frame(rest_px), _with_frame(smile_px))(x, y) - np.stack([x, y], -1)
    base = to_picture * fade[:, :, None]
    left = _left_share(box, smile_px[1, 0])[None, :, None]
    fields = {
        "mouthSmileLeft": -_SMILE_REACH * base * left,
        "mouthSmileRight": -_SMILE_REACH * base * (1 - left),
        "mouthPucker": _pucker(x, y, smile_px) * fade[:, :, None],
    }
    fields |= _brows(x, y, smile_px)
    return base.astype(np.float32), {name: _trimmed(field) for name, field in fields.items()}


def _with_frame(shape_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corners = [(x, y) for x in (0, WIDTH / 2, WIDTH - 1) for y in (0, HEIGHT - 1)]
    return np.vstack([shape_px, corners])


def _fade(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """1 inside, falling to 0 at the box's border."""
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) / _MARGIN_PX for n in shape)
    edge = np.clip(np.minimum(rows[:, None], columns[None, :]), 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge))


def _brows(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], smile_px: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64]]:
    """Fields of the three brow movements; inner and both outer ones together lift the whole brow evenly."""
    both = smile_px[_BROWS["Right"] + _BROWS["Left"][::-1]]
    middle, span = both[:, 0].mean(), np.ptp(both[:, 0]) / 2
    brow_y = np.interp(x, both[:, 0], both[:, 1])
    away = np.abs(x - middle) / span  # 0 between the brows, 1 at their outer ends
    inner = np.exp(-((away / 0.55) ** 4))
    outer = (1 - inner) * np.exp(-((away / 1.15) ** 6))
    up, down = _lift(y, brow_y, 0.135 * span), _lift(y, brow_y, -0.07 * span)
    fields = {"browInnerUp": inner[:, :, None] * up}
    for side, own in (("Right", x < middle), ("Left", x >= middle)):
        fields[f"browOuterUp{side}"] = (outer * own)[:, :, None] * up
        fields[f"browDown{side}"] = ((inner + outer) / (1 + np.exp(np.where(own, -1, 1) * away * 20)))[
            :, :, None
        ] * down
    return fields


def _lift(y: npt.NDArray[np.float64], brow_y: npt.NDArray[np.float64], up: float) -> npt.NDArray[np.float64]:
    """Move the brow's line up by `up` px, unstretched; it dies out over the forehead and, quicker, towards the eye."""
    above = y - (brow_y - up)  # where the brow goes to
    fall = np.clip((np.abs(above) - _BROW_HALF_PX) / np.where(above > 0, 21.0, 55.0), 0, 1)
    weight = 1 - fall * fall * (3 - 2 * fall)
    return np.stack([np.zeros_like(y), up * weight], axis=-1)


def _pucker(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], smile_px: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Draw the lips' corners together and make the lips fuller."""
    right, left, upper, lower = smile_px[_LIPS]
    centre, half = (right + left) / 2, (left[0] - right[0]) / 2
    dx, dy = (x - centre[0]) / half, (y - (upper[1] + lower[1]) / 2) / half
    weight = np.exp(-((dx / 1.3) ** 4) - (dy / 0.9) ** 2)
    return np.stack([0.55 * half * dx * weight, -0.28 * half * dy * weight], axis=-1)


def _trimmed(field: npt.NDArray[np.float64]) -> tuple[slice, slice, Field]:
    """Keep only the rows and columns where the field moves anything by 1/50 px."""
    moved = np.abs(field).max(2) > 0.02
    rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return *box, np.ascontiguousarray(field[box], dtype=np.float32)


def _lid_lines(smile_px: npt.NDArray[np.float64], upper: list[int], lower: list[int]) -> npt.NDArray[np.float32]:
    """(3, width): first column and, per column from there, the y of the upper and lower lid, px.

    Row 0 repeats the first column, so that one array holds it all.
    """
    top, bottom = (smile_px[line][np.argsort(smile_px[line][:, 0])] for line in (upper, lower))
    x = np.arange(int(np.ceil(top[0, 0])), int(top[-1, 0]) + 1)
    lines = [np.interp(x, line[:, 0], line[:, 1]) for line in (top, bottom)]
    return np.stack([np.full(len(x), x[0]), *lines]).astype(np.float32)


def _sensor_noise(seed: int) -> Picture:
    """(height + 32, width + 32, 3): noise of a small sensor around _NOISE_MIDDLE; a little shared by neighbours."""
    rng = np.random.default_rng(seed)
    shape = (HEIGHT + _NOISE_SPARE, WIDTH + _NOISE_SPARE)
    fine = rng.normal(0, 1, (*shape, 1)) + 0.6 * rng.normal(0, 1, (*shape, 3))
    noise = 2.2 * cv2.GaussianBlur(fine, (0, 0), 0.6) + 0.9 * fine
    return np.asarray(np.clip(np.rint(noise + _NOISE_MIDDLE), 0, 255), dtype=np.uint8)


def _sway(t_s: float) -> npt.NDArray[np.float64]:
    """Head movement of somebody sitting still: millimetres and a degree, turned about the neck.  (2, 3)."""
    angle_deg = 0.9 * np.sin(0.53 * t_s) + 0.4 * np.sin(1.31 * t_s + 1)
    zoom = 1.012 + 0.006 * np.sin(0.41 * t_s)
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, 0.95 * HEIGHT), angle_deg, zoom)
    matrix[:, 2] += 2.2 * np.sin(0.37 * t_s), 1.4 * np.sin(0.61 * t_s + 2) + 0.5 * np.sin(1.6 * t_s)
    return np.asarray(matrix, dtype=np.float64)


@numba.njit(cache=True, nogil=True)
def _add_scaled(field: Field, movement: Field, amount: np.float32) -> None:
    for y in range(field.shape[0]):
        for x in range(field.shape[1]):
            field[y, x, 0] += amount * movement[y, x, 0]
            field[y, x, 1] += amount * movement[y, x, 1]


@numba.njit(cache=True, nogil=True)
def _draw_lid(field: Field, lids: npt.NDArray[np.float32], closure: float, box_y: int, box_x: int) -> None:
    """Stretch the lid's skin down over the eye, column by column, and carry the lashes along unstretched."""
    first, columns = int(lids[0, 0]), lids.shape[1]
    for x in range(max(first - 4, box_x), min(first + columns + 4, box_x + field.shape[1])):
        for y in range(field.shape[0]):
            column = int(np.rint(x + field[y, x - box_x, 0])) - first
            if column < 0 or column >= columns:
                continue
            upper, lower = lids[1, column], lids[2, column]
            drop = closure * (lower + 1.5 - upper)
            crease, edge = upper - 1.2 * (lower - upper) - 4, upper + drop
            v = box_y + y + field[y, x - box_x, 1]
            if v <= crease or v >= edge:
                continue
            if v > edge - _LASHES_PX:
                source = v - drop
            else:
                source = crease + (v - crease) * (upper - _LASHES_PX - crease) / (edge - _LASHES_PX - crease)
            field[y, x - box_x, 1] += source - v


@numba.njit(cache=True, nogil=True)
def _between(picture: Words, x: int, y: int, fx: int, fy: int) -> np.uint64:
    """Bilinear in all lanes at once; fx, fy in 0..255, the weights add up to 256."""
    both = fx * fy >> 8
    word = (
        picture[y, x] * np.uint64(256 - fx - fy + both)
        + picture[y, x + 1] * np.uint64(fx - both)
        + picture[y + 1, x] * np.uint64(fy - both)
        + picture[y + 1, x + 1] * np.uint64(both)
    )
    return np.uint64(((word + np.uint64(0x008000800080)) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF))


@numba.njit(cache=True, nogil=True)
def _sample(
    neutral: Words,
    smiling: Words,
    field: Field,
    left: npt.NDArray[np.float32],
    smile_left: np.float32,
    smile_right: np.float32,
    box_y: int,
    box_x: int,
    out: Picture,
) -> None:
    """Fill the face's box of out: look up both pictures where the field points and fade between them."""
    for y in range(field.shape[0]):
        for x in range(field.shape[1]):
            u = min(max(np.float32(box_x + x) + field[y, x, 0], np.float32(0)), np.float32(638.99))
            v = min(max(np.float32(box_y + y) + field[y, x, 1], np.float32(0)), np.float32(478.99))
            column, row = int(u), int(v)
            fx, fy = int((u - column) * 256), int((v - row) * 256)
            share = np.uint64((left[x] * smile_left + (1 - left[x]) * smile_right) * 256)
            word = _between(neutral, column, row, fx, fy)
            if share:
                smile = _between(smiling, column, row, fx, fy)
                word = (word * (np.uint64(256) - share) + smile * share) >> np.uint64(8)
            out[box_y + y, box_x + x, 0] = np.uint8(word)
            out[box_y + y, box_x + x, 1] = np.uint8(word >> np.uint64(16))
            out[box_y + y, box_x + x, 2] = np.uint8(word >> np.uint64(32))
