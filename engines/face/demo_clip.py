"""The demo's person as a recording: videos of one loop, and for every picture where the landmarks are.

bundles/demo-person holds it; calibration/demo_person.py renders it.  Decoding the video is the runtime's.

The landmarks of all pictures are principal components over time: a head that moves and a face with a dozen movements
have few of them.  Scores are 16-bit shares of each component's largest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face.blendshapes import BLENDSHAPES

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "demo-person"
SYSTEM = "demo_person"
ELECTRODES, CLEAN = "electrodes.mp4", "clean.mp4"
"""The same performance with electrodes on and without them."""

LANDMARKS = 478
_FULL = 32767  # of a 16-bit score
_FULL_EXPRESSION = 255
_EXACT_PX = 0.2

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DemoClip:
    """One loop: pictures 0 .. frames - 1, `fps` of them per second, the last followed by the first."""

    fps: float
    videos: Mapping[str, bytes]  # ELECTRODES and CLEAN: whole video files
    arrays: Arrays

    @classmethod
    def load(cls, bundle_dir: Path = BUNDLE) -> "DemoClip":
        """Read the bundle.  Raises BundleError when it is damaged, incomplete or another system's."""
        bundle = read_bundle(bundle_dir, SYSTEM)
        missing = {ELECTRODES, CLEAN} - set(bundle.files) | _missing_arrays(bundle.arrays)
        if missing or "fps" not in bundle.manifest.sizes:
            raise BundleError(f"{bundle_dir} lacks {', '.join(sorted(missing)) or 'sizes.fps'}: make it again")
        return cls(float(bundle.manifest.sizes["fps"]), bundle.files, bundle.arrays)

    @cached_property
    def _components(self) -> Floats:
        return np.asarray(self.arrays["landmark_components"], np.float32)

    @property
    def frames(self) -> int:
        """Pictures in one loop."""
        return len(self.arrays["landmark_scores"])

    @property
    def period_s(self) -> float:
        """After this long the clip begins again."""
        return self.frames / self.fps

    def landmarks_px(self, frame: int) -> Floats:
        """Where MediaPipe's landmarks are in picture `frame`, counted through all repetitions: (478, 2) (x, y) px."""
        scores = self.arrays["landmark_scores"][frame % self.frames].astype(np.float32) / _FULL
        flat = self.arrays["landmark_mean"] + scores @ self._components
        return np.asarray(flat.reshape(LANDMARKS, 2))

    def expression(self, frame: int) -> Floats:
        """What the face shows in picture `frame`: (52,) float32 in [0, 1], the order of BLENDSHAPES."""
        return np.asarray(self.arrays["expression"][frame % self.frames].astype(np.float32) / _FULL_EXPRESSION)


def truth_arrays(landmarks_px: npt.NDArray[np.floating], expression: npt.NDArray[np.floating]) -> Arrays:
    """Pack what DemoClip reads: as few components as put every landmark within a fifth of a pixel.

    landmarks_px: (frame, 478, 2).  expression: (frame, 52) in [0, 1].  Raises BadInput for other shapes.
    """
    frames = len(landmarks_px)
    if landmarks_px.shape != (frames, LANDMARKS, 2) or expression.shape != (frames, len(BLENDSHAPES)):
        found = f"{landmarks_px.shape} and {expression.shape}"
        raise BadInput(f"a clip's truth is (frame, {LANDMARKS}, 2) and (frame, {len(BLENDSHAPES)}), found {found}")
    flat = landmarks_px.reshape(frames, -1).astype(np.float64)
    mean = flat.mean(0).astype(np.float32)
    rest, scores, components = flat - mean, [], []
    directions = np.linalg.svd(rest, full_matrices=False)[2]
    for direction in directions:
        if np.abs(rest).max(initial=0.0) <= _EXACT_PX:
            break
        amount = rest @ direction
        largest = np.abs(amount).max()
        scores.append(np.rint(amount / largest * _FULL).astype(np.int16))
        components.append((direction * largest).astype(np.float16))
        rest -= np.outer(scores[-1] / _FULL, components[-1].astype(np.float64))
    return {
        "landmark_mean": mean,
        "landmark_scores": np.array(scores, np.int16).reshape(-1, frames).T.copy(),
        "landmark_components": np.array(components, np.float16).reshape(-1, 2 * LANDMARKS),
        "expression": np.rint(np.clip(expression, 0, 1) * _FULL_EXPRESSION).astype(np.uint8),
    }


def _missing_arrays(arrays: Arrays) -> set[str]:
    return {"landmark_mean", "landmark_scores", "landmark_components", "expression"} - set(arrays)
