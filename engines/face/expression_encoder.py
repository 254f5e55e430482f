"""A face encoder as the live picture needs it: a face crop in, what the face does out.

EIFER's encoders (Buechner et al. 2025) say identity, pose and camera as well; live, only the expression is used.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.bundle import Manifest
from engines.contract import require
from engines.emg.expression_profile import PROFILES
from engines.errors import BundleError
from engines.spec import Engine

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SYSTEM, NETWORK = "eifer", "face_encoder"


@dataclass(frozen=True)
class EncoderFit:
    """What of a bundle the live picture relies on."""

    size: int  # side of the face crop, px
    profile: str  # of the expression


def fitting(manifest: Manifest, name: str) -> EncoderFit:
    """Check that a bundle reads expressions from what this project's crops are.

    name: for the sentences.  Raises BundleError, in one sentence, for another system, network, size or profile.
    """
    if manifest.system != SYSTEM or manifest.network != NETWORK:
        raise BundleError(
            f"the bundle {name} is for {manifest.system}, not for reading expressions: choose a face encoder"
        )
    profile = PROFILES.get(str(manifest.sizes.get("profile")))
    if profile is None:
        raise BundleError(
            f"the bundle {name} gives expressions in {manifest.sizes.get('profile')!r}, known are {', '.join(PROFILES)}"
        )
    try:
        wanted = {"layout": "height, width, colour", "dtype": "uint8", "colour": "BGR", "range": (0.0, 255.0)}
        shape = require(manifest.inputs, "face", **wanted).shape
        require(manifest.outputs, "expression", dtype="float32", shape=(profile.values,))
    except BundleError as error:
        raise BundleError(f"the bundle {name} does not fit the live picture: {error}") from error
    if len(manifest.inputs) != 1 or shape is None or shape != (shape[0], shape[0], 3):
        raise BundleError(f"the bundle {name} does not see one square face: choose another bundle")
    return EncoderFit(shape[0], profile.name)


class ExpressionEncoder:
    """Runs an engine on face crops."""

    def __init__(self, engine: Engine) -> None:
        """engine: of a bundle for which `fitting` found no fault."""
        self._engine = engine

    def run(self, face: Picture) -> Floats:
        """Read one face.

        face: (size, size, 3) uint8 BGR, C-contiguous.  Returns (52,) or (55,) float32 of its own, within the range of
        the bundle's profile.
        Raises BadInput when the face does not fit, BundleError when the network gives what is no number.
        """
        found: Floats = self._engine.run({"face": face})["expression"].copy()
        if not np.isfinite(found).all():
            raise BundleError("the face encoder gives what is no number: choose another bundle")
        return found

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


def crop_at_size(crop_from_frame: npt.NDArray[np.floating], given: int, wanted: int) -> npt.NDArray[np.float64]:
    """The same crop, cut at another size.

    crop_from_frame: (2, 3), frame pixels to pixels of a crop of `given` px.  Pixel centres are whole numbers, so that
    the crop's corner lies at -0.5.  Returns (2, 3) float64 for `wanted` px.
    """
    zoom = wanted / given
    found: npt.NDArray[np.float64] = crop_from_frame.astype(np.float64) * zoom
    found[:, 2] += (zoom - 1) / 2
    return found
