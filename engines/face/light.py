"""Light on the synthetic person, always as a ratio: shade now over shade in the photo.

The photo already holds the light it was taken in.  Where the skin turns (a cheek that bulges, a head that turns) or the
light changes, each vertex' Lambert shade is divided by what it was in the photo, and the photo is multiplied by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.errors import BadInput
from engines.face.arrays import Floats, Indices, Picture
from engines.kernels import kernel

_WRAP = 0.25  # how far light reaches round the skin: 0 is Lambert's hard edge
_DARKEST, _BRIGHTEST = 0.35, 1.9  # of a ratio; photos hold no more than that


@dataclass(frozen=True)
class Light:
    """One lamp and what the room gives back.

    direction: towards the lamp, x to the picture's right, y up, z to the viewer; any length but 0.  intensity: of all
    light, 0.2..3, 1 = the photo's.  ambient: 0..1, share of light without a direction.  tint: (blue, green, red)
    factors, 0.3..3.
    """

    direction: tuple[float, float, float] = (0.0, 0.35, 1.0)
    intensity: float = 1.0
    ambient: float = 0.55
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Raises BadInput when a number lies outside its range."""
        if not 0 < float(np.linalg.norm(self.direction)) < np.inf:
            raise BadInput(f"a light's direction must be three finite numbers, not all 0, found {self.direction}")
        if not 0.2 <= self.intensity <= 3 or not 0 <= self.ambient <= 1:
            raise BadInput(
                f"a light's intensity must be 0.2..3 and its ambient share 0..1, found {self.intensity}, {self.ambient}"
            )
        if len(self.tint) != 3 or not all(0.3 <= factor <= 3 for factor in self.tint):
            raise BadInput(f"a light's tint must be three factors 0.3..3, found {self.tint}")

    @property
    def towards(self) -> Floats:
        """(3,) unit vector towards the lamp."""
        direction = np.asarray(self.direction, np.float64)
        return np.asarray(direction / np.linalg.norm(direction), np.float32)


STUDIO_LIGHT = Light()  # what the London photos were taken in: soft, from the front and a little above


def flat_shade(light: Light) -> float:
    """Shade of a surface that faces the viewer, such as a wall behind the head; without the light's intensity."""
    along = max((float(light.towards[2]) + _WRAP) / (1 + _WRAP), 0.0)
    return light.ambient + (1 - light.ambient) * along


@kernel
def tint_picture(picture: Picture, blue: int, green: int, red: int) -> None:
    """Colour everything that the light falls on, in place; factors times 256."""
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            picture[y, x, 0] = min((picture[y, x, 0] * blue + 128) >> 8, 255)
            picture[y, x, 1] = min((picture[y, x, 1] * green + 128) >> 8, 255)
            picture[y, x, 2] = min((picture[y, x, 2] * red + 128) >> 8, 255)


@kernel
def lambert(normals: Floats, towards: Floats, ambient: np.float32, out: Floats) -> None:
    """out[v] = ambient + (1 - ambient) x wrapped Lambert; normals: (V, 3) units, x right, y up, z to the viewer."""
    wrap = np.float32(_WRAP)
    for v in range(normals.shape[0]):
        along = normals[v, 0] * towards[0] + normals[v, 1] * towards[1] + normals[v, 2] * towards[2]
        out[v] = ambient + (1 - ambient) * max((along + wrap) / (1 + wrap), np.float32(0))


@kernel
def calm(normals: Floats, rest: Floats, rotation: Floats, trust: Floats) -> None:
    """Pull normals back to those of the face at rest, turned along, where the mesh's own are not to be trusted.

    normals, rest: (V, 3) units, changed in place.  rotation: (3, 3) of the head's pose.  trust: (V,) 0..1.
    """
    for v in range(normals.shape[0]):
        if trust[v] >= 1:
            continue
        for k in range(3):
            turned = rotation[k, 0] * rest[v, 0] + rotation[k, 1] * rest[v, 1] + rotation[k, 2] * rest[v, 2]
            normals[v, k] = trust[v] * normals[v, k] + (1 - trust[v]) * turned


@kernel
def shade_ratio(
    now: Floats, then: Floats, intensity: np.float32, starts: Indices, others: Indices, rough: Floats, out: Floats
) -> None:
    """out = intensity x now / then, averaged once with each vertex' neighbours: single triangles should not show.

    now, then: (V,) of `lambert`.  starts, others: neighbours as compressed rows.  rough: (V,) room to work in.
    """
    for v in range(now.shape[0]):
        ratio = intensity * now[v] / max(then[v], np.float32(0.05))
        rough[v] = min(max(ratio, np.float32(_DARKEST)), np.float32(_BRIGHTEST))
    for v in range(now.shape[0]):
        total, count = 2 * rough[v], np.float32(2)
        for k in range(starts[v], starts[v + 1]):
            total += rough[others[k]]
            count += 1
        out[v] = total / count
