"""Choose lambda, sigma, intensity scale and alignment by cross-validation over people, as the paper did for its lambda.

python -m calibration.recipes.pixel_choice --data LONDON_FACES --assets FOLDER
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from calibration.recipes.pixel_dense import DenseSettings
from calibration.recipes.pixel_judge import Fit, Score, cross_validate, dense, mean, pixel_kr, pixel_rr
from calibration.recipes.pixel_kr import PixelKRSettings
from calibration.recipes.pixel_pairs import ALIGNMENTS, Alignment, FacePairs, in_neutral_pose, london_pairs
from calibration.recipes.pixel_rr import PixelRRSettings
from engines.errors import EngineError
from engines.face.canonical import CanonicalFace

LAMBDAS = (0.004, 0.04, 0.4, 4.0, 40.0)
SIGMAS = (0.1, 0.3, 1.0, 3.0, 10.0)  # on [0,1]


class Choice(NamedTuple):
    """One combination and what it scored on people unseen."""

    system: str
    settings: str
    alignment: Alignment
    score: Score


def _candidates() -> Iterator[tuple[str, str, tuple[Alignment, ...], Fit]]:
    for scale, lambda_ in product(("[0,1]", "[0,255]"), LAMBDAS):
        settings = PixelRRSettings(lambda_=lambda_, intensity_scale=scale)
        yield "Pixel-RR", f"lambda {lambda_:g} on {scale}", ALIGNMENTS, pixel_rr(settings)
    for sigma, lambda_ in product(SIGMAS, (0.04, 0.4)):
        kernel = PixelKRSettings(lambda_, sigma, "[0,1]")
        yield "Pixel-KR", f"lambda {lambda_:g}, sigma {sigma:g} on [0,1]", ("upright",), pixel_kr(kernel)
    for modes, predicted, lambda_gain in product((0, 3, 12), (0.0, 0.5, 1.0), (1e3, 1e4, 1e5)):
        ours = DenseSettings(lambda_gain=lambda_gain, modes=modes, predicted=predicted)
        words = f"{modes} modes, predicted {predicted:g}, lambda of gain {lambda_gain:g}"
        yield "dense", words, ("upright",), dense(ours)


def choose(pairs: dict[Alignment, FacePairs], folds: int, seed: int) -> Iterator[Choice]:
    """Every combination's score, as they are done; pairs in the neutral pose, per alignment."""
    for system, settings, alignments, method in _candidates():
        for alignment in alignments:
            score = mean(cross_validate(method, pairs[alignment], folds, seed))
            yield Choice(system, settings, alignment, score)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every combination, then the best of each system by PSNR on the face; returns the exit code."""
    parser = argparse.ArgumentParser(description="Choose the settings of the pixel maps by cross-validation.")
    parser.add_argument("--data", type=Path, required=True, help="folder with neutral/ and smiling/")
    parser.add_argument("--assets", type=Path, required=True, help="folder with MediaPipe's files")
    parser.add_argument("--size", type=int, default=128, help="of the crops, px")
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    best: dict[str, Choice] = {}
    try:
        canonical = CanonicalFace.load(options.assets)
        found = london_pairs(options.data, options.assets / "face_landmarker.task", options.size, ALIGNMENTS)
        pairs = {name: in_neutral_pose(raw, canonical) for name, raw in found.items()}
        for choice in choose(pairs, options.folds, options.seed):
            sys.stdout.write(_line(choice))
            sys.stdout.flush()
            if choice.system not in best or choice.score.psnr_face > best[choice.system].score.psnr_face:
                best[choice.system] = choice
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\nThe best of each:\n" + "".join(_line(choice) for choice in best.values()))
    return 0


def _line(choice: Choice) -> str:
    score = choice.score
    numbers = f"{score.psnr_face:7.3f} dB on the face  SSIM {score.ssim_face:.4f}"
    return f"{choice.system:9} {choice.settings:46} {choice.alignment:8} {numbers}\n"


if __name__ == "__main__":
    sys.exit(main())
