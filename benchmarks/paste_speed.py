"""How fast removed electrodes are laid into the full picture, against OpenCV and NumPy in the same run, on one core.

    python -m benchmarks.paste_speed

A face of 300 px in a frame of 640 x 480: its crop covers 420 x 420 px of it. What is edited is a quarter of the crop
(62 electrodes under tapes, and cables, cover about that much) or all of it, as by a network without edit mask. The
peers stretch colour and edit mask with cv2.warpAffine; the careful one does so under the crop only, into memory that is
there already, and blends with cv2.blendLinear.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.measure import Row, Spread, alternate
from engines.face.crop import crop_from_pose
from engines.face.edit_paste import EditPaste, blend
from engines.face.edit_view import EditView

SIZE, FACE_PX, SCALE = 128, 300.0, 1.4
SHAPE = (480, 640, 3)
LAY = "electrodes removed, laid into 640 x 480"
LIMIT_US = 3000.0
_FLAGS = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
Picture = npt.NDArray[np.uint8]
Affine = npt.NDArray[np.float64]


def some_edit(share: float) -> Picture:
    """(SIZE, SIZE) uint8: soft-edged spots that cover this share of the crop, 0..1."""
    rng = np.random.default_rng(1)
    hills = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)).astype(np.float32), (0, 0), 3.0)
    above = (hills - np.quantile(hills, 1 - share)) / hills.std()
    return np.clip(255 * 4 * above, 0, 255).astype(np.uint8) if share < 1 else np.full((SIZE, SIZE), 255, np.uint8)


def plain(frame: Picture, colour: Picture, edit: Picture, matrix: Affine) -> Callable[[], object]:
    """As one writes it down: everything stretched to the whole frame, blended in floats."""

    def work() -> None:
        over = cv2.warpAffine(colour, matrix, SHAPE[1::-1], flags=_FLAGS).astype(np.float32)
        weight = cv2.warpAffine(edit, matrix, SHAPE[1::-1], flags=_FLAGS)[:, :, None].astype(np.float32) / 255
        frame[:] = (over * weight + frame * (1 - weight) + 0.5).astype(np.uint8)

    return work


def careful(frame: Picture, colour: Picture, edit: Picture, matrix: Affine) -> Callable[[], object]:
    """Under the crop only, no allocation, cv2.blendLinear."""
    frame_from_crop = cv2.invertAffineTransform(matrix)
    ends = [(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE)]
    corners = np.array([[1.0 * x, 1.0 * y, 1.0] for x, y in ends]) @ frame_from_crop.T
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)), SHAPE[1::-1]).astype(int)
    roi, moved = frame[top:bottom, left:right], matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    size = right - left, bottom - top
    over, under = np.empty_like(roi), np.empty_like(roi)
    weight, rest = np.empty(size[::-1], np.float32), np.empty(size[::-1], np.float32)
    share = edit.astype(np.float32) / 255

    def work() -> None:
        cv2.warpAffine(colour, moved, size, dst=over, flags=_FLAGS)
        cv2.warpAffine(share, moved, size, dst=weight, flags=_FLAGS)
        np.subtract(1, weight, out=rest)
        cv2.blendLinear(over, roi, weight, rest, under)
        np.copyto(roi, under)

    return work


def measure(repeats: int = 100) -> list[Row]:
    """Rows of what, ours_us, peer, peer_us, ratio (peer / ours); OpenCV on one thread, as ours."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        rng = np.random.default_rng(0)
        matrix = crop_from_pose(np.array([320.0, 240.0, np.log(FACE_PX * SCALE), 0.1]), SIZE)
        colour = cv2.resize(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8), (SIZE, SIZE))
        rows = [row for share in (0.25, 1.0) for row in _lay(share, colour, matrix, rng, repeats)]
        return [*rows, *_small(colour, matrix, rng, repeats)]
    finally:
        cv2.setNumThreads(threads)


def _lay(share: float, colour: Picture, matrix: Affine, rng: np.random.Generator, repeats: int) -> list[Row]:
    frames = [rng.integers(0, 256, SHAPE).astype(np.uint8) for _ in range(3)]
    edit, paste = some_edit(share), EditPaste(SIZE)
    taken = alternate(
        {
            "ours": lambda: paste.lay(frames[0], colour, edit, matrix),
            "plain": plain(frames[1], colour, edit, matrix),
            "careful": careful(frames[2], colour, edit, matrix),
        },
        repeats,
        10,
    )
    what = f"{LAY}, {share:.0%} of the crop"
    return [
        _row(what, taken["ours"], "cv2.warpAffine, NumPy floats on the whole frame", taken["plain"]),
        _row(what, taken["ours"], "cv2.warpAffine + cv2.blendLinear under the crop", taken["careful"]),
    ]


def _small(colour: Picture, matrix: Affine, rng: np.random.Generator, repeats: int) -> list[Row]:
    """The two works beside it: the crop for later stages, and the picture of the edit mask."""
    frame, face = rng.integers(0, 256, SHAPE).astype(np.uint8), rng.integers(0, 256, colour.shape).astype(np.uint8)
    edit, out, view = some_edit(0.25), np.empty_like(colour), EditView()

    def blended() -> Picture:
        weight = edit[:, :, None].astype(np.float32) / 255
        return np.asarray(colour * weight + face * (1 - weight) + 0.5).astype(np.uint8)

    def tinted() -> None:
        weight = cv2.warpAffine(edit, matrix, SHAPE[1::-1], flags=_FLAGS)[:, :, None] * np.float32(0.55 / 255)
        frame[:] = (frame + weight * (np.array((205, 170, 0), np.float32) - frame)).astype(np.uint8)

    crops = alternate({"ours": lambda: blend(face, colour, edit, out), "peer": blended}, repeats, 10)
    views = alternate({"ours": lambda: view.draw(frame, edit, matrix), "peer": tinted}, repeats, 10)
    return [
        _row(f"electrodes removed from the crop, {SIZE} px", crops["ours"], "NumPy floats", crops["peer"]),
        _row("edit mask over 640 x 480, with outline", views["ours"], "NumPy floats, without outline", views["peer"]),
    ]


def _row(what: str, ours: Spread, peer: str, theirs: Spread) -> Row:
    ratio = theirs.median / ours.median
    return {"what": what, "ours_us": ours.median, "peer": peer, "peer_us": theirs.median, "ratio": ratio}


def main() -> None:
    """Print the table."""
    for line in measure():
        times = f"{line['ours_us']:9.1f} us   {line['peer_us']:9.1f} us {line['ratio']:7.2f} x"
        print(f"{line['what']:62} {times}   {line['peer']}")


if __name__ == "__main__":
    main()
