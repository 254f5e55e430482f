"""Pixel-RR: fit one gain and one bias per pixel in closed form.

Akram and Khan 2020, "Pixel-based facial expression synthesis".  128 x 128 crops, lambda 0.4 after their
cross-validation.  The paper does not say on which intensity scale; the authors' code works in [0, 1] and puts the
ridge on the bias too.  On [0, 255] the same lambda hardly shrinks, which copies unseen people's skin less and
fits better (FACTS 2), so that is the default here; both are measured and written into the bundle.

    python -m calibration.recipes.pixel_rr --data LONDON_FACES --model face_landmarker.task --out BUNDLE
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.data.london_faces import ATTRIBUTION, LICENCE, people_in, read_london_faces, split_people
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import BadInput, EngineError
from engines.face.paste import edge_mask
from engines.face.pixel_map import SCALES, PixelMap, apply_pixel_map
from engines.spec import ArraySpec

Pictures = npt.NDArray[np.uint8]  # (pair, size, size, 3)
Pairs = tuple[Pictures, Pictures]  # neutral, target


@dataclass(frozen=True)
class PixelRRSettings:
    """The paper's numbers and our split."""

    size: int = 128
    lambda_: float = 0.4
    intensity_scale: str = "[0,255]"  # of x, t and b in Eq. 6; lambda_ means nothing without it
    held_out: int = 12  # people never seen by the fit
    seed: int = 1


class PixelSums:
    """What Eq. 6 needs to know of the pairs, one sum per pixel and channel; pairs are added one at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """shape: of one picture, (size, size, 3)."""
        self.pairs = 0
        self.x, self.t, self.xx, self.tx = (np.zeros(shape) for _ in range(4))

    def add(self, neutral: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> None:
        """One pair of pictures, uint8, [0, 255]."""
        x, t = neutral.astype(np.float64), target.astype(np.float64)
        self.pairs += 1
        self.x += x
        self.t += t
        t *= x
        self.tx += t
        x *= x
        self.xx += x

    def solve(
        self,
        lambda_gain: float,
        lambda_bias: float,
        prior_gain: float | npt.NDArray[np.floating] = 0.0,
        prior_bias: float | npt.NDArray[np.floating] = 0.0,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Eq. 6 for every pixel and channel at once, on [0, 255]; the ridge pulls towards the priors, the paper's to 0.

        lambda_gain in grey levels squared, lambda_bias in pairs.  Returns gain and bias (grey levels).
        """
        # [w; b] = [[x x' + lambda, 1 x'], [1 x', N + lambda]]^-1 [t x'; t 1']
        a11, a12, a22 = self.xx + lambda_gain, self.x, self.pairs + lambda_bias
        b1, b2 = self.tx + lambda_gain * prior_gain, self.t + lambda_bias * prior_bias
        determinant = a11 * a22 - a12 * a12  # > 0: Cauchy-Schwarz plus the ridge
        return (a22 * b1 - a12 * b2) / determinant, (a11 * b2 - a12 * b1) / determinant


def fit(
    neutral: Pictures, target: Pictures, settings: PixelRRSettings | None = None, expression: str = "smile"
) -> PixelMap:
    """Solve Eq. 6 for every pixel and channel.

    neutral, target: (pair, size, size, 3) uint8 BGR, [0, 255], aligned crops of the same people.
    Returns the map.  Raises BadInput when the pairs do not match or there are none.
    """
    settings = settings or PixelRRSettings()
    if neutral.shape != target.shape or neutral.ndim != 4 or len(neutral) == 0:
        raise BadInput(f"Pixel-RR needs pairs of equal (pair, size, size, 3), found {neutral.shape}, {target.shape}")
    sums = PixelSums(neutral.shape[1:])
    for x, t in zip(neutral, target, strict=True):
        sums.add(x, t)
    unit = 255 / SCALES[settings.intensity_scale]  # grey levels of 1; x on the scale is grey / unit, and so is the bias
    gain, bias = sums.solve(settings.lambda_ * unit**2, settings.lambda_)
    planes = gain.astype(np.float32), (bias / unit).astype(np.float32)
    return PixelMap(*planes, expression, settings.lambda_, settings.intensity_scale)


