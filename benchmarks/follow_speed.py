"""How fast a face is followed: MediaPipe's networks as the face stage runs them in OpenVINO, against MediaPipe itself.

    python -m benchmarks.follow_speed

Both ways are the face stage's own, picture by picture in turns, on the demo's person: 640 x 480, electrodes on, two
cores each.  What counts beside the time is that both say the same.
"""

import argparse
import io
from itertools import islice

import av
import numpy as np
import numpy.typing as npt

from benchmarks.measure import Row, Spread, Target, alternate, conditions, show, warn_when_busy, write_results
from engines.face.demo_clip import ELECTRODES, DemoClip
from rt.message import Face, Frame
from rt.stage import Context
from rt.stages.face import FaceSettings, FaceStage

WAYS = ("openvino", "mediapipe")
_WARM_UP = 20  # pictures
_MOST_RATIO, _MOST_APART = 0.6, 0.3
Floats = npt.NDArray[np.float32]


class Way:
    """One way of following, through the same film."""

    def __init__(self, follow: str, pictures: list[npt.NDArray[np.uint8]]) -> None:
        self._stage = FaceStage(FaceSettings(follow=follow), Context(follow))  # type: ignore[arg-type]
        self._stage.open()
        self._pictures, self._next = pictures, 0
        self.faces: list[Face | None] = []

    def step(self) -> None:
        """Follow the face into the next picture."""
        frame = Frame(self._next, self._next / 30, "host", self._pictures[self._next])
        [(_, out)] = self._stage.process("frame", frame)
        self.faces.append(out.face)  # type: ignore[union-attr]
        self._next += 1

    def close(self) -> None:
        """Let go of its models."""
        self._stage.close()


def film(pictures: int) -> list[npt.NDArray[np.uint8]]:
    """The demo's person under electrodes."""
    with av.open(io.BytesIO(DemoClip.load().videos[ELECTRODES])) as video:
        return [frame.to_ndarray(format="bgr24") for frame in islice(video.decode(video=0), pictures)]


def compare(ours: list[Face | None], theirs: list[Face | None]) -> Row:
    """How far apart both are, over the pictures in which both have a face.  Raises ValueError without one."""
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not both:
        raise ValueError("no picture in which both found a face")
    points: list[Floats] = [np.stack([pair[k].landmarks_px for pair in both]) for k in range(2)]
    shapes = [np.stack([pair[k].blendshapes for pair in both]) for k in range(2)]
    restless = [float(np.linalg.norm(np.diff(way, 2, axis=0), axis=2).mean()) for way in points]
    return {
        "pictures": len(both),
        "found_by_one_only": sum((a is None) != (b is None) for a, b in zip(ours, theirs, strict=True)),
        "face_px": float(np.ptp(points[1][:, :, 0], axis=1).mean()),
        "apart_px": float(np.linalg.norm(points[0] - points[1], axis=2).mean()),
        "blendshapes_apart": float(np.abs(shapes[0] - shapes[1]).mean()),
        "restless_px": restless[0],
        "restless_peer_px": restless[1],
    }


def measure(pictures: int) -> tuple[list[Row], list[Target]]:
    """Raises RuntimeError without the landmark model."""
    shown = film(pictures)
    ways = {name: Way(name, shown) for name in WAYS}
    repeats = len(shown) - _WARM_UP
    taken = alternate({name: way.step for name, way in ways.items()}, repeats, _WARM_UP)
    for way in ways.values():
        way.close()
    rows = [_row(name, taken[name]) for name in WAYS]
    found = compare(ways["openvino"].faces, ways["mediapipe"].faces)
    ratio = taken["openvino"].median / taken["mediapipe"].median
    targets = [
        Target("a face followed: our time / MediaPipe's", ratio, _MOST_RATIO, "x"),
        Target("a face followed: landmarks apart from MediaPipe's", found["apart_px"], _MOST_APART, "px"),
    ]
    return [*rows, {"way": "both", **found}], targets


def _row(name: str, taken: Spread) -> Row:
    return {"way": name, "ms": taken.median / 1e3, "p95_ms": taken.p95 / 1e3, "p99_ms": taken.p99 / 1e3}


def main() -> None:
    """Measure, print, write results/follow_speed.json (not with --quick)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 pictures, nothing is written")
    quick = parser.parse_args().quick
    under = conditions()
    rows, targets = measure(60 if quick else 600)
    notes = ["restless: mean second difference of a landmark over time.", *warn_when_busy(under)]
    show("a face followed", rows, targets, notes)
    if not quick:
        write_results("follow_speed", rows, targets, notes, under)


if __name__ == "__main__":
    main()
