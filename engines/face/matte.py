"""Cut a person out of a photo taken before an even wall, and what the wall looks like without them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.face.arrays import Floats, Picture

_WALL_GREY = (7.0, 18.0)  # difference from the wall: below surely wall, above hardly
_FACE_CM = (6.0, 9.0)  # around the head's middle there is no wall to be seen
_AWAY_CM = (13.0, 16.5, 5.0)  # beside and above the head's middle, and below the chin, where a photo shows wall
_SHOULDER = (4.8, 4.0, 0.30)  # cm below the chin, cm half the neck's width, slope


@dataclass(frozen=True)
class Matte:
    """cover: (H, W) uint8, 255 = person.  cutout: (H, W, 3), the person without the wall's colour in soft edges.

    wall: (H, W, 3), the wall behind, also where the person is.
    """

    cover: Picture
    cutout: Picture
    wall: Picture


def cut_out(photo: Picture, middle_px: npt.NDArray[np.floating], chin_px: float, scale: float) -> Matte:
    """Find the person.  middle_px: (x, y..) of the head.  chin_px: its row.  scale: px per cm."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    beside = (np.abs(x - middle_px[0]) > _AWAY_CM[0] * scale) & (y < chin_px + _AWAY_CM[2] * scale)
    sure = beside | (y < middle_px[1] - _AWAY_CM[1] * scale)
    picture = cv2.GaussianBlur(photo, (0, 0), 1.0).astype(np.float32)
    wall = _wall(picture, sure, x / width, y / height)
    far = np.abs(picture - wall).max(2)
    # a white shirt may be as bright as the wall: below the line that shoulders hardly ever leave free, all is person
    beside_neck = np.maximum(np.abs(x - middle_px[0]) - _SHOULDER[1] * scale, 0)
    body = y > chin_px + _SHOULDER[0] * scale + _SHOULDER[2] * beside_neck
    far = np.where(body, 255, far)
    outside = _from_border(far < _WALL_GREY[1])
    inner = (np.abs(x - middle_px[0]) < _FACE_CM[0] * scale) & (np.abs(y - middle_px[1]) < _FACE_CM[1] * scale)
    outside |= (far < _WALL_GREY[0] + 4) & ~body & ~inner  # wall between strands of hair
    band = cv2.dilate(outside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    most = cv2.dilate(far.astype(np.float32), np.ones((11, 11), np.uint8))  # how far full cover differs, near here
    sharp = np.abs(photo - wall).max(2)
    soft = np.clip((sharp - _WALL_GREY[0]) / np.maximum(0.9 * most - _WALL_GREY[0], 8), 0, 1)
    cover = cv2.GaussianBlur(np.where(band & ~body, soft, 1.0).astype(np.float32), (0, 0), 0.4)
    share = np.maximum(cover, 0.2)[:, :, None]
    pure = (photo - (1 - share) * wall) / share
    return Matte(_bytes(255 * cover), _bytes(pure), _bytes(wall))


def _wall(picture: Floats, sure: npt.NDArray[np.bool_], x: Floats, y: Floats) -> Floats:
    """The wall's brightness as a cubic in x and y, refitted without what turned out not to be wall (hair, shirt)."""
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], -1)
    for _ in range(3):
        chosen = np.flatnonzero(sure.ravel())[::7]
        weights = np.linalg.lstsq(
            terms.reshape(-1, terms.shape[-1])[chosen], picture.reshape(-1, 3)[chosen], rcond=None
        )[0]
        wall = np.asarray(terms @ weights, np.float32)
        sure = sure & (np.abs(picture - wall).max(2) < 2 * _WALL_GREY[0])
    return np.clip(wall, 0, 255)


def _from_border(open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What of a mask hangs together with the picture's upper border."""
    count, label = cv2.connectedComponents(open_.astype(np.uint8), connectivity=4)
    rows = label[: max(label.shape[0] // 40, 1)]
    touching = np.zeros(count, bool)
    touching[np.unique(rows[open_[: len(rows)]])] = True
    return np.asarray(touching[label] & open_)


def _bytes(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
