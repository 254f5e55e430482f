"""What a synthetic cohort costs: frames per second and core, seconds and megabytes per clip, and a whole one.

    python -m benchmarks.cohort_speed [--quick]

Times are CPU seconds of one process with one thread, which is how a cohort is made: one process per core.  The last
row is no measurement: it multiplies the clips' cost by the number of clips of the default cohort.  Needs the London
faces in $MYOMIRROR_DATA and the face model in $MYOMIRROR_ASSETS; says in one sentence what is missing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import Row, Spread, conditions, show, warn_when_busy, write_results
from calibration.cohort import Cohort, face_job, plan_cohort
from calibration.cohort_plan import ClipPlan, CohortSettings
from calibration.cohort_sources import Sources, find_face_model, find_faces, photo_folder
from calibration.cohort_stage import FaceStage
from calibration.cohort_workers import Maker
from calibration.data.mmm_layout import SIZE_PX
from engines.errors import EngineError
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.studio import Studio
from rt.assets import FACE_LANDMARKER, verify
from rt.errors import LiveError

EXERCISE, EMOTION = "Smile-Open", "surprised"
_WHOLE = "36 people x 2 sessions x 2 recordings x 17 tasks, EXTRAPOLATED"


def find_sources() -> Sources:
    """Photos and models as the command finds them.  Raises BadInput or MissingDevice saying what is missing."""
    photos = find_faces(photo_folder(None), verify(FACE_LANDMARKER))
    return Sources(photos, find_face_model(None))


def measure(sources: Sources, frames: int = 150, clips: int = 3) -> list[Row]:
    """Rows of pictures (ms per frame, frames per second and core) and of clips (seconds, MB), and the extrapolation."""
    settings = CohortSettings(participants=1, sessions=1)
    cohort = plan_cohort(settings, sources)
    return [*picture_rows(cohort, sources, frames), *with_whole(clip_rows(cohort, sources, clips))]


def picture_rows(cohort: Cohort, sources: Sources, frames: int) -> list[Row]:
    """One view alone, then what a clip films per frame."""
    stage = FaceStage(cohort.settings, sources)
    without, covered = (_plan(cohort, EXERCISE, electrodes) for electrodes in (False, True))
    person = stage.person(without.recording.participant)
    studio, out = Studio(SIZE_PX, SIZE_PX), np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
    smile = _smile()
    films = [stage.film(plan) for plan in (without, covered)]
    works: dict[str, Callable[[int], object]] = {
        "one view": lambda frame: studio.render(person, smile, out=out),
        "two views and their truth": lambda frame: films[0].shot(frame, smile),
        "two views, their truth, electrodes and mask": lambda frame: films[1].shot(frame, smile),
    }
    rows = []
    for what, work in works.items():
        ms = Spread.of([1e3 * _cpu_s(work, frame) for frame in range(frames + 20)][20:])
        rows.append(
            {"what": f"{what}, {SIZE_PX} x {SIZE_PX}", "ms": ms.median, "p05_ms": ms.p05, "p95_ms": ms.p95}
            | {"fps_per_core": 1e3 / ms.median}
        )
    return rows


def clip_rows(cohort: Cohort, sources: Sources, clips: int) -> list[Row]:
    """Whole clips, files and all: an exercise and an emotion, without electrodes and with."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(face_job(cohort, sources, Path(folder)))
        for task in (EXERCISE, EMOTION):
            for electrodes in (False, True):
                plan = _plan(cohort, task, electrodes)
                seconds = Spread.of([_cpu_s(maker.make, plan) for _ in range(clips + 1)][1:])
                frames, size = plan.frames(None), maker.make(plan)
                rows.append(
                    {"what": f"{task}, {'with' if electrodes else 'without'} electrodes", "frames": frames}
                    | {"s": seconds.median, "p05_s": seconds.p05, "p95_s": seconds.p95}
                    | {"fps_per_core": frames / seconds.median, "mb": size / 1e6}
                )
    return rows


def with_whole(clips: Sequence[Row]) -> list[Row]:
    """The clips' rows and what 36 people would cost at the same price per clip."""
    visits, exercises, emotions = 36 * 2, 11, 6
    total = {
        name: visits
        * sum(n * pair[name] for n, pairs in ((exercises, clips[:2]), (emotions, clips[2:])) for pair in pairs)
        for name in ("frames", "s", "mb")
    }
    whole = {"what": _WHOLE, "clips": 2 * visits * (exercises + emotions), "frames": total["frames"]}
    return [*clips, whole | {"core_hours": total["s"] / 3600, "gb": total["mb"] / 1e3}]


def _plan(cohort: Cohort, task: str, electrodes: bool) -> ClipPlan:
    return next(p for p in cohort.clips if p.id.task == task and p.id.electrodes == electrodes)


def _smile() -> np.ndarray:
    values = np.zeros(52, np.float32)
    for name, value in (("mouthSmileLeft", 0.7), ("mouthSmileRight", 0.7), ("jawOpen", 0.3), ("cheekSquintLeft", 0.3)):
        values[BLENDSHAPE_INDEX[name]] = value
    return values


def _cpu_s(work: Callable[[Any], object], what: Any) -> float:
    begin = time.process_time()
    work(what)
    return time.process_time() - begin


def main() -> int:
    """Measure, print, write results/cohort_speed.json (not with --quick); returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few frames and one clip of each, nothing is written")
    quick = parser.parse_args().quick
    cv2.setNumThreads(1)
    under = conditions()
    try:
        rows = measure(find_sources(), 30, 1) if quick else measure(find_sources())
    except (EngineError, LiveError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    notes = ["CPU seconds of one process with one thread.", "The last row is extrapolated, not measured."]
    notes += warn_when_busy(under)
    show("A synthetic cohort", rows, (), notes)
    if not quick:
        write_results("cohort_speed", rows, (), notes, under)
    return 0


if __name__ == "__main__":
    sys.exit(main())
