"""Who reads parameters off a face crop, our encoders' engines and MediaPipe; and EIFER's way back to a picture."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from calibration.encoder_bundle import NETWORK, SYSTEM
from calibration.metrics.expression import ExpressionReader
from calibration.planes import resized
from engines.bundle import Manifest
from engines.contract import require
from engines.errors import BadInput, BundleError
from engines.face.crop_geometry import CropGeometry
from engines.face.landmarks import IRISES
from engines.face.masking import PixelMask
from engines.spec import Engine

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

PIXELS = 0.01  # share that M shows in EIFER's last stage
_SKIN = np.setdiff1d(np.arange(478), IRISES)


class Said(NamedTuple):
    """What somebody says about a face; an empty array where they do not say it.

    expression: (52,).  shape: (modes,), standard deviations.  pose, camera: (3,), engines/face/crop_camera.py.
    landmarks: (468, 2), MediaPipe's without the irises, in half sides of the crop from its middle, y down.
    """

    expression: Floats
    shape: Floats
    pose: Floats
    camera: Floats
    landmarks: Floats

    def given(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The first four as a batch of one, for CropGeometry."""
        expression, shape, pose, camera = (torch.from_numpy(np.array(part))[None] for part in self[:4])
        return expression, shape, pose, camera


def half_sides(landmarks_px: npt.NDArray[np.floating], size: int) -> Floats:
    """(478, 2) or (468, 2) crop pixels -> (468, 2) half sides, as a Said has them."""
    skin = landmarks_px[_SKIN] if len(landmarks_px) > len(_SKIN) else landmarks_px
    return np.asarray((skin + 0.5) * 2 / size - 1, np.float32)


class EncoderReader:
    """A face encoder's engine, as the live picture runs it."""

    def __init__(self, name: str, manifest: Manifest, engine: Engine, geometry: CropGeometry) -> None:
        """geometry: of any size.  Raises BundleError for an encoder whose words the geometry does not know."""
        self.name, self._engine, self._geometry = name, engine, geometry
        if manifest.network != NETWORK or manifest.sizes.get("profile") != "arkit52":
            raise BundleError(
                f"the bundle {name} is no face encoder in the profile arkit52: the truth is known in no other"
            )
        shape = require(manifest.inputs, "face", dtype="uint8", colour="BGR").shape
        assert shape is not None  # EncoderNetwork has seen to it
        self.size = shape[0]

    def read(self, picture: Picture) -> Said:
        """A crop of any size, (side, side, 3) uint8 BGR."""
        found = self._engine.run({"face": np.ascontiguousarray(resized(picture, self.size))})
        expression, shape, pose, camera = (np.array(found[name]) for name in ("expression", "shape", "pose", "camera"))
        said = Said(expression, shape, pose, camera, np.zeros(0, np.float32))
        with torch.no_grad():
            marks = self._geometry.landmarks(*said.given())[0].numpy()
        return said._replace(landmarks=marks)


def read_landmarker(reader: ExpressionReader, picture: Picture) -> Said | None:
    """What MediaPipe says about a crop; None when it finds no face."""
    found = reader.read(picture)
    if found is None:
        return None
    nothing = np.zeros(0, np.float32)
    return Said(found.blendshapes, nothing, nothing, nothing, half_sides(found.landmarks_px, len(picture)))


class Reconstruction:
    """EIFER's C^SN: a face without electrodes from its geometry and one pixel in a hundred."""

    def __init__(self, encoder: EncoderReader, engine: Engine, geometry: CropGeometry) -> None:
        """geometry: of the generator's size.  Raises BundleError when encoder and generator do not fit."""
        self.name, self.size = encoder.name, geometry.size
        if encoder.size != self.size:
            raise BundleError(
                f"the generator of {encoder.name} works on {self.size} px, its encoder on {encoder.size}: take "
                f"those of one training"
            )
        self._encoder, self._engine, self._geometry = encoder, engine, geometry
        triangles = np.ascontiguousarray(geometry.triangles, np.int32)
        self._mask = PixelMask(triangles, geometry.sampling, self.size, self.size)

    def picture(self, covered: Picture, rng: np.random.Generator) -> Picture:
        """(size, size, 3) uint8 BGR.  covered: a crop of any size.  rng: of the pixels that M shows."""
        seen = np.ascontiguousarray(resized(covered, self.size))
        with torch.no_grad():
            placed = self._geometry.place(*self._encoder.read(seen).given())
            grey = self._geometry.render(placed)[0, 0].numpy()
        projected = np.ascontiguousarray(placed.projected[0].numpy(), np.float32)
        keep = self._mask.keep(projected, self._geometry.seen, PIXELS, rng)
        masked = np.rint(seen * keep[:, :, None]).astype(np.uint8)
        shade = np.asarray(cv2.cvtColor(np.rint(255 * grey).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
        return np.array(self._engine.run({"geometry": shade, "masked": masked})["face"])


def is_generator(manifest: Manifest) -> bool:
    """Whether a bundle is the generator beside an encoder of EIFER's."""
    return manifest.system == SYSTEM and {spec.name for spec in manifest.inputs} == {"geometry", "masked"}


def generator_size(manifest: Manifest) -> int:
    """Its pictures' side, px.  Raises BadInput for a generator of no stated size."""
    shape = manifest.inputs[0].shape
    if shape is None:
        raise BadInput("the generator does not state its size: train it again")
    return shape[0]
