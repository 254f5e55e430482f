"""The synthetic person: everything about one face that does not change from frame to frame.

Made from one neutral photo with its landmarks, or mixed from several people (engines/face/mixing.py), and animated by
engines/face/studio.py.  Pictures are BGR uint8 and unmirrored: the person's left is on the picture's right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput, FaceLost
from engines.face import light as lights
from engines.face.anatomy import NARROW, SIDES, Anatomy, anatomy_of
from engines.face.arrays import Floats, Picture
from engines.face.camera import Camera
from engines.face.eyes import Eye, look_at_eye
from engines.face.fit import NEUTRAL, fit
from engines.face.furrows import draw_furrows
from engines.face.landmarks import COUNT
from engines.face.lids import lid_factor, paint_shut
from engines.face.matte import Matte, cut_out
from engines.face.mesh import LANDMARKS_68, FaceModel
from engines.face.mouth import Mouth, bake_mouth
from engines.face.normals import picture_normals
from engines.face.raster import Raster
from engines.face.registration import IRISES, Attachment, attach_landmarks, bend_to_landmarks
from engines.face.skin import ALPHA, FIXED, SHUT_U, SHUT_V, U, V
from engines.face.surroundings import Surroundings, lay_out

Doubles = npt.NDArray[np.float64]

SMALLEST_PX = 200  # side of a usable photo
_FADE_CM = 0.9  # the skin's mesh fades into the photo over this at its border
_TURNED = (0.12, 0.34)  # and where it faced so far away in the photo (z of its normal)
_HEAD_MIDDLE = (0.0, 1.0, 1.0)  # cm in the model
_NECK = (0.0, -7.0, -1.0)
_UPPER_TEETH_DOWN_CM = 0.15
_TOOTH_GROWS = np.array([1.09, 1.0, 1.0], np.float32)
_LETTER = {"left": "L", "right": "R"}


@dataclass(frozen=True)
class Person:
    """One face, ready to be animated; share it freely, nothing in it changes.

    neutral: (V, 3) float32, cm, the face at rest.  camera: from there to the photo.  photo: (H, W, 3), shut: the same
    with painted shut lids.  furrows: (H, W, 2).  fixed: (NARROW, FIXED) float32, see engines/face/skin.py.  delta:
    (N, 3) float32, the anatomy's displacements with this person's blink.  lit: (NARROW,) float32, shade in the photo;
    normals: (NARROW, 3) there.  eyes: left, right.  seed: of furrows and lashes.
    """

    anatomy: Anatomy
    neutral: Floats
    camera: Camera
    photo: Picture
    shut: Picture
    furrows: Picture
    fixed: Floats
    delta: Floats
    lit: Floats
    normals: Floats
    eyes: tuple[Eye, Eye]
    mouth: Mouth
    attachment: Attachment
    surroundings: Surroundings
    matte: Matte
    rms_px: float
    seed: int

    @classmethod
    def from_photo(
        cls, model: FaceModel, photo: Picture, landmarks_px: npt.NDArray[np.floating] | None, seed: int = 0
    ) -> Person:
        """Fit a person to a neutral, frontal photo (about 1.5 s).

        photo: (H, W, 3) uint8 BGR, 200 px or more, unmirrored.  landmarks_px: (478, 2) float, (x, y) in photo px as
        MediaPipe finds them, None when it found no face.  seed: of what the photo does not show (furrows, lashes).
        Raises BadInput when there is no face, the face is cut off or an array does not fit.
        """
        _check_photo(photo)
        if landmarks_px is None or not len(landmarks_px):
            raise BadInput("no face was found in the photo: take one that shows a whole face from the front")
        points = np.asarray(landmarks_px, np.float64)
        if points.shape != (COUNT, 2):
            raise BadInput(f"landmarks must be ({COUNT}, 2) px, found {points.shape}")
        low, high = points.min(0), points.max(0)
        if not np.isfinite(points).all() or (low < 0).any() or (high > [photo.shape[1] - 1, photo.shape[0] - 1]).any():
            raise BadInput("the face is cut off by the photo's border: take one that shows the whole face")
        try:
            found = fit(model, points, (photo.shape[0], photo.shape[1]), NEUTRAL)
        except FaceLost as error:
            raise BadInput(f"no face can be fitted to the photo ({error}): take one from the front") from error
        anatomy = anatomy_of(model)
        rough = model.vertices(found.identity, found.expression)
        neutral = bend_to_landmarks(anatomy, _set_teeth(anatomy, rough), found.camera, points)
        return dress(anatomy, neutral, found.camera, photo, points, seed, found.rms_px)

    @classmethod
    def mixed(
        cls,
        people: Sequence[Person],
        weights: Sequence[float],
        seed: int,
        strangeness: float = 0.6,
    ) -> Person:
        """A new person from several: shapes and skins are averaged, hair and surroundings are the first one's.

        people: 2 or more of one face model.  weights: as many, >= 0, not all 0.  seed: of the change of identity.
        strangeness: 0..1.5, how far the shape is changed by random identity modes (standard deviations).
        Raises BadInput when numbers do not fit.
        """
        from engines.face.mixing import mix

        return mix(people, weights, seed, strangeness)

    @cached_property
    def depth_px(self) -> Floats:
        """(V,) z_px of the face at rest in the photo."""
        return np.ascontiguousarray(self.camera.project(self.neutral)[:, 2])

    @cached_property
    def middle_px(self) -> Doubles:
        """(3,) the head's middle in the photo: what a picture is centred on."""
        return np.asarray(self.camera.project(np.array([_HEAD_MIDDLE]))[0], np.float64)

    @cached_property
    def pivot_px(self) -> Doubles:
        """(3,) the neck's joint in the photo, about which a head turns."""
        return np.asarray(self.camera.project(np.array([_NECK]))[0], np.float64)

    @property
    def landmarks_px(self) -> Doubles:
        """(478, 2), the photo's landmarks."""
        held = self.camera.project(self.neutral)[self.attachment.vertex, :2]
        return np.asarray(held + self.attachment.offset_cm[:, :2] * np.array([1, -1]) * self.camera.scale)


