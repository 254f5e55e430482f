"""Pixel-RR at run time: one gain and one bias per pixel and channel, applied to an aligned face crop.

Akram and Khan 2020, Eq. 3: out_p = w_p x_p + b_p.  The fit (Eq. 6) is calibration/recipes/pixel_rr.py.
The kernel works on 16-bit fixed point, so that it runs at the speed of memory: per value it reads one byte of
face and two 16-bit coefficients, and writes one byte.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.int16 import add, multiply_high, shift_down, to_grey, widen
from engines.kernels import kernel

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Fixed = npt.NDArray[np.int16]

SCALES = {"[0,1]": 1.0, "[0,255]": 255.0}  # white, in the intensity scale that a map was fitted on


@dataclass(frozen=True, eq=False)
class PixelMap:
    """One expression's map for crops of one size.

    gain: (size, size, 3) float32, w of Eq. 3.  bias: (size, size, 3) float32, b of Eq. 3, in units of
    intensity_scale ("[0,1]" or "[0,255]"), on which lambda_ depends too.  expression: what the map turns a
    neutral face into, e.g. "smile".  lambda_: the ridge of Eq. 6, on gain and bias.
    Raises BadInput when the planes do not fit each other or leave the kernel's range: gain within 1 +- 3.99,
    bias within +-4 white.
    """

    gain: Plane
    bias: Plane
    expression: str
    lambda_: float
    intensity_scale: str

    def __post_init__(self) -> None:
        shape = self.gain.shape
        if self.bias.shape != shape or len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
            raise BadInput(f"a pixel map needs two (size, size, 3) planes, found {shape} and {self.bias.shape}")
        if self.intensity_scale not in SCALES:
            raise BadInput(f"intensity scale must be one of {sorted(SCALES)}, found {self.intensity_scale!r}")
        if not (np.abs(self.gain - 1).max() < 3.99 and np.abs(self.bias).max() < 4 * SCALES[self.intensity_scale]):
            raise BadInput("a pixel map's gain must lie within 1 +- 3.99 and its bias within 4 x white: fit it again")

    @property
    def size(self) -> int:
        """Side of the crops that the map fits, px."""
        return int(self.gain.shape[0])

    def at_size(self, size: int) -> "PixelMap":
        """The map for crops of another size, px: the same planes, stretched or shrunk; itself where it fits already."""
        if size == self.size:
            return self
        way = cv2.INTER_AREA if size < self.size else cv2.INTER_LINEAR
        gain, bias = (cv2.resize(plane, (size, size), interpolation=way) for plane in (self.gain, self.bias))
        return replace(self, gain=gain, bias=bias)

    @cached_property
    def fixed(self) -> tuple[Fixed, Fixed]:
        """The kernel's planes, (size * size * 3,) int16: gain - 1 with 13 fraction bits, bias in grey levels with 4."""
        gain = np.rint((self.gain.ravel().astype(np.float64) - 1) * 2**13)
        bias = np.rint(self.bias.ravel().astype(np.float64) * (255 / SCALES[self.intensity_scale]) * 2**4)
        return gain.astype(np.int16), bias.astype(np.int16)

    def on_sides(self, left: float, right: float, seam: float = 0.16) -> "PixelMap":
        """The same map with an amount for each of the person's sides, for a crop whose middle is the face's.

        left, right: 0 (the face as it is) to 1, the person's own sides; the person's left is the picture's right.
        seam: width of the smooth step between them, as a share of the side.  Apply the result with amount 1.
        Raises BadInput when an amount leaves 0..1.
        """
        for amount in (left, right):
            if not 0.0 <= amount <= 1.0:
                raise BadInput(f"the amounts must lie in 0..1, found left {left}, right {right}")
        t = np.clip((np.arange(self.size) - (self.size - 1) / 2) / (seam * self.size) + 0.5, 0, 1)
        part = (right + (left - right) * t * t * (3 - 2 * t)).astype(np.float32)[None, :, None]
        return replace(self, gain=1 + part * (self.gain - 1), bias=part * self.bias)


def load_pixel_map(bundle_dir: Path) -> PixelMap:
    """Read a map from a bundle that the Pixel-RR recipe wrote.

    Raises BundleError when the bundle is damaged, made by another system, or has no fitting planes.
    """
    bundle = read_bundle(bundle_dir, system="pixel_rr")
    sizes = bundle.manifest.sizes
    try:
        return PixelMap(
            gain=np.ascontiguousarray(bundle.arrays["gain"], dtype=np.float32),
            bias=np.ascontiguousarray(bundle.arrays["bias"], dtype=np.float32),
            expression=str(sizes["expression"]),
            lambda_=float(sizes["lambda"]),
            intensity_scale=str(sizes["intensity_scale"]),
        )
    except (KeyError, BadInput) as error:
        raise BundleError(f"{bundle_dir} is no usable Pixel-RR map ({error}): write it again") from error


def apply_pixel_map(face: Picture, pixel_map: PixelMap, amount: float, out: Picture) -> Picture:
    """Give the face the map's expression: out = clip(face + amount * (gain * face + bias - face)).

    face, out: (size, size, 3) uint8, [0, 255], C-contiguous, crop space, same colour order as the map was fitted
    on (BGR); out may be face itself.  amount: 0 (the face, bit for bit) to 1 (the whole map).
    Returns out.  Every value is within 1 grey level of the float formula.  Raises BadInput when something does
    not fit.
    """
    if face.shape != pixel_map.gain.shape or out.shape != face.shape:
        raise BadInput(f"face and out must be {pixel_map.gain.shape}, found {face.shape} and {out.shape}")
    if not (face.dtype == out.dtype == np.uint8 and face.flags.c_contiguous and out.flags.c_contiguous):
        raise BadInput("face and out must be contiguous uint8")
    if not 0.0 <= amount <= 1.0:
        raise BadInput(f"amount must lie in 0..1, found {amount}")
    gain, bias = pixel_map.fixed
    _apply_pixel_map(face, gain, bias, round(amount * 32767), out)
    return out


@kernel
def _apply_pixel_map(face: Picture, gain: Fixed, bias: Fixed, amount: int, out: Picture) -> None:
    # face: 7 fraction bits here; gain: 13; their high product and bias: 4; amount: 15; change: 3
    face, out, part_of = face.ravel(), out.ravel(), np.int16(amount)
    for i in range(face.size):
        change = add(multiply_high(widen(face[i], np.int16(7)), gain[i]), bias[i])
        part = multiply_high(change, part_of)
        # 4/8 rounds; what the two products rounded down is made up for by ties that go up
        step = shift_down(add(part, np.int16(4)), np.int16(3))
        out[i] = to_grey(add(widen(face[i], np.int16(0)), step))
