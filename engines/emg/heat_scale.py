"""The colours of muscle activity: from the face's own clay at rest, over amber and red, to a deep violet at 100 %MVC.

Lightness falls all the way, in equal steps of Ottosson's OKLab (2020), so the order of two values is seen without any
colour vision too.  What lies above 100 % has the last colour: the legend says so.
"""

import numpy as np
import numpy.typing as npt

from engines.errors import BadInput

FULL_PERCENT = 100.0  # %MVC at the scale's end

# Lightness, chroma, hue in degrees (OKLab): a choice.  Lightness is what carries the value.
_ANCHORS = (
    (0.87, 0.022, 65),
    (0.78, 0.115, 78),
    (0.66, 0.165, 50),
    (0.53, 0.175, 22),
    (0.40, 0.145, 355),
    (0.27, 0.10, 318),
)
_FINE = 512
_LMS_OF_LAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_RGB_OF_LMS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def heat_scale(steps: int = 64) -> npt.NDArray[np.uint8]:
    """The scale, (steps, 3) uint8 sRGB, 0 to FULL_PERCENT %MVC in equal steps.  Raises BadInput for under 2 steps."""
    if steps < 2:
        raise BadInput(f"a colour scale needs 2 steps or more, got {steps}")
    lightness, chroma, hue = np.array(_ANCHORS).T
    angle = np.radians(np.where(hue > 180, hue - 360, hue))
    corners = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], 1)
    where = np.arange(len(corners))
    fine = np.linspace(0, len(corners) - 1, _FINE)
    path = np.stack([np.interp(fine, where, axis) for axis in corners.T], 1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, along[-1], steps)
    return _srgb(np.stack([np.interp(even, along, axis) for axis in path.T], 1))


def heat_colours(percent: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Colours (..., 3) uint8 sRGB of %MVC of any shape; NaN has the colour of rest."""
    scale = heat_scale(256)
    share = np.nan_to_num(np.asarray(percent, np.float64)) / FULL_PERCENT
    return np.asarray(scale[np.rint(np.clip(share, 0, 1) * 255).astype(np.intp)])


def _srgb(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """OKLab (n, 3) to sRGB bytes (n, 3); Ottosson's matrices."""
    linear = (lab @ np.array(_LMS_OF_LAB).T) ** 3 @ np.array(_RGB_OF_LMS).T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.uint8)