def _check_photo(photo: Picture) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or min(photo.shape[:2]) < SMALLEST_PX:
        raise BadInput(
            f"a photo must be uint8 BGR of {SMALLEST_PX} px or more, found {photo.dtype} {photo.shape}: "
            "take a larger one"
        )


def dress(
    anatomy: Anatomy,
    neutral: Floats,
    camera: Camera,
    photo: Picture,
    landmarks_px: Doubles,
    seed: int,
    rms_px: float = 0.0,
) -> Person:
    """Everything that a registered face and its photo determine.  neutral: (V, 3), as seen in the photo."""
    photo = photo.copy(order="C")  # the caller may go on drawing; and kernels are compiled for writable ones
    projected = camera.project(neutral)
    normals = picture_normals(np.ascontiguousarray(projected[:NARROW]), anatomy.skin)
    delta, shut_px = _blinks(anatomy, neutral, camera)
    shut = photo.copy()
    for index in range(2):
        paint_shut(anatomy, index, photo, projected[:NARROW], shut_px[index], camera.scale, shut, seed)
    fixed = _fixed(anatomy, projected, shut_px, normals)
    lit = np.zeros(NARROW, np.float32)
    lights.lambert(normals, lights.STUDIO_LIGHT.towards, np.float32(lights.STUDIO_LIGHT.ambient), lit)
    raster = Raster(*photo.shape[:2])
    raster.draw(np.ascontiguousarray(projected[:NARROW]), anatomy.skin)
    middle = camera.project(np.array([_HEAD_MIDDLE]))[0]
    matte = cut_out(photo, middle, float(projected[:NARROW, 1].max()), camera.scale)
    around = lay_out(
        photo.shape,
        projected,
        anatomy.skin,
        (raster.triangle, raster.barycentric),
        camera.scale,
        (float(middle[0]), float(middle[1]), float(middle[2])),
        matte.cover,
    )
    return Person(
        anatomy=anatomy,
        neutral=neutral,
        camera=camera,
        photo=photo,
        shut=shut,
        furrows=draw_furrows(projected, camera.scale, photo.shape, _furrow_depth(seed), seed),
        fixed=fixed,
        delta=delta,
        lit=lit,
        normals=normals,
        eyes=_eyes(anatomy, projected, photo, landmarks_px),
        mouth=bake_mouth(anatomy.model, anatomy.teeth, neutral, _tooth_brightness(photo, projected)),
        attachment=attach_landmarks(anatomy, neutral, camera, landmarks_px),
        surroundings=around,
        matte=matte,
        rms_px=rms_px,
        seed=seed,
    )


