"""Make the demo's person: the average of the London faces, neutral and smiling, in which nobody is recognisable.

Every photo is moved by a similarity to the same place and then bent, triangle by triangle, to the mean smiling
landmarks (both expressions, so that one texture can fade into the other).  Inside the face the pixels are averaged;
outside, where hair and clothes do not line up, the middle fifth of the sorted values is averaged, which leaves one
clean outline instead of ninety faint ones.

    python -m calibration.average_face --data LONDON_FACES --model face_landmarker.task --out BUNDLE
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay

from calibration.data.london_faces import ATTRIBUTION, EXPRESSIONS, LICENCE, Person, read_london_faces
from engines.bundle import Manifest, Training, write_bundle
from engines.errors import EngineError
from engines.face.crop import crop_from_pose, pose_from_landmarks
from engines.spec import ArraySpec

HEIGHT, WIDTH = 480, 640
MESH = 468  # MediaPipe's landmarks without the irises
CROP_SIDE_PX, CENTRE_PX = 364.0, (319.5, 262.0)  # head and collar fit the frame
JPEG_QUALITY = 90

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]  # (point, 2) as (x, y) in frame pixels


@dataclass(frozen=True)
class Bend:
    """The piecewise-affine map of one target shape: for every frame pixel, its triangle and the weights in it."""

    corners: npt.NDArray[np.intp]  # (pixel, 3)
    weights: npt.NDArray[np.float64]  # (pixel, 3)

    @classmethod
    def to_shape(cls, shape_px: Points) -> "Bend":
        """Triangulate the shape with the frame's border: (468, 2) frame pixels."""
        triangles = Delaunay(np.vstack([shape_px, _border()]))
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        which = np.maximum(triangles.find_simplex(pixels), 0)
        affine = triangles.transform[which]  # (pixel, 3, 2): two barycentric rows and the origin
        two = np.einsum("pij,pj->pi", affine[:, :2], pixels - affine[:, 2])
        return cls(triangles.simplices[which], np.column_stack([two, 1 - two.sum(1)]))

    def apply(self, photo: Picture, shape_px: Points, frame_from_photo: npt.NDArray[np.float64]) -> Picture:
        """Bend a photo whose face has shape_px (frame pixels) to the target: (480, 640, 3) uint8 BGR."""
        points = np.vstack([shape_px, _border()])
        source = (points[self.corners] * self.weights[:, :, None]).sum(1)
        back = cv2.invertAffineTransform(frame_from_photo)
        places = (source @ back[:, :2].T + back[:, 2]).reshape(HEIGHT, WIDTH, 2).astype(np.float32)
        bent = cv2.remap(photo, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(bent, dtype=np.uint8)


def _border() -> Points:
    x, y = np.linspace(0, WIDTH - 1, 9), np.linspace(0, HEIGHT - 1, 7)[1:-1]
    rows = [(a, b) for a in x for b in (0, HEIGHT - 1)]
    return np.array(rows + [(a, b) for b in y for a in (0, WIDTH - 1)], dtype=np.float64)


def frame_from_photo_of(landmarks_px: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Similarity (2, 3) that brings a face upright to the frame's middle.  landmarks_px: (478, 2) photo pixels."""
    matrix = crop_from_pose(pose_from_landmarks(landmarks_px, 1.4), 2)
    matrix[:, 2] -= 0.5  # the crop's centre is now the origin, its side 2
    matrix *= CROP_SIDE_PX / 2
    matrix[:, 2] += CENTRE_PX
    return matrix


def average(people: Sequence[Person]) -> dict[str, npt.NDArray[np.generic]]:
    """Average everybody.

    Returns the bundle's arrays: per expression "NAME_jpeg" (byte,) uint8, a 640 x 480 BGR picture in the shape of the
    mean smile, and "NAME_shape_px" (468, 2) float32, the mean landmarks as (x, y) in frame pixels.
    """
    moves = {e: [frame_from_photo_of(p.landmarks_px[e]) for p in people] for e in EXPRESSIONS}
    shapes = {
        e: [p.landmarks_px[e][:MESH] @ m[:, :2].T + m[:, 2] for p, m in zip(people, moves[e], strict=True)]
        for e in EXPRESSIONS
    }
    mean = {e: np.mean(shapes[e], axis=0) for e in EXPRESSIONS}
    bend = Bend.to_shape(mean["smiling"])
    inside = _soft_hull(mean["smiling"])
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for e in EXPRESSIONS:
        bent = [bend.apply(p.photos[e], s, m) for p, s, m in zip(people, shapes[e], moves[e], strict=True)]
        picture = _grade(_combine(np.stack(bent), inside))
        arrays[f"{e}_jpeg"] = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()
        arrays[f"{e}_shape_px"] = mean[e].astype(np.float32)
    return arrays


def _soft_hull(shape_px: Points) -> npt.NDArray[np.float32]:
    hull = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(shape_px).astype(np.int32)), 255)
    soft = cv2.GaussianBlur(cv2.erode(hull, np.ones((15, 15), np.uint8)), (0, 0), 8)
    return np.asarray(soft[:, :, None] / np.float32(255), dtype=np.float32)


def _combine(stack: Picture, inside: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """stack: (person, height, width, 3).  Mean inside the face, mean of the middle fifth outside."""
    people = len(stack)
    stack.sort(axis=0)
    middle = stack[int(people * 0.4) : max(int(people * 0.6), int(people * 0.4) + 1)]
    return np.asarray(inside * stack.mean(0) + (1 - inside) * middle.mean(0), dtype=np.float32)


def _grade(picture: npt.NDArray[np.float32]) -> Picture:
    """Give the pale average a webcam's look: sharper, more colour, darker corners."""
    sharp = picture + 0.7 * (picture - cv2.GaussianBlur(picture, (0, 0), 2.0))
    grey = sharp.mean(2, keepdims=True)
    vivid = grey + 1.25 * (sharp - grey)
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    corners = 1.06 - 0.30 * ((x**2 + y**2) / 2) ** 1.2
    return np.asarray(np.clip(vivid * corners[:, :, None], 0, 255), dtype=np.uint8)


def make_bundle(people: Sequence[Person], out: Path) -> Manifest:
    """Average, and write the bundle."""
    face = ArraySpec("frame", "height, width, colour", "uint8", (0, 255), "grey level", "BGR")
    amount = ArraySpec("expression", "name", "float32", (0, 1), "share of a full movement")
    manifest = Manifest(
        system="average_face",
        network="two pictures in one shape, two mean shapes",
        sizes={"height": HEIGHT, "width": WIDTH, "landmarks": MESH},
        inputs=(amount,),
        outputs=(face,),
        training=Training(f"{ATTRIBUTION}; averaged and altered", len(people), False, LICENCE, None),
        versions={name: version(name) for name in ("numpy", "mediapipe", "opencv-contrib-python")},
    )
    return write_bundle(out, manifest, average(people))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundle; returns the exit code."""
    parser = argparse.ArgumentParser(description="Average the London faces into the demo's person.")
    parser.add_argument("--data", type=Path, required=True, help="folder with neutral/ and smiling/")
    parser.add_argument("--model", type=Path, required=True, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    options = parser.parse_args(arguments)
    try:
        make_bundle(list(read_london_faces(options.data, options.model)), options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