def psnr_db(found: Pictures, truth: Pictures) -> float:
    """Peak signal-to-noise ratio, mean over pictures: 10 log10(255^2 / MSE).  Both (picture, size, size, 3) uint8."""
    wrong = (found.astype(np.float64) - truth).reshape(len(found), -1)
    return float(np.mean(10 * np.log10(255**2 / np.maximum((wrong**2).mean(1), 1e-12))))


def evaluate(pixel_map: PixelMap, pairs: Pairs, on: str) -> dict[str, Metric]:
    """Compare the map with copying the input, over the whole crop and inside the pasted oval."""
    neutral, target = pairs
    mapped = np.stack([apply_pixel_map(face, pixel_map, 1.0, np.empty_like(face)) for face in neutral])
    oval = edge_mask(pixel_map.size) > 127
    return {
        "psnr": Metric(round(psnr_db(mapped, target), 3), "dB", on),
        "psnr_copying_input": Metric(round(psnr_db(neutral, target), 3), "dB", on),
        "psnr_oval": Metric(round(psnr_db(mapped[:, oval], target[:, oval]), 3), "dB", f"{on}, inside the pasted oval"),
        "psnr_oval_copying_input": Metric(
            round(psnr_db(neutral[:, oval], target[:, oval]), 3), "dB", f"{on}, inside the pasted oval"
        ),
    }


def read_pairs(data: Path, model: Path, settings: PixelRRSettings) -> tuple[Pairs, Pairs]:
    """Read and align the London faces: (pairs to learn from, pairs of people never seen)."""
    learn, unseen = split_people(people_in(data), settings.held_out, settings.seed)
    crops = {
        person.person: [person.crop(name, settings.size) for name in ("neutral", "smiling")]
        for person in read_london_faces(data, model)
    }

    def pairs_of(people: Sequence[str]) -> Pairs:
        both = np.stack([crops[person] for person in people])
        return both[:, 0], both[:, 1]

    return pairs_of(learn), pairs_of(unseen)


def make_bundle(learn: Pairs, unseen: Pairs, settings: PixelRRSettings, out: Path) -> Manifest:
    """Fit, measure on people never seen, and write the bundle (float16 planes)."""
    on = f"{len(unseen[0])} London people never seen by the fit"
    exact = fit(*learn, settings)
    gain, bias = exact.gain.astype(np.float16), exact.bias.astype(np.float16)
    stored = replace(exact, gain=gain.astype(np.float32), bias=bias.astype(np.float32))
    metrics = evaluate(stored, unseen, on)
    for scale in SCALES:
        other = fit(*learn, replace(settings, intensity_scale=scale))
        name = f"psnr_lambda_{settings.lambda_}_on_{scale}"
        metrics[name] = evaluate(other, unseen, on)["psnr"]
    face = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR")
    manifest = Manifest(
        system="pixel_rr",
        network="one gain and one bias per pixel and channel, Eq. 3",
        sizes={
            "size": settings.size,
            "expression": stored.expression,
            "lambda": settings.lambda_,
            "intensity_scale": settings.intensity_scale,
        },
        inputs=(face,),
        outputs=(face,),
        training=Training(ATTRIBUTION, len(learn[0]), False, LICENCE, settings.seed),
        metrics=metrics,
        versions={name: version(name) for name in ("numpy", "mediapipe", "opencv-contrib-python")},
    )
    return write_bundle(out, manifest, {"gain": gain, "bias": bias})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recipe; returns the exit code."""
    parser = argparse.ArgumentParser(description="Fit the smile of Pixel-RR on the London faces.")
    parser.add_argument("--data", type=Path, required=True, help="folder with neutral/ and smiling/")
    parser.add_argument("--model", type=Path, required=True, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    options = parser.parse_args(arguments)
    settings = PixelRRSettings()
    try:
        manifest = make_bundle(*read_pairs(options.data, options.model, settings), settings, options.out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name, metric in manifest.metrics.items():
        sys.stdout.write(f"{name:32} {metric.value:8.3f} {metric.unit}  {metric.on}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
