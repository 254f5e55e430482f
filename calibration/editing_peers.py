"""Who else gives faces another expression: nobody, and Pixel-RR with one map for each named expression."""

from __future__ import annotations

import numpy as np

from calibration.editing import Floats, Picture
from calibration.expression_classes import EXPRESSIONS, classes_of
from calibration.expression_faces import LabelledFaces
from calibration.recipes.pixel_rr import PixelRRSettings, PixelSums
from engines.face.pixel_map import SCALES, PixelMap, apply_pixel_map


class Copied:
    """Nothing is done: what every edit must beat."""

    name = "the input itself"

    def edit(self, faces: Picture, source: Floats, target: Floats) -> Picture:
        """See `calibration.editing.Editor`."""
        return faces


class PixelMaps:
    """Pixel-RR (Akram and Khan 2020), Eq. 6, fitted on every pair of a sitting that ends in an expression.

    The paper's maps begin at a neutral face; these begin at whatever the sitting shows, as the edits here do.
    """

    name = "Pixel-RR"

    def __init__(self, maps: dict[int, PixelMap]) -> None:
        """maps: place in EXPRESSIONS -> map."""
        self.maps = maps

    @classmethod
    def fitted(cls, labelled: LabelledFaces, size: int) -> PixelMaps | None:
        """Fit on the sittings of a set's part; None when no sitting shows two named expressions."""
        settings, classes = PixelRRSettings(size=size), classes_of(labelled.blendshapes)
        sums: dict[int, PixelSums] = {}
        for goal, others in enumerate(labelled.partners()):
            named = [int(other) for other in others if classes[other] >= 0 and classes[other] != classes[goal]]
            if classes[goal] < 0 or not named:
                continue
            wanted = labelled.picture(goal, size)
            of_class = sums.setdefault(int(classes[goal]), PixelSums((size, size, 3)))
            for other in named:
                of_class.add(labelled.picture(other, size), wanted)
        return cls({each: _map(found, settings, EXPRESSIONS[each]) for each, found in sums.items()}) if sums else None

    def edit(self, faces: Picture, source: Floats, target: Floats) -> Picture:
        """See `calibration.editing.Editor`.  A face whose wanted expression has no map stays as it is."""
        made = faces.copy()
        for place, wanted in enumerate(classes_of(target)):
            if wanted in self.maps:
                apply_pixel_map(np.ascontiguousarray(faces[place]), self.maps[int(wanted)], 1.0, made[place])
        return made


def _map(sums: PixelSums, settings: PixelRRSettings, expression: str) -> PixelMap:
    unit = 255 / SCALES[settings.intensity_scale]
    gain, bias = sums.solve(settings.lambda_ * unit**2, settings.lambda_)
    planes = gain.astype(np.float32), (bias / unit).astype(np.float32)
    return PixelMap(*planes, expression, settings.lambda_, settings.intensity_scale)
