"""What one person's own frames add to a shipped expression map, on other frames of the same person.

    python -m benchmarks.pixel_refine [--people 6] [--seed 5] [--only-print]

New synthetic people (other mixtures than the maps were learned from) show an expression in several visits: every visit
has its own light, head pose and strength.  The first one or two refine the map, the others judge it.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.measure import Row, Target, conditions, show, write_results
from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
from calibration.recipes.pixel_bundles import bundle_name
from calibration.recipes.pixel_dense import predict, refine_dense
from calibration.recipes.pixel_judge import judge, mean
from calibration.recipes.pixel_pairs import FacePairs
from calibration.recipes.pixel_synthetic import SyntheticSettings, render_pairs, sitters
from engines.errors import BadInput
from engines.face.pixel_mesh import PixelMesh, load_pixel_mesh
from engines.shipped import bundle_folder
from rt import assets

TASKS = ("happy", "Forehead-Raise", "Lip-Pucker", "surprised")
VISITS = 6
OWN = (1, 2)  # visits that refine


def visits_of(pairs: FacePairs, person: str, which: Sequence[int]) -> FacePairs:
    """Some visits of one person."""
    rows = np.flatnonzero(np.array(pairs.people) == person)[list(which)]
    arrays = (pairs.neutral, pairs.target, pairs.neutral_px, pairs.target_px)
    return FacePairs((person,) * len(rows), *(np.ascontiguousarray(array[rows]) for array in arrays))  # type: ignore[arg-type]


def refinement(pairs: FacePairs, shipped: PixelMesh, task: str) -> list[Row]:
    """One row per number of own visits."""
    rows = []
    for own in OWN:
        before, after, seconds = [], [], []
        for person in dict.fromkeys(pairs.people):
            mine, others = (visits_of(pairs, person, part) for part in (range(own), range(max(OWN), VISITS)))
            begin = time.perf_counter()
            refined = refine_dense(shipped, mine)
            seconds.append(time.perf_counter() - begin)
            before.append(mean(judge(predict(shipped, others), others)).psnr_face)
            after.append(mean(judge(predict(refined, others), others)).psnr_face)
        gain = np.subtract(after, before)
        rows.append(
            {
                "expression": task,
                "own_visits": own,
                "people": len(before),
                "shipped_psnr_face_db": float(np.mean(before)),
                "refined_psnr_face_db": float(np.mean(after)),
                "gain_db": float(gain.mean()),
                "smallest_gain_db": float(gain.min()),
                "seconds": float(np.median(seconds)),
            }
        )
    return rows


def main() -> None:
    """Measure, print, write results/pixel_refine.json (not with --only-print)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--only-print", action="store_true", help="write nothing")
    options = parser.parse_args()
    landmarker = assets.find(assets.FACE_LANDMARKER)
    if landmarker is None:
        raise BadInput("MediaPipe's model is missing: run myomirror assets fetch")
    under = conditions()
    settings = SyntheticSettings(options.people + 1, options.people, 12, 8, 4, seed=options.seed)
    people = sitters(Sources(find_faces(photo_folder(None), landmarker), find_face_model(None)), settings)
    new = [(name, person) for name, person, unseen in people if unseen]
    found = render_pairs(new, TASKS, settings.size, options.seed, VISITS)
    rows = [
        line
        for task in TASKS
        for line in refinement(found[task], load_pixel_mesh(bundle_folder(bundle_name(task))), task)
    ]
    worst = min(row["gain_db"] for row in rows)
    reached = [Target("mean gain of the worst expression by one's own frames", worst, 0.0, "dB", False)]
    notes = [f"Synthetic people, seed {options.seed}; frames are rendered at {settings.size} px; judged on the face."]
    show("A map refined on a person's own frames, judged on others of the same person", rows, reached, notes)
    if not options.only_print:
        write_results("pixel_refine", rows, reached, notes, under)


if __name__ == "__main__":
    main()
