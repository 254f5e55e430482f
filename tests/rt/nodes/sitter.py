"""A made-up person before a camera, who does as told: the mean face of a shipped movement with a grainy skin."""

from dataclasses import replace

import cv2
import numpy as np

from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.pixel_mesh import MeshPainter, load_pixel_mesh
from engines.shipped import bundle_folder
from rt.message import Crop, Face, Frame

CROP, ZOOM = 128, 2  # the face is CROP * ZOOM px wide in the picture
LEFT, TOP = 20, 10
LIDS = ((159, 145), (386, 374))
FURTHER = 1.3  # this person moves further than most


class Sitter:
    """Frames of one person.  movement: what this person can do, FURTHER than the shipped map says."""

    def __init__(self, movement: str = "pixel-smile-open") -> None:
        self.population = load_pixel_mesh(bundle_folder(movement))
        self.own = replace(self.population, way=(FURTHER * self.population.way).astype(np.float32))
        side = CROP * ZOOM
        places = self.own.rest.reshape(-1, 2)
        self.rest = np.concatenate([places, np.repeat(places[-1:], 10, 0)]).astype(np.float32)
        axis = np.arange(side)
        stripes = 130 + 40 * np.sin(axis / 3)[:, None] * np.cos(axis / 4)[None]
        pores = np.random.default_rng(3).normal(0, 14, (side, side))
        self.face = np.repeat(np.clip(stripes + pores, 0, 255)[:, :, None], 3, axis=2).astype(np.uint8)
        self._painter = MeshPainter(self.own, side)

    def shares(self, amount: float) -> np.ndarray:
        """(478, 2): the landmarks, shares of the crop."""
        found = self.rest.copy()
        found[:468] += amount * self.own.moved(self.rest)[1][:468]
        return found

    def frame(
        self,
        t_s: float,
        amount: float = 0.0,
        shut: bool = False,
        shift_px: float = 0.0,
        blur: bool = False,
        there: bool = True,
        **scores: float,
    ) -> Frame:
        """One picture.  amount: of the movement, 0..1.  shift_px: how far the head has moved to the right."""
        side, at_px = CROP * ZOOM, self.rest * CROP * ZOOM - 0.5
        face = self._painter.paint(self.face, at_px, amount, amount, np.empty_like(self.face))
        image = np.full((side + 2 * TOP, side + 2 * LEFT, 3), 90, np.uint8)
        image[TOP : TOP + side, LEFT : LEFT + side] = cv2.blur(face, (9, 9)) if blur else face
        landmarks = (self.shares(amount) * side - 0.5 + (LEFT + shift_px, TOP)).astype(np.float32)
        if shut:
            for upper, lower in LIDS:
                landmarks[upper] = landmarks[lower]
        place = np.array([[1 / ZOOM, 0, -LEFT / ZOOM - 0.25], [0, 1 / ZOOM, -TOP / ZOOM - 0.25]], np.float32)
        crop = Crop(np.zeros((CROP, CROP, 3), np.uint8), place, tracked=there)
        shapes = np.zeros(52, np.float32)
        for name, score in scores.items():
            shapes[BLENDSHAPE_INDEX[name]] = score
        image.flags.writeable = False
        return Frame(round(t_s * 30), t_s, "host", image, Face(landmarks, shapes) if there else None, crop)
