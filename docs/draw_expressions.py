"""Draw docs/expressions.jpg: the demo's person, who is mixed from sixteen people, with every shipped expression.

python docs/draw_expressions.py
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.crop import crop_from_landmarks, warp
from engines.face.demo_clip import CLEAN, DemoClip
from engines.face.pixel_mesh import MeshPainter, load_pixel_mesh
from engines.shipped import bundle_folder, shipped_bundles
from rt.sources.looped_clip import LoopedClip

SIZE, COLUMNS, STRIP = 192, 5, 24
ONE_SIDED = (("smile-open, 50 %", 0.5, 0.5), ("smile-open, left only", 1.0, 0.0), ("smile-open, right only", 0.0, 1.0))

Picture = npt.NDArray[np.uint8]


def neutral() -> tuple[Picture, npt.NDArray[np.floating]]:
    """The loop's first picture, in which the face is at rest: crop and landmarks in it."""
    demo = DemoClip.load()
    clip = LoopedClip(demo.videos[CLEAN])
    frame = np.empty(clip.shape, np.uint8)
    clip.read(0, frame)
    points = demo.landmarks_px(0)
    matrix = crop_from_landmarks(points, SIZE)
    return warp(frame, matrix, np.empty((SIZE, SIZE, 3), np.uint8)), points @ matrix[:, :2].T + matrix[:, 2]


def tile(picture: Picture, words: str) -> Picture:
    """A picture with its name above it."""
    strip = np.full((STRIP, SIZE, 3), 255, np.uint8)
    cv2.putText(strip, words, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def main() -> None:
    """Draw and write."""
    face, points = neutral()
    shown = [(folder, folder.name.removeprefix("pixel-"), 1.0, 1.0) for folder in shipped_bundles()]
    shown = [one for one in shown if one[0].name.startswith("pixel-") and one[1] != "smile"]  # that one is Pixel-RR
    shown += [(bundle_folder("pixel-smile-open"), *sides) for sides in ONE_SIDED]
    tiles = [tile(face, "neutral")]
    for folder, words, left, right in shown:
        painter = MeshPainter(load_pixel_mesh(folder), SIZE)
        tiles.append(tile(painter.paint(face, points, left, right, np.empty_like(face)), words))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    sheet = np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])
    place = Path(__file__).with_name("expressions.jpg")
    cv2.imwrite(str(place), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
    sys.stdout.write(f"{place}\n")


if __name__ == "__main__":
    main()
