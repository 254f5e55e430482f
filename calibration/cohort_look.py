"""How a recording looks: where the head is and how it moves, where the eyes look, the room's light, the second camera.

Light, seat and electrodes are those of a visit: they differ between a person's sessions and a little between the two
recordings of one.  All sizes are choices, made from what webcams in a consulting room show.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from calibration.cohort_plan import LOOK, VIEW, CohortSettings, RecordingPlan, random
from calibration.data.mmm_layout import FPS
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.light import Light
from engines.face.pose import HeadPose

_ZOOM = (1.18, 1.32)  # the head fills the picture, as in MMM's crops
_SITS_DEG, _SITS_CM = (2.5, 2.0, 1.2), (0.4, 0.4)  # SD of yaw, pitch, roll and of the place, between recordings
_SWAYS_DEG, _SWAYS_CM, _SWAYS_ZOOM = (1.6, 1.2, 0.8), (0.25, 0.15), 0.008  # RMS within a recording
_SWAY_HZ = (0.04, 0.35)
_WAVES = 5
_WITH_BROWS_DEG, _WITH_JAW_DEG = 1.5, 1.0  # the head goes back with raised brows and with an open mouth
_GAZE_SD = (0.13, 0.05)  # of a glance elsewhere, sideways and up, as a share of the eyes' full turn
_GLANCE_S, _BETWEEN_GLANCES_S = (0.4, 1.2), (1.5, 6.0)
_POSED_YAW_DEG, _POSED_PITCH_DEG = (12.0, 24.0), (-7.0, 7.0)

_BROWS = [BLENDSHAPE_INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
_JAW = BLENDSHAPE_INDEX["jawOpen"]

Floats = npt.NDArray[np.float32]


class Look:
    """The look of one recording, at any moment."""

    def __init__(self, settings: CohortSettings, plan: RecordingPlan) -> None:
        """Everything follows from the settings' seed and the plan's key."""
        visit = random(settings.seed, LOOK, plan.number, plan.session)
        own = random(settings.seed, LOOK, *plan.key)
        self.electrode_seed = int(visit.integers(2**31))
        self.noise_seed = int(own.integers(2**31))
        self._light = _light(visit)
        self._base = np.array([*_SITS_DEG, *_SITS_CM, 0.0]) * own.standard_normal(6)
        self._base[5] = visit.uniform(*_ZOOM)
        self._sway = np.array([*_SWAYS_DEG, *_SWAYS_CM, _SWAYS_ZOOM])
        self._hz = own.uniform(*_SWAY_HZ, (_WAVES, 6))
        self._phase = own.uniform(0, 2 * np.pi, (_WAVES, 6))
        self._flicker = own.uniform(0, 2 * np.pi, 2)
        self._gaze = _gaze(own, round(sum(clip.duration_s for clip in plan.clips) * FPS))
        self._views = [_view(random(settings.seed, VIEW, *plan.key, place)) for place in range(len(plan.clips))]

    def gazing(self, expression: Floats, first_frame: int) -> Floats:
        """An expression with the eyes' own movement.

        expression: (frame, 52).  first_frame: the clip's first one, counted from the recording's.  Returns (frame, 52).
        """
        looks = self._gaze[first_frame : first_frame + len(expression)]
        return np.asarray(np.clip(expression + looks, 0.0, 1.0), np.float32)

    def pose(self, t_s: float, expression: Floats) -> HeadPose:
        """The head before the front camera, t_s seconds into the recording; it nods along with expression, (52,)."""
        waves = np.sin(2 * np.pi * self._hz * t_s + self._phase).sum(0) * math.sqrt(2 / _WAVES)
        yaw, pitch, roll, right, up, zoom = self._base + self._sway * waves
        pitch += _WITH_BROWS_DEG * float(expression[_BROWS].mean()) + _WITH_JAW_DEG * float(expression[_JAW])
        return HeadPose(float(yaw), float(pitch), float(roll), float(right), float(up), float(zoom))

    def light(self, t_s: float) -> Light:
        """The light as the front camera sees it: exposure wanders by a percent or two."""
        wander = 0.012 * math.sin(0.9 * t_s + self._flicker[0]) + 0.006 * math.sin(4.1 * t_s + self._flicker[1])
        return replace(self._light, intensity=self._light.intensity * (1.0 + wander))

    def posed(self, place: int, pose: HeadPose, light: Light) -> tuple[HeadPose, Light]:
        """The same moment from the second camera, which stands elsewhere for every clip.

        place: the clip's place in the recording.
        """
        yaw, pitch = self._views[place]
        view = replace(pose, yaw_deg=pose.yaw_deg + yaw, pitch_deg=pose.pitch_deg + pitch)
        towards = HeadPose(yaw_deg=yaw, pitch_deg=pitch).rotation @ np.array(light.direction, np.float64)
        return view, replace(light, direction=(float(towards[0]), float(towards[1]), float(towards[2])))


def _light(rng: np.random.Generator) -> Light:
    """A window or lamp, warmer or colder than the photo's."""
    direction = (float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.1, 0.7)), 1.0)
    colder, greener = 0.05 * rng.standard_normal(), 0.012 * rng.standard_normal()
    tint = (math.exp(colder), math.exp(greener), math.exp(-colder))
    return Light(direction, float(rng.uniform(0.85, 1.1)), float(rng.uniform(0.45, 0.7)), tint)


def _gaze(rng: np.random.Generator, frames: int) -> Floats:
    """On the screen most of the time, with a glance elsewhere every few seconds: (frame, 52), eyeLook shapes only."""
    place = np.zeros((frames, 2))  # to the person's left, up
    at_s = float(rng.uniform(*_BETWEEN_GLANCES_S))
    while (first := round(at_s * FPS)) < frames:
        lasts_s = float(rng.uniform(*_GLANCE_S))
        place[first : first + round(lasts_s * FPS)] = rng.normal(0, _GAZE_SD)
        at_s += lasts_s + float(rng.uniform(*_BETWEEN_GLANCES_S))
    place[1:-1] = 0.25 * place[:-2] + 0.5 * place[1:-1] + 0.25 * place[2:]  # a saccade takes two frames
    left, up = place.T
    shapes = np.zeros((frames, len(BLENDSHAPE_INDEX)), np.float32)
    for name, amount in (
        *(("OutLeft", left), ("InRight", left), ("InLeft", -left), ("OutRight", -left)),
        *(("UpLeft", up), ("UpRight", up), ("DownLeft", -up), ("DownRight", -up)),
    ):
        shapes[:, BLENDSHAPE_INDEX[f"eyeLook{name}"]] = np.maximum(amount, 0)
    return shapes


def _view(rng: np.random.Generator) -> tuple[float, float]:
    side = 1.0 if rng.random() < 0.5 else -1.0
    return side * float(rng.uniform(*_POSED_YAW_DEG)), float(rng.uniform(*_POSED_PITCH_DEG))


def pose_row(pose: HeadPose) -> Floats:
    """(6,), in the order of calibration/data/truth.py's POSE."""
    values = (pose.yaw_deg, pose.pitch_deg, pose.roll_deg, pose.right_cm, pose.up_cm, pose.zoom)
    return np.array(values, np.float32)


def light_row(light: Light) -> Floats:
    """(8,), in the order of calibration/data/truth.py's LIGHT."""
    return np.array([*light.direction, light.intensity, light.ambient, *light.tint], np.float32)
