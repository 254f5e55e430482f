"""Pixel-RR, Pixel-KR, masked regression and dense alignment: parameters as in the paper's Table I, and quality on the
people that a fit has not seen.

    python -m benchmarks.pixel_quality [--seed 1] [--folds 6] [--only-print]

London faces, six folds by people.  The truth is the smiling photo as it is ("own crop", as the paper judges) and as if
the head had not moved since the neutral photo ("neutral pose": calibration/recipes/pixel_pairs.py); the face is its
oval.  "All" are all smiles; some show teeth and some do not, and a map of one kind can be learned too.
"""

import argparse
import os
import time
from pathlib import Path

from benchmarks.measure import Row, Target, conditions, show, write_results
from calibration.recipes.pixel_dense import DenseSettings, fit_dense
from calibration.recipes.pixel_judge import (
    Fit,
    Score,
    copying,
    cross_validate,
    dense,
    masked,
    mean,
    pixel_kr,
    pixel_rr,
)
from calibration.recipes.pixel_kr import PixelKRSettings, fit_curves
from calibration.recipes.pixel_pairs import ALIGNMENTS, Alignment, FacePairs, by_mouth, in_neutral_pose, london_pairs
from calibration.recipes.pixel_rr import PixelRRSettings, fit
from engines.errors import BadInput
from engines.face.canonical import CanonicalFace
from rt import assets

SIZE = 128
FAITHFUL = "Pixel-RR, lambda 0.4 on [0,1] (the paper)"
OURS = "dense alignment, shape and skin (ours)"
LABELS = {"StarGAN's generator": (8, 3), "GANimation's generator": (17, 4)}
"""Channels beside the picture's three that go in (expressions or action units), and channels that come out."""


def methods() -> dict[str, Fit]:
    """Everything that is compared, by its name in the table."""
    return {
        "the input as it is": copying(),
        FAITHFUL: pixel_rr(PixelRRSettings(SIZE, 0.4, "[0,1]")),
        "Pixel-RR, lambda 0.4 on [0,255]": pixel_rr(PixelRRSettings(SIZE, 0.4, "[0,255]")),
        "Pixel-KR, lambda 0.4, sigma 1 on [0,1]": pixel_kr(PixelKRSettings()),
        "Pixel-KR, lambda 0.4, sigma 3 on [0,1]": pixel_kr(PixelKRSettings(sigma=3.0)),
        "3 x 3 masked regression, lambda 0.4 on [0,1]": masked(0.4, "[0,1]"),
        "3 x 3 masked regression, lambda 0.4 on [0,255]": masked(0.4, "[0,255]"),
        OURS: dense(DenseSettings()),
    }


def quality(raw: dict[Alignment, FacePairs], canonical: CanonicalFace, folds: int, seed: int) -> list[Row]:
    """Rows of method, smiles, alignment and scores.  raw: alignment -> pairs as photographed."""
    rows: list[Row] = []
    everybody = raw["upright"]
    kinds = {"all": everybody.people, **{kind: own.people for kind, own in by_mouth(everybody).items()}}
    for alignment in raw:
        for kind, people in kinds.items():
            own = raw[alignment].of(people)
            still = in_neutral_pose(own, canonical)
            for name, method in methods().items():
                if alignment != "upright" and name == OURS:
                    continue  # it brings its own alignment
                pose = mean(cross_validate(method, still, folds, seed))
                photo = mean(cross_validate(method, own, folds, seed)) if kind == "all" else None
                rows.append(_row(name, kind, alignment, len(own.people), pose, photo))
    return rows


def _row(name: str, kind: str, alignment: str, people: int, pose: Score, photo: Score | None) -> Row:
    return {
        "method": name,
        "smiles": kind,
        "crop": alignment,
        "people": people,
        "psnr_face_db": pose.psnr_face,
        "ssim_face": pose.ssim_face,
        "psnr_whole_db": pose.psnr_whole,
        "photo_psnr_face_db": photo.psnr_face if photo else None,
        "photo_psnr_whole_db": photo.psnr_whole if photo else None,
    }


def parameters(pairs: FacePairs) -> list[Row]:
    """The paper's Table I: parameters counted, those of the GANs from their published layers."""
    pixels = SIZE * SIZE * 3
    mesh = fit_dense(pairs, "smile")
    shape = mesh.way.size + mesh.rest.size + mesh.basis.size + mesh.ways.size + mesh.frame.size
    pixel_map = fit(pairs.neutral, pairs.target)
    curves = fit_curves(pairs.neutral, pairs.target)
    counts = {
        "Pixel-RR": pixel_map.gain.size + pixel_map.bias.size,
        "dense alignment (ours)": mesh.gain.size + mesh.bias.size + shape,
        "Pixel-KR as a cubic (ours)": curves.cubic.size,
        "Pixel-KR, one coefficient and one input per pair": pixels * 2 * len(pairs.people),
        "3 x 3 masked regression": pixels * 10,
    }
    counts |= {name: generator_parameters(3 + labels, out) for name, (labels, out) in LABELS.items()}
    return [
        {
            "model": name,
            "parameters": count,
            "per_pixel_and_channel": count / pixels,
            "of_pixel_rr": count / counts["Pixel-RR"],
        }
        for name, count in counts.items()
    ]


