"""Between pictures as they lie on disk and what networks learn from.

picture   (height, width, 3) uint8 BGR, [0, 255]
planes    (3, height, width) float32 RGB, [-1, 1]; a batch has one more axis in front
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Picture = npt.NDArray[np.uint8]


def planes_of(pictures: Sequence[Picture]) -> Tensor:
    """Pictures of one size -> (N, 3, H, W)."""
    rgb = np.stack([picture[:, :, ::-1] for picture in pictures])
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0).contiguous()


def pictures_of(planes: Tensor) -> Picture:
    """(N, 3, H, W) on any device -> (N, H, W, 3) uint8 BGR, rounded and clipped."""
    grey = ((planes.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return np.ascontiguousarray(grey.flip(1).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy())


def resized(picture: Picture, size: int) -> Picture:
    """A square picture at another size, px; smaller by area, larger by cubic interpolation."""
    if picture.shape[0] == size:
        return picture
    way = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=way))


def centre(picture: Picture, size: int) -> Picture:
    """The middle `size` x `size` px of a square picture or mask that is at least as large."""
    edge = (picture.shape[0] - size) // 2
    return picture[edge : edge + size, edge : edge + size]
