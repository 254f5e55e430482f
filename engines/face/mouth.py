"""The inside of the mouth: teeth, gums, tongue and the dark behind, shaded as lips would shade them.

Colours are baked per vertex (they hardly turn); what changes in a frame is how much light comes in, which is read off
the drawn opening itself: near the lips, and most of all under the upper one, it is darker.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.face.arrays import Floats, Indices, Picture
from engines.face.mesh import FaceModel
from engines.face.normals import vertex_normals
from engines.kernels import kernel

# BGR under full light, for a photo whose skin is as bright as the London ones
_TEETH = (222.0, 233.0, 251.0)
_GUMS = (120.0, 118.0, 190.0)
_TONGUE = (112.0, 112.0, 188.0)
_SOCKET = (52.0, 48.0, 98.0)
_LAMP = (0.0, 0.45, 0.9)
_DEEP_CM = 4.5  # behind the front teeth where all is dark
_DARKEST = 0.12


@dataclass(frozen=True)
class Mouth:
    """first: the model's first mouth vertex.  colour: (M, 3) float32 BGR 0..255 of each mouth vertex."""

    first: int
    colour: Floats


def bake_mouth(model: FaceModel, teeth_of: list[Indices], neutral: Floats, brightness: float) -> Mouth:
    """Colour a person's mouth.  teeth_of: vertices of each tooth.  brightness: of teeth, 0.6..1.1 (the photo's
    exposure)."""
    first, last = model.regions["mouth_socket"][0], model.regions["teeth"][1]
    normals = vertex_normals(np.ascontiguousarray(neutral, np.float32), model.triangles)[first:last]
    points = neutral[first:last].astype(np.float64)
    teeth = np.arange(first, last) >= model.regions["teeth"][0]
    gums = (np.arange(first, last) >= model.regions["gums_and_tongue"][0]) & ~teeth
    lamp = np.array(_LAMP) / np.linalg.norm(_LAMP)
    light = 0.62 + 0.38 * np.clip((normals @ lamp + 0.2) / 1.2, 0, 1)
    colour = np.tile(_SOCKET, (last - first, 1))
    colour[gums] = _GUMS
    tongue = gums & _tongue(model, neutral, first, last)
    colour[tongue] = _TONGUE
    colour[teeth] = _tooth_colours(points[teeth])
    for tooth in teeth_of:  # darker where neighbours touch
        x = neutral[tooth, 0]
        away = np.abs(x - x.mean()) / max(float(np.ptp(x)) / 2, 1e-3)
        colour[tooth - first] *= (1 - 0.15 * away**4)[:, None]
    front = float(points[teeth, 2].max())
    deep = np.clip((front - points[:, 2]) / _DEEP_CM, 0, 1)
    dark = 1 - (1 - _DARKEST) * deep**0.8
    return Mouth(first, np.ascontiguousarray(colour * (light * dark)[:, None] * brightness, np.float32))


def _tongue(model: FaceModel, neutral: Floats, first: int, last: int) -> np.ndarray:
    """Gum vertices that are tongue: in the middle of the arch, not along it."""
    points = neutral[first:last]
    teeth = slice(*model.regions["teeth"])
    front = float(neutral[teeth, 2].max())
    lower_edge = float(np.median(neutral[teeth, 1]))
    across = np.abs(points[:, 0]) < 1.75 * np.sqrt(np.clip((front - 0.75 - points[:, 2]) / 1.4, 0, 1))
    return np.asarray(across & (points[:, 1] < lower_edge + 0.35) & (points[:, 1] > lower_edge - 1.1))


def _tooth_colours(points: np.ndarray) -> np.ndarray:
    """Yellower and darker towards the gums and the back, bluish at the cutting edge."""
    upper = points[:, 1] > np.median(points[:, 1])
    middle = float(np.median(points[:, 1]))
    from_edge = np.clip(np.abs(points[:, 1] - middle) / 1.1, 0, 1)
    colour = np.tile(np.array(_TEETH), (len(points), 1))
    colour *= 1 - np.outer(from_edge**1.5, [0.17, 0.12, 0.08])
    colour *= np.where(upper, 1.0, 0.9)[:, None]
    side = np.clip(np.abs(points[:, 0]) / 2.6, 0, 1)
    return np.asarray(colour * (1 - 0.22 * side**1.5)[:, None])


def blur_opening(opening: Picture, size: int, out: Picture) -> None:
    """Smooth the opening's mask (255 = open): how much of the neighbourhood lets light in."""
    cv2.blur(opening, (size, size), dst=out, borderType=cv2.BORDER_REPLICATE)


@kernel
def mark_opening(
    triangle: Indices,
    first: int,
    last: int,
    box: tuple[int, int, int, int],
    lips: tuple[int, int, int, int],
    opening: Picture,
) -> int:
    """opening = 255 where a triangle first..last - 1 is seen between the lips, else 0.  Returns how many pixels.

    lips: rows from, to, columns from, to of what may be opening: elsewhere the mouth's inside has come through a cheek.
    """
    count = 0
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            inside = first <= triangle[y, x] < last and lips[0] <= y < lips[1] and lips[2] <= x < lips[3]
            opening[y, x] = 255 if inside else 0
            count += inside
    return count


@kernel
def paint_mouth(
    triangle: Indices,
    barycentric: Floats,
    first: int,
    opening: Picture,
    box: tuple[int, int, int, int],
    triangles: Indices,
    vertex: int,
    colour: Floats,
    light: Picture,
    gap: Picture,
    shift: int,
    gain: np.float32,
    out: Picture,
    cover: Picture,
) -> None:
    """Draw the mouth's inside.

    triangles: (F, 3) of the mouth, drawn from `first` on and seen where opening is not 0; colour[triangles - vertex]
    is theirs.  light: the smoothed opening.  gap: the same, smoothed less: lips that hardly part show a soft line.
    shift: fine px, how far above a pixel the light is read (it comes from above: the upper lip throws the longer
    shadow).
    """
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            t = triangle[y, x] - first
            if opening[y, x] == 0:
                continue
            a, b, c = triangles[t, 0] - vertex, triangles[t, 1] - vertex, triangles[t, 2] - vertex
            fa, fb, fc = barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2]
            seen = np.float32(light[max(y - shift, box[0]), x]) * np.float32(1 / 255)
            seen = min(seen * np.float32(1.7), np.float32(1))
            open_ = gain * (np.float32(0.34) + np.float32(0.66) * seen * seen * (3 - 2 * seen))
            for k in range(3):
                value = (fa * colour[a, k] + fb * colour[b, k] + fc * colour[c, k]) * open_
                value *= 1 - np.float32(0.14) * (2 - k) * max(1 - open_, np.float32(0))  # lips and gums tint the shade
                out[y, x, k] = np.uint8(min(value + np.float32(0.5), np.float32(255)))
            cover[y, x] = min(gap[y, x] * 5 // 4, 255)