def generator_parameters(inputs: int, outputs: int, width: int = 64, blocks: int = 6) -> int:
    """Parameters of the generator that StarGAN and GANimation share, from its published layers.

    7x7 to `width`; two 4x4 down, doubling; `blocks` residual blocks of two 3x3; two 4x4 up; 7x7 to the outputs.
    Every layer but the last is followed by instance normalisation with gain and bias.
    """
    wide = 4 * width
    layers = [(inputs, width, 7), (width, 2 * width, 4), (2 * width, wide, 4)]
    layers += [(wide, wide, 3)] * (2 * blocks) + [(wide, 2 * width, 4), (2 * width, width, 4)]
    return sum(i * o * k * k + 2 * o for i, o, k in layers) + width * outputs * 49


def fit_times(raw: FacePairs, large: FacePairs | None) -> list[Row]:
    """Seconds of one core for one fit of all pairs, kernels compiled; the best of three, or one fit at 512 px."""
    rows: list[Row] = []
    for pairs, repeats in ((raw, 3), (large, 1)):
        if pairs is None:
            continue
        few = pairs.of(pairs.people[:12])
        fit_curves(few.neutral, few.target)
        for name, work in (("Pixel-RR", fit), ("Pixel-KR", fit_curves)):
            times = []
            for _ in range(repeats):
                begin = time.process_time()
                work(pairs.neutral, pairs.target)
                times.append(time.process_time() - begin)
            rows.append({"fit": name, "pairs": len(pairs.people), "size_px": pairs.size, "seconds": min(times)})
    return rows


def targets(scores: list[Row], times: list[Row]) -> list[Target]:
    """What issue 6 asks for."""
    found = []
    for kind in ("all", "smile-open", "smile-closed"):
        of = {(row["method"], row["crop"]): row["psnr_face_db"] for row in scores if row["smiles"] == kind}
        for crop in ALIGNMENTS:
            what = f"{kind}: dense alignment above Pixel-RR of the paper in the {crop} crop, on the face"
            found.append(Target(what, of[OURS, "upright"] - of[FAITHFUL, crop], 2.0, "dB", False))
    centred = {
        row["method"]: row["photo_psnr_whole_db"]
        for row in scores
        if row["crop"] == "centred" and row["smiles"] == "all"
    }
    gain = centred[FAITHFUL] - centred["the input as it is"]
    found.append(Target("Pixel-RR of the paper above the input, its crop, whole picture", gain, 0.0, "dB", False))
    for row in times:
        limit = 1.0 if row["size_px"] <= SIZE else 20.0
        found.append(Target(f"{row['fit']} at {row['size_px']} px, {row['pairs']} pairs", row["seconds"], limit, "s"))
    return found


def main() -> None:
    """Measure, print, write results/pixel_quality.json (not with --only-print)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--only-print", action="store_true", help="write nothing")
    options = parser.parse_args()
    data, landmarker, canonical = _places()
    under = conditions()
    raw = london_pairs(data, landmarker, SIZE, ALIGNMENTS)
    large = london_pairs(data, landmarker, 512, ["upright"])["upright"]
    sizes, times = parameters(raw["upright"]), fit_times(raw["upright"], large)
    del large
    scores = quality(raw, canonical, options.folds, options.seed)
    notes = [
        f"{options.folds} folds by people, seed {options.seed}; every number is the mean over people unseen.",
        "psnr_face, ssim_face, psnr_whole: against the photo in the neutral pose; photo_*: as photographed.",
        "GANs: the generators alone, counted from their published layers (8 expressions; 17 action units).",
    ]
    reached = targets(scores, times)
    show("Parameters at 128 x 128 x 3 (the paper's Table I)", sizes)
    show("Time of a fit", times)
    show("Smiles of people never seen", scores, reached, notes)
    if not options.only_print:
        rows = [*({"table": "sizes", **row} for row in sizes), *({"table": "fit times", **row} for row in times)]
        rows += [{"table": "quality", **row} for row in scores]
        write_results("pixel_quality", rows, reached, notes, under)


def _places() -> tuple[Path, Path, CanonicalFace]:
    """The photos, MediaPipe's model, the canonical face.  Raises BadInput when one is missing."""
    landmarker, canonical = assets.find(assets.FACE_LANDMARKER), assets.find(assets.CANONICAL_FACE)
    root = os.environ.get("MYOMIRROR_DATA")
    if landmarker is None or canonical is None or root is None:
        raise BadInput("set MYOMIRROR_DATA to the folder of london_faces, and run myomirror assets fetch")
    return Path(root) / "london_faces", landmarker, CanonicalFace.load(canonical)


if __name__ == "__main__":
    main()
