"""How fast the face kernels are, each against its peers in the same run.

    python -m benchmarks.map_speed

"the same bytes" of the Pixel-RR map: per value it reads 1 byte of face and two 16-bit coefficients and writes 1 byte,
6 bytes in all.  np.copyto of 3 bytes per value reads 3 and writes 3: the same traffic.  The copy of the pictures alone
(1 byte read, 1 written) is reported too; no map whose coefficients differ per pixel can come near that one.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.crop import crop_from_pose
from engines.face.demo_clip import ELECTRODES, DemoClip
from engines.face.paste import Paste, edge_mask
from engines.face.pixel_curves import PixelCurves, apply_pixel_curves
from engines.face.pixel_map import PixelMap, apply_pixel_map
from engines.face.pixel_mesh import MeshPainter, load_pixel_mesh
from engines.face.sensor_noise import SensorNoise
from engines.shipped import bundle_folder
from rt.sources.looped_clip import LoopedClip

SIZE = 128
Row = dict[str, Any]
Picture = npt.NDArray[np.uint8]


def median_us(work: Callable[[], object], repeats: int) -> float:
    """Median time of one call after a warm-up, microseconds."""
    for _ in range(max(3, repeats // 20)):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e3


def row(what: str, ours_us: float, peer: str, peer_us: float) -> Row:
    """One line of the table; ratio = peer / ours, above 1 means that ours is faster."""
    return {"what": what, "ours_us": ours_us, "peer": peer, "peer_us": peer_us, "ratio": peer_us / ours_us}


def measure_map(rng: np.random.Generator) -> list[Row]:
    """Pixel-RR over one 128 x 128 x 3 face, through its public door."""
    shape = (SIZE, SIZE, 3)
    face = rng.integers(0, 256, shape).astype(np.uint8)
    gain = rng.normal(0.9, 0.1, shape).astype(np.float32)
    bias = rng.normal(15, 8, shape).astype(np.float32)
    pixel_map, out = PixelMap(gain, bias, "smile", 0.4, "[0,255]"), np.empty_like(face)
    work, small = np.empty(shape, np.float32), np.float32(0.8)
    copies = {n: (np.zeros(n * face.size, np.uint8), np.zeros(n * face.size, np.uint8)) for n in (1, 3)}
    halves = (gain - 1) * small, bias * small

    def plain_numpy() -> Picture:
        x = face.astype(np.float32)
        return np.clip(np.rint(x + small * (gain * x + bias - x)), 0, 255).astype(np.uint8)

    def careful_numpy() -> None:  # no allocation, amount folded into the planes beforehand
        np.multiply(face, halves[0], out=work)
        np.add(work, halves[1], out=work)
        np.add(work, face, out=work)
        np.rint(work, out=work)
        np.clip(work, 0, 255, out=work)
        np.copyto(out, work, casting="unsafe")

    def opencv() -> None:  # the amount folded into the planes beforehand; saturates and rounds itself
        cv2.multiply(face, 1 + halves[0], dst=work, dtype=cv2.CV_32F)
        cv2.add(work, halves[1], dst=out, dtype=cv2.CV_8U)

    ours = median_us(lambda: apply_pixel_map(face, pixel_map, 0.8, out), 3000)
    what = f"Pixel-RR map {SIZE}x{SIZE}x3"
    peers = {
        "NumPy, as the formula reads": median_us(plain_numpy, 300),
        "NumPy, in place, amount folded in": median_us(careful_numpy, 300),
        "OpenCV multiply + add, amount folded in": median_us(opencv, 300),
        "memory copy of the same bytes (147 456 read, 147 456 written)": median_us(lambda: np.copyto(*copies[3]), 3000),
        "memory copy of the pictures alone (49 152 read, 49 152 written)": median_us(
            lambda: np.copyto(*copies[1]), 3000
        ),
    }
    return [row(what, ours, peer, peer_us) for peer, peer_us in peers.items()]


def measure_curves(rng: np.random.Generator) -> list[Row]:
    """Pixel-KR as cubics: 1 byte of face and four 16-bit coefficients read, 1 byte written, 10 bytes in all."""
    shape = (SIZE, SIZE, 3)
    face = rng.integers(0, 256, shape).astype(np.uint8)
    cubic = rng.normal(0, 10, (4, *shape)).astype(np.float32)
    cubic[:2] += 128
    table = rng.integers(0, 256, (*shape, 256)).astype(np.uint8)
    curves, tabled = PixelCurves(cubic, "smile"), PixelCurves(cubic, "smile", table)
    out, rows, columns = np.empty_like(face), np.arange(face.size), face.ravel()
    copies = np.zeros(5 * face.size, np.uint8), np.zeros(5 * face.size, np.uint8)
    pixel_map = PixelMap(1 + cubic[3] / 100, cubic[2], "smile", 0.4, "[0,255]")

    def numpy_table() -> Picture:
        return table.reshape(-1, 256)[rows, columns]

    what = f"Pixel-KR curves {SIZE}x{SIZE}x3"
    ours = median_us(lambda: apply_pixel_curves(face, curves, 0.8, out), 3000)
    peers = {
        "Pixel-RR map": median_us(lambda: apply_pixel_map(face, pixel_map, 0.8, out), 3000),
        "our table of 256 per pixel and channel": median_us(lambda: apply_pixel_curves(face, tabled, 0.8, out), 300),
        "NumPy, the table": median_us(numpy_table, 300),
        "memory copy of the same bytes (245 760 read, 245 760 written)": median_us(lambda: np.copyto(*copies), 3000),
    }
    return [row(what, ours, peer, peer_us) for peer, peer_us in peers.items()]


def measure_mesh(rng: np.random.Generator) -> list[Row]:
    """Dense alignment on one face, through its public door: landmarks to picture."""
    pixel_mesh = load_pixel_mesh(bundle_folder("pixel-happy"))
    face, out = rng.integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
    landmarks_px = pixel_mesh.rest.reshape(-1, 2) * SIZE - 0.5
    painter = MeshPainter(pixel_mesh, SIZE)
    ours = median_us(lambda: painter.paint(face, landmarks_px, 0.8, 0.8, out), 300)
    one_side = median_us(lambda: painter.paint(face, landmarks_px, 0.8, 0.0, out), 300)
    budget = "2 ms of one core", 2000.0
    what = f"dense alignment {SIZE}x{SIZE}x3"
    return [row(what, ours, *budget), row(f"{what}, one side", one_side, *budget)]


def measure_paste(rng: np.random.Generator) -> list[Row]:
    """Paste a 128 px crop back over a 300 x 300 px face in a 640 x 480 frame."""
    frame = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)
    face = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    after = 255 - face
    matrix = crop_from_pose(np.array([320.0, 240.0, np.log(300.0), 0.1]), SIZE)
    paste, mask = Paste(SIZE), edge_mask(SIZE).astype(np.float32)[:, :, None] / 255

    def whole_frame() -> None:
        to_frame = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        big = cv2.warpAffine(face, matrix, (640, 480), flags=to_frame).astype(np.float32)
        weight = cv2.warpAffine(mask, matrix, (640, 480), flags=to_frame)[:, :, None]
        frame[:] = (big * weight + frame * (1 - weight)).astype(np.uint8)

    naive = median_us(whole_frame, 20)
    peer = "NumPy + OpenCV, whole frame in floats"
    replace = median_us(lambda: paste.replace(frame, face, matrix), 200)
    change = median_us(lambda: paste.add_change(frame, face, after, matrix), 200)
    return [row("paste back, replace", replace, peer, naive), row("paste back, add change", change, peer, naive)]


def measure_person() -> list[Row]:
    """One picture of the demo's person, decoded and made noisy, against one core's budget at 30 fps."""
    clip = LoopedClip(DemoClip.load().videos[ELECTRODES])
    noise, out = SensorNoise(*clip.shape[:2]), np.empty(clip.shape, np.uint8)
    numbers = itertools.count()

    def picture() -> None:
        number = next(numbers)
        clip.read(number, out)
        noise.add(out, number)

    return [row("demo's person, one frame", median_us(picture, clip.frames), "a frame's time at 30 fps", 1e6 / 30)]


def measure() -> list[Row]:
    """Measure everything: rows of what, ours_us, peer, peer_us, ratio (peer / ours); OpenCV on one thread, as ours."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        rng = np.random.default_rng(0)
        return measure_map(rng) + measure_curves(rng) + measure_mesh(rng) + measure_paste(rng) + measure_person()
    finally:
        cv2.setNumThreads(threads)


def main() -> None:
    """Print the table."""
    for line in measure():
        times = f"{line['ours_us']:9.1f} us   {line['peer_us']:9.1f} us {line['ratio']:7.2f} x"
        print(f"{line['what']:26} {times}   {line['peer']}")


if __name__ == "__main__":
    main()
