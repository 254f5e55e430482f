"""A movement fitted to one person: is the person still that person, how near is it, and how long does it take?

    python -m benchmarks.pixel_person [--people 9] [--visits 3] [--synthetic 4] [--only-print]

Identity: the face model is fitted to MediaPipe's landmarks of a picture, and its identity parameters are compared
before and after, beside two real photos of one person and two people.  London people that the shipped smiles never saw.
Nearness: new synthetic people show a movement in several visits, each in a light and pose of its own; the first
teaches, the others judge.  Times: one still from the choice of a movement to its JPEG, and one fit, as the live guide
does them.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.measure import Row, Spread, Target, conditions, show, write_results
from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
from calibration.recipes.pixel_bundles import HELD_OUT, SEED, bundle_name
from calibration.recipes.pixel_dense import predict
from calibration.recipes.pixel_judge import judge, mean
from calibration.recipes.pixel_pairs import FacePairs, by_mouth, london_pairs
from calibration.recipes.pixel_person import Shot, learn_person, pairs_of
from calibration.recipes.pixel_synthetic import SyntheticSettings, render_pairs, sitters
from engines.errors import BadInput
from engines.face.canonical import CanonicalFace
from engines.face.fit import Fitter
from engines.face.mesh import FaceModel
from engines.face.pixel_mesh import MeshPainter, PixelMesh, load_pixel_mesh
from engines.face.practise import load_movement, painter_of
from engines.shipped import bundle_folder
from rt import assets

SIDE = 256
TASKS = ("happy", "Lip-Pucker")
STILL_MS, FIT_S = 200.0, 5.0
_CHOSEN = ("pixel-smile-open", "pixel-lip-pucker", "pixel-surprised", "pixel-smile")
Picture = npt.NDArray[np.uint8]


@contextmanager
def landmarker(model: Path) -> Iterator[Any]:
    """MediaPipe for single pictures: landmarks_px(picture) -> (478, 2), None without a face."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)))
    with vision.FaceLandmarker.create_from_options(options) as found:

        def landmarks_px(picture: Picture) -> npt.NDArray[np.float32] | None:
            rgb = mp.Image(image_format=mp.ImageFormat.SRGB, data=picture[:, :, ::-1].copy())
            faces = found.detect(rgb).face_landmarks
            scale = picture.shape[1::-1]
            return np.array([(p.x, p.y) for p in faces[0]], np.float32) * np.float32(scale) if faces else None

        yield landmarks_px


def painted(mesh: PixelMesh, pairs: FacePairs) -> Picture:
    """The neutral pictures with the whole movement."""
    painter = MeshPainter(mesh, pairs.size)
    both = zip(pairs.neutral, pairs.neutral_px, strict=True)
    return np.stack([painter.paint(face, points, 1.0, 1.0, np.empty_like(face)) for face, points in both])


def own_pictures(mesh: PixelMesh, pairs: FacePairs, depth: npt.NDArray[np.float64]) -> Picture:
    """The same with everybody's own map, learned from that person's two photos."""
    found = []
    for row in range(len(pairs.people)):
        rest, shown = (
            Shot(pictures[row], points[row])
            for pictures, points in ((pairs.neutral, pairs.neutral_px), (pairs.target, pairs.target_px))
        )
        own = learn_person(mesh, pairs_of([rest], [shown], mesh, depth), None).own
        face = pairs.neutral[row]
        found.append(MeshPainter(own, pairs.size).paint(face, rest.landmarks_px, 1.0, 1.0, np.empty_like(face)))
    return np.stack(found)


def identities(pictures: Picture, landmarks_px: Any, fitter: Fitter) -> npt.NDArray[np.float64]:
    """(picture, modes): identity parameters in standard deviations, NaN where no face is found."""
    found: list[npt.NDArray[np.float64] | None] = []
    for picture in pictures:
        points = landmarks_px(picture)
        found.append(None if points is None else fitter.fit(points, picture.shape[:2]).identity.astype(np.float64))
    modes = next(len(one) for one in found if one is not None)
    return np.stack([np.full(modes, np.nan) if one is None else one for one in found])


def identity_rows(
    pairs: FacePairs, mesh: PixelMesh, depth: npt.NDArray[np.float64], see: Any, fitter: Fitter
) -> list[Row]:
    """Distances between identity parameters, root mean square over modes, in standard deviations of people."""
    smaller = np.stack([_shifted(picture) for picture in pairs.neutral])
    before = identities(pairs.neutral, see, fitter)
    after = {
        "the same photo, shifted and 6 % smaller": identities(smaller, see, fitter),
        "neutral and smiling photo of one person": identities(pairs.target, see, fitter),
        "neutral photo, and with most people's smile": identities(painted(mesh, pairs), see, fitter),
        "neutral photo, and with the own smile": identities(own_pictures(mesh, pairs, depth), see, fitter),
        "neutral photos of two people": np.roll(before, 1, axis=0),
    }
    rows: list[Row] = []
    for name, other in after.items():
        distance = np.sqrt(((other - before) ** 2).mean(1))
        seen = distance[np.isfinite(distance)]
        rows.append(
            {"between": name, "people": len(seen), "identity_sd": float(seen.mean()), "worst": float(seen.max())}
        )
    apart = rows[-1]["identity_sd"]
    return [{**row, "of_two_people": row["identity_sd"] / apart} for row in rows]


