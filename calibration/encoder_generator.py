"""EIFER's encoder-generator pair: C(I) = G(render(E(I)), M(I)), a picture to a picture through the face's geometry."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engines.face.crop_geometry import CropGeometry
from engines.face.masking import GAIN_DEVIATION, PixelMask
from engines.networks.face_encoder import Encoded, FaceEncoder


class Pass(NamedTuple):
    """One picture's way through a pair."""

    fake: Tensor  # (B, 3, H, W) in [-1, 1]
    encoded: Encoded
    landmarks: Tensor  # (B, 468, 2) of the geometry, half sides of the picture
    geometry: Tensor  # (B, 1, H, W) the render, 0..1
    masked: Tensor  # (B, 3, H, W) in [-1, 1], what the generator saw of the picture

    @property
    def rigid(self) -> Tensor:
        """(B, 6): theta."""
        return torch.cat((self.encoded.pose, self.encoded.camera), 1)


class PairRunner:
    """Runs pairs on pictures of one size.  It owns no weights."""

    def __init__(self, geometry: CropGeometry) -> None:
        """geometry: of the pictures' size, on the pictures' device."""
        self.geometry = geometry
        triangles = np.ascontiguousarray(geometry.triangles, np.int32)
        self._mask = PixelMask(triangles, geometry.sampling, geometry.size, geometry.size)

    def __call__(
        self,
        encoder: FaceEncoder,
        generator: nn.Module,
        picture: Tensor,
        ratio: float,
        rng: np.random.Generator,
        gain_deviation: float = GAIN_DEVIATION,
    ) -> Pass:
        """picture: (B, 3, size, size) RGB in [-1, 1].  ratio: share of pixels that M shows.  rng: M's.

        gain_deviation: of the shown pixels; 0 outside training.
        """
        encoded: Encoded = encoder((picture.float() + 1) / 2)
        placed = self.geometry.place(
            encoded.expression.float(), encoded.shape.float(), encoded.pose.float(), encoded.camera.float()
        )
        renders, keeps = [], []
        for one in range(len(picture)):  # the raster holds one face at a time
            projected = placed.projected[one : one + 1]
            renders.append(self.geometry.render(placed._replace(projected=projected)))
            px = np.ascontiguousarray(projected[0].detach().cpu().numpy(), np.float32)
            keep = self._mask.keep(px, self.geometry.seen, ratio, rng, gain_deviation)
            keeps.append(torch.from_numpy(keep)[None])
        render = torch.cat(renders)
        keep_planes = torch.stack(keeps).to(picture.device)  # (B, 1, H, W)
        masked = ((picture.float() + 1) * keep_planes - 1).clamp(max=1)  # black is -1
        grey = (2 * render - 1).expand(-1, 3, -1, -1)
        fake: Tensor = generator(torch.cat((grey, masked), 1))
        return Pass(fake, encoded, placed.landmarks, render, masked)
