"""Films a clip of the synthetic cohort: frame by frame, with electrodes and without, from the front and the side."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from calibration.cohort_look import Look, light_row, pose_row
from calibration.cohort_plan import ClipPlan, CohortSettings, Participant
from calibration.cohort_sources import Sources
from calibration.data.mmm_layout import FPS, SIZE_PX
from engines.face.mesh import MEDIAPIPE_68, FaceModel
from engines.face.mesh_electrodes import MeshElectrodes
from engines.face.person import Person
from engines.face.sensor_noise import SensorNoise
from engines.face.studio import Rendered, Studio

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Shot(NamedTuple):
    """One frame and its truth.  The pictures are valid until the next frame.

    clean, posed: (286, 286, 3) uint8 BGR, from the front and from the second camera, without electrodes.
    covered, mask: the front picture with electrodes, and (286, 286) uint8 how far they cover it; None without.
    The rest: rows of calibration/data/truth.py.
    """

    clean: Picture
    posed: Picture
    covered: Picture | None
    mask: Picture | None
    pose: Floats
    pose_posed: Floats
    camera: Floats
    camera_posed: Floats
    landmarks_px: Floats
    landmarks_posed_px: Floats
    light: Floats


class Film(Protocol):
    """A clip that can be filmed, frame by frame, in any order."""

    def gazing(self, expression: Floats) -> Floats:
        """What the whole clip shows, (frame, 52), when the eyes look about too."""
        ...

    def shot(self, frame: int, expression: Floats) -> Shot:
        """Frame number `frame` with this expression, (52,) in [0, 1]."""
        ...


class Stage(Protocol):
    """Films clips; one per process."""

    def film(self, plan: ClipPlan) -> Film:
        """Get ready to film a clip."""
        ...

    def neutral(self, participant: Participant) -> Floats:
        """A person's face at rest: (V, 3) float32, cm."""
        ...


class FaceStage:
    """The stage with synthetic people made from photos."""

    def __init__(self, settings: CohortSettings, sources: Sources) -> None:
        """Reads the face models.  Raises BadInput when one is cut short."""
        self._settings, self._photos = settings, sources.photos
        self._model = FaceModel.load(sources.face_model)
        self._front, self._side = Studio(SIZE_PX, SIZE_PX), Studio(SIZE_PX, SIZE_PX)
        self.person = lru_cache(maxsize=2)(self._person)

    def _person(self, participant: Participant) -> Person:
        made = [self._from_photo(name, participant.seed) for name in participant.photos]
        return made[0] if len(made) == 1 else Person.mixed(made, participant.weights, participant.seed)

    def _from_photo(self, name: str, seed: int) -> Person:
        return Person.from_photo(self._model, self._photos.read(name), self._photos.landmarks_px[name], seed)

    def neutral(self, participant: Participant) -> Floats:
        """As Stage.neutral."""
        return self.person(participant).neutral

    def film(self, plan: ClipPlan) -> Film:
        """As Stage.film."""
        look = Look(self._settings, plan.recording)
        electrodes = MeshElectrodes(self._model, look.electrode_seed) if plan.recording.electrodes else None
        return _Filming(plan, self.person(plan.recording.participant), look, electrodes, (self._front, self._side))


class _Filming:
    """One clip before two cameras."""

    def __init__(
        self,
        plan: ClipPlan,
        person: Person,
        look: Look,
        electrodes: MeshElectrodes | None,
        studios: tuple[Studio, Studio],
    ) -> None:
        self._person, self._look, self._electrodes = person, look, electrodes
        self._front, self._side = studios
        self._place = plan.place
        self._start_s = sum(clip.duration_s for clip in plan.recording.clips[: plan.place])
        self._noise = SensorNoise(SIZE_PX, SIZE_PX, look.noise_seed)
        self._clean, self._posed, self._covered = (np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8) for _ in range(3))
        self._mask = np.empty((SIZE_PX, SIZE_PX), np.uint8)
        self._camera = _CameraFinder(person)

    def gazing(self, expression: Floats) -> Floats:
        """As Film.gazing."""
        return self._look.gazing(expression, round(self._start_s * FPS))

    def shot(self, frame: int, expression: Floats) -> Shot:
        """As Film.shot."""
        t_s = self._start_s + frame / FPS
        pose, light = self._look.pose(t_s, expression), self._look.light(t_s)
        posed_pose, posed_light = self._look.posed(self._place, pose, light)
        seen = self._front.render(self._person, expression, pose, light, self._clean)
        from_side = self._side.render(self._person, expression, posed_pose, posed_light, self._posed)
        covered = self._cover(seen, t_s)
        number = round(t_s * FPS)
        for picture, offset in ((self._clean, 0), (self._covered, 0), (self._posed, 7)):
            self._noise.add(picture, number + offset)
        return Shot(
            self._clean,
            self._posed,
            covered,
            self._mask if covered is not None else None,
            pose_row(pose),
            pose_row(posed_pose),
            self._camera(seen),
            self._camera(from_side),
            _landmarks(seen),
            _landmarks(from_side),
            light_row(light),
        )

    def _cover(self, seen: Rendered, t_s: float) -> Picture | None:
        """The same picture with electrodes; their mask too."""
        if self._electrodes is None:
            return None
        np.copyto(self._covered, seen.picture)
        self._electrodes.draw(self._covered, seen.projected, seen.raster, seen.light, self._mask, t_s)
        return self._covered


def _landmarks(seen: Rendered) -> Floats:
    """(68, 2), to a 64th of a pixel: more would only be noise that does not pack."""
    return np.asarray(np.rint(seen.landmarks_px[list(MEDIAPIPE_68)] * 64) / 64, np.float32)


class _CameraFinder:
    """The camera of a frame, from where vertices that no expression moves have come to lie."""

    def __init__(self, person: Person) -> None:
        still = np.setdiff1d(np.arange(len(person.neutral)), person.anatomy.movement.vertex)[::7]
        self._still = still
        self._inverse = np.linalg.pinv(np.column_stack([person.neutral[still], np.ones(len(still))]).astype(np.float64))

    def __call__(self, seen: Rendered) -> Floats:
        """(3, 4) float32: picture px and z_px from model cm."""
        return np.asarray((self._inverse @ seen.projected[self._still]).T, np.float32)