def _shifted(picture: Picture) -> Picture:
    size = len(picture)
    matrix = np.array([[0.94, 0, 0.045 * size], [0, 0.94, 0.02 * size]])
    return np.asarray(cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def nearness_rows(pairs: dict[str, FacePairs], depth: npt.NDArray[np.float64]) -> list[Row]:
    """PSNR on the face of the population's and of the own map, on other visits of the same person."""
    rows: list[Row] = []
    for task, found in pairs.items():
        shipped = load_pixel_mesh(bundle_folder(bundle_name(task)))
        before, after, seconds = [], [], []
        for person in dict.fromkeys(found.people):
            mine = [row for row, name in enumerate(found.people) if name == person]
            rest, shown = ([Shot(p[row], q[row]) for row in mine] for p, q in _halves(found))
            begin = time.perf_counter()
            own = learn_person(shipped, pairs_of(rest[:1], shown[:1], shipped, depth), None).own
            seconds.append(time.perf_counter() - begin)
            others = pairs_of(rest[1:], shown[1:], shipped, depth)
            for mesh, scores in ((shipped, before), (own, after)):
                scores.append(mean(judge(predict(mesh, others), others)).psnr_face)
        gain = np.subtract(after, before)
        rows.append(
            {
                "expression": task,
                "people": len(before),
                "population_psnr_face_db": float(np.mean(before)),
                "own_psnr_face_db": float(np.mean(after)),
                "gain_db": float(gain.mean()),
                "smallest_gain_db": float(gain.min()),
                "fit_s": float(np.median(seconds)),
            }
        )
    return rows


def _halves(pairs: FacePairs) -> list[tuple[Picture, npt.NDArray[np.float32]]]:
    return [(pairs.neutral, pairs.neutral_px), (pairs.target, pairs.target_px)]


def still_rows(face: Picture, landmarks_px: npt.NDArray[np.floating], repeats: int = 20) -> list[Row]:
    """Milliseconds from the choice of a movement to a JPEG of the still: reading the bundle, painting, encoding."""
    rows: list[Row] = []
    for name in _CHOSEN:
        taken, cpu = [], []
        for _ in range(repeats + 1):
            begin, cpu_begin = time.perf_counter(), time.process_time()
            painter = painter_of(load_movement(bundle_folder(name)), len(face))
            picture = painter.paint(face, landmarks_px, 1.0, 1.0, np.empty_like(face))
            cv2.imencode(".jpg", picture)
            taken.append((time.perf_counter() - begin) * 1e3)
            cpu.append((time.process_time() - cpu_begin) * 1e3)
        spread, of_core = Spread.of(taken[1:]), Spread.of(cpu[1:]).median
        row = {"still_ms": spread.median, "still_ms_p95": spread.p95, "cpu_ms": of_core}
        rows.append({"movement": name, "size_px": len(face), **row})
    return rows


def targets(identity: list[Row], nearness: list[Row], stills: list[Row]) -> list[Target]:
    """What issue 6 asks for; identity is kept when a painted smile changes it no more than the person's real one."""
    share = {row["between"]: row["of_two_people"] for row in identity}
    real = share["neutral and smiling photo of one person"]
    found = [
        Target("a still preview, slowest movement, p95", max(row["still_ms_p95"] for row in stills), STILL_MS, "ms"),
        Target("one person's fit", max(row["fit_s"] for row in nearness), FIT_S, "s"),
        Target("own map above most people's, other visits", min(row["gain_db"] for row in nearness), 0.0, "dB", False),
    ]
    for name in ("neutral photo, and with most people's smile", "neutral photo, and with the own smile"):
        found.append(Target(f"identity, {name} / the real smile", share[name] / real, 1.0, "x"))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write results/pixel_person.json (not with --only-print)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=HELD_OUT, help="London people for the identity")
    parser.add_argument("--synthetic", type=int, default=4, help="synthetic people for the nearness")
    parser.add_argument("--visits", type=int, default=3, help="of each; the first teaches")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--only-print", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    model, canonical = assets.find(assets.FACE_LANDMARKER), assets.find(assets.CANONICAL_FACE)
    if model is None or canonical is None:
        raise BadInput("MediaPipe's files are missing: run myomirror assets fetch")
    under = conditions()
    depth = CanonicalFace.load(canonical).vertices[:, 2]
    raw = by_mouth(london_pairs(photo_folder(None).parent, model, SIDE, ["upright"])["upright"])["smile-open"]
    unseen = raw.split(HELD_OUT, SEED)[1]
    unseen = unseen.of(unseen.people[: options.people])
    smile = load_pixel_mesh(bundle_folder("pixel-smile-open"))
    with landmarker(model) as see:
        identity = identity_rows(unseen, smile, depth, see, Fitter(FaceModel.load(find_face_model(None))))
    stills = still_rows(unseen.neutral[0], unseen.neutral_px[0])
    settings = SyntheticSettings(options.synthetic + 1, options.synthetic, 12, 8, 4, seed=options.seed)
    people = sitters(Sources(find_faces(photo_folder(None), model), find_face_model(None)), settings)
    new = [(name, person) for name, person, is_new in people if is_new]
    nearness = nearness_rows(render_pairs(new, TASKS, settings.size, options.seed, options.visits), depth)
    reached = targets(identity, nearness, stills)
    notes = [
        f"Identity: {len(unseen.people)} London people never seen by the shipped smile; the own smile is learned from "
        "the same person's two photos. MediaPipe's landmarks, the face model fitted with expression free.",
        f"Nearness: synthetic people, seed {options.seed}, {options.visits} visits each, the first teaches.",
    ]
    show("Who is it, before and after", identity)
    show("Time of a still", stills)
    show("A map fitted to a person, judged on other visits", nearness, reached, notes)
    if not options.only_print:
        rows = [{"table": "identity", **row} for row in identity] + [{"table": "stills", **row} for row in stills]
        write_results(
            "pixel_person", [*rows, *({"table": "nearness", **row} for row in nearness)], reached, notes, under
        )


if __name__ == "__main__":
    main()
