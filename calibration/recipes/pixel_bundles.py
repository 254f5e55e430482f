"""Make the maps with dense alignment that ship: two smiles from the London faces, other tasks from synthetic people.

python -m calibration.recipes.pixel_bundles --out engines/bundles [--only pixel-happy]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from calibration.cohort_sources import CREDIT, Sources, find_face_model, find_faces, photo_folder
from calibration.data.london_faces import ATTRIBUTION, LICENCE
from calibration.recipes.pixel_dense import DenseSettings, fit_dense, predict
from calibration.recipes.pixel_judge import copying, judge, mean, pixel_rr
from calibration.recipes.pixel_pairs import FacePairs, by_mouth, in_neutral_pose, london_pairs
from calibration.recipes.pixel_rr import PixelRRSettings
from calibration.recipes.pixel_synthetic import EXPRESSIONS, SyntheticSettings, render_pairs, sitters
from engines.bundle import Manifest, Metric, Training, write_bundle
from engines.errors import BadInput, EngineError
from engines.face.canonical import CanonicalFace
from engines.face.pixel_mesh import SYSTEM, PixelMesh
from engines.spec import ArraySpec
from rt import assets
from rt.errors import LiveError

SEED = 1
HELD_OUT = 9  # London people that each of the two smiles is judged by
PHOTOGRAPHED = ("Smile-Open", "Smile-Closed")  # real people do these better than synthetic ones


def make_bundle(
    learn: FacePairs, unseen: FacePairs, expression: str, training: Training, out: Path, settings: DenseSettings
) -> Manifest:
    """Fit a map, judge what is stored on people never seen, and write its bundle (16-bit floats)."""
    exact = fit_dense(learn, expression, settings)
    halves = ("way", "rest", "basis", "ways", "gain", "bias")
    stored = {name: getattr(exact, name).astype(np.float16) for name in halves}
    kept = replace(exact, **{name: array.astype(np.float32) for name, array in stored.items()})
    manifest = Manifest(
        system=SYSTEM,
        network="landmarks' way, and one gain and one bias per pixel and channel in the mean frame",
        sizes={"size": learn.size, "expression": expression, "points": len(kept.frame), **asdict(settings)},
        inputs=(
            _picture("face"),
            ArraySpec("landmarks", "landmark, axis", "float32", (-1.0, 2.0), "share of the crop's side", None),
        ),
        outputs=(_picture("face"),),
        training=training,
        metrics=_metrics(kept, learn, unseen, training.synthetic),
        versions={name: version(name) for name in ("numpy", "scipy", "opencv-contrib-python")},
    )
    return write_bundle(out, manifest, {**stored, "frame": kept.frame, "triangles": kept.triangles})


def _picture(name: str) -> ArraySpec:
    return ArraySpec(name, "height, width, colour", "uint8", (0, 255), "grey level", "BGR")


def _metrics(kept: PixelMesh, learn: FacePairs, unseen: FacePairs, synthetic: bool) -> dict[str, Metric]:
    people = (
        f"{len(set(unseen.people))} {'synthetic' if synthetic else 'London'} people never seen by the fit, the face"
    )
    faithful = pixel_rr(PixelRRSettings(learn.size, intensity_scale="[0,1]"))(learn)
    rows = {
        "": predict(kept, unseen),
        "_pixel_rr_lambda_0.4_on_[0,1]": faithful(unseen),
        "_copying_input": copying()(learn)(unseen),
    }
    found = {}
    for name, pictures in rows.items():
        score = mean(judge(pictures, unseen))
        found[f"psnr{name}"] = Metric(round(score.psnr_face, 3), "dB", people)
        found[f"ssim{name}"] = Metric(round(score.ssim_face, 4), "1", people)
    return found


def smiles(data: Path, folder: Path, out: Path, wanted: Sequence[str]) -> None:
    """pixel-smile-open and pixel-smile-closed from the London faces.  folder: with MediaPipe's files."""
    raw = london_pairs(data, folder / assets.FACE_LANDMARKER, 128, ["upright"])["upright"]
    canonical = CanonicalFace.load(folder)
    for expression, own in by_mouth(raw).items():
        if f"pixel-{expression}" not in wanted:
            continue
        learn, unseen = in_neutral_pose(own, canonical).split(HELD_OUT, SEED)
        training = Training(ATTRIBUTION, len(learn.people), False, LICENCE, SEED)
        _report(
            out,
            expression,
            make_bundle(learn, unseen, expression, training, out / f"pixel-{expression}", DenseSettings()),
        )


def tasks(landmarker: Path, out: Path, wanted: Sequence[str], settings: SyntheticSettings) -> None:
    """The other tasks' maps from synthetic people; nearly all of the time goes into making them."""
    sources = Sources(find_faces(photo_folder(None), landmarker), find_face_model(None))
    people = sitters(sources, settings)
    names = [task for task in EXPRESSIONS if bundle_name(task) in wanted and task not in PHOTOGRAPHED]
    pairs = render_pairs([person[:2] for person in people], names, settings.size, settings.seed)
    write_tasks(pairs, [name for name, _, unseen in people if unseen], out, settings.seed)


def write_tasks(pairs: dict[str, FacePairs], hidden: Sequence[str], out: Path, seed: int) -> None:
    """Fit and write one bundle per task.  hidden: people to judge by."""
    data = f"synthetic people mixed and animated by MyoMirror from the {CREDIT}"
    for task, both in pairs.items():
        learn = both.of([name for name in both.people if name not in hidden])
        training = Training(data, len(learn.people), True, "CC BY 4.0, as the photos", seed)
        place, expression = out / bundle_name(task), task.lower()
        _report(out, expression, make_bundle(learn, both.of(hidden), expression, training, place, DenseSettings()))


def bundle_name(task: str) -> str:
    """The shipped bundle of a task: "Lip-Pucker" -> "pixel-lip-pucker"."""
    return f"pixel-{task.lower()}"


def _report(out: Path, expression: str, manifest: Manifest) -> None:
    size = sum(path.stat().st_size for path in (out / f"pixel-{expression}").iterdir())
    values = "  ".join(f"{name} {metric.value:g}" for name, metric in manifest.metrics.items())
    sys.stdout.write(f"pixel-{expression:14} {size / 1e3:5.0f} kB  {values}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all bundles, or those asked for; returns the exit code."""
    shipped = sorted(bundle_name(task) for task in EXPRESSIONS)
    parser = argparse.ArgumentParser(description="Make the expression maps that ship.")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the bundles' folders")
    parser.add_argument("--only", action="append", choices=shipped, help="this one; may be given several times")
    options = parser.parse_args(arguments)
    wanted = options.only or shipped
    try:
        landmarker, canonical = (assets.find(name) for name in (assets.FACE_LANDMARKER, assets.CANONICAL_FACE))
        if landmarker is None or canonical is None:
            raise BadInput("MediaPipe's files are missing: run myomirror assets fetch")
        if any(bundle_name(task) in wanted for task in PHOTOGRAPHED):
            smiles(photo_folder(None).parent, canonical.parent, options.out, wanted)
        if any(bundle_name(task) in wanted for task in EXPRESSIONS if task not in PHOTOGRAPHED):
            tasks(landmarker, options.out, wanted, SyntheticSettings())
    except (EngineError, LiveError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