def _set_teeth(anatomy: Anatomy, neutral: Floats) -> Floats:
    """Close the model's gaps between teeth, which draw as black bars, and let the upper ones show below the lip."""
    moved = neutral.copy()
    level = float(np.median(moved[slice(*anatomy.model.regions["teeth"]), 1]))
    for tooth in anatomy.teeth:
        middle = moved[tooth].mean(0)
        moved[tooth] = middle + (moved[tooth] - middle) * _TOOTH_GROWS
        if middle[1] > level:
            moved[tooth, 1] -= _UPPER_TEETH_DOWN_CM
    return moved


def _blinks(anatomy: Anatomy, neutral: Floats, camera: Camera) -> tuple[Floats, tuple[Floats, Floats]]:
    """Displacements with the lids' way fitted to this person, and the skin with each eye shut, in the photo."""
    delta = anatomy.movement.delta
    shut = []
    for index, side in enumerate(SIDES):
        row = anatomy.model.expression_index(f"eyeBlink_{_LETTER[side]}")
        factor = lid_factor(anatomy, index, neutral)
        part = slice(anatomy.movement.starts[row], anatomy.movement.starts[row + 1])
        vertex = anatomy.movement.vertex[part]
        delta = delta.copy() if index == 0 else delta
        delta[part] *= factor[vertex, None]
        moved = neutral.copy()
        moved[vertex] += delta[part]
        shut.append(np.ascontiguousarray(camera.project(moved)[:NARROW]))
    return delta, (shut[0], shut[1])


def _fixed(anatomy: Anatomy, projected: Floats, shut_px: tuple[Floats, Floats], normals: Floats) -> Floats:
    fixed = np.zeros((NARROW, FIXED), np.float32)
    fixed[:, [U, V]] = projected[:NARROW, :2]
    fixed[:, [SHUT_U, SHUT_V]] = projected[:NARROW, :2]
    for index, points in enumerate(shut_px):
        own = anatomy.lid_share[index] > 0
        fixed[own, SHUT_U], fixed[own, SHUT_V] = points[own, 0], points[own, 1]
    edge = np.clip(anatomy.edge_cm / _FADE_CM, 0, 1)
    facing = np.clip((normals[:, 2] - _TURNED[0]) / (_TURNED[1] - _TURNED[0]), 0, 1)
    inner = np.maximum(facing, anatomy.inner)
    fixed[:, ALPHA] = edge * edge * (3 - 2 * edge) * inner
    return fixed


def _eyes(anatomy: Anatomy, projected: Floats, photo: Picture, landmarks_px: Doubles) -> tuple[Eye, Eye]:
    found = []
    for index, side in enumerate(SIDES):
        upper, lower = anatomy.margins[index]
        opening = projected[np.concatenate([upper, lower[::-1]]), :2].astype(np.float64)
        found.append(look_at_eye(photo, opening, landmarks_px[list(IRISES[side])]))
    return found[0], found[1]


def _furrow_depth(seed: int) -> float:
    """How deep this skin folds; the photo hardly tells."""
    return float(np.random.default_rng((seed, 7)).uniform(0.55, 1.1))


def _tooth_brightness(photo: Picture, projected: Floats) -> float:
    """Teeth follow the photo's exposure as the whites of the eyes do, within what is plausible."""
    marks = projected[list(LANDMARKS_68), :2]
    low, high = marks[36:48].min(0).astype(int), marks[36:48].max(0).astype(int)
    grey = cv2.cvtColor(photo[low[1] : high[1] + 1, low[0] : high[0] + 1], cv2.COLOR_BGR2GRAY)
    return float(np.clip(np.percentile(grey, 92) / 190.0, 0.75, 1.05))
