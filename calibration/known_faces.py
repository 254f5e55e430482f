"""Faces whose parameters are known, moved and seen by many cameras, as a face encoder learns from them."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from calibration.camera_variation import CameraVariation, VariationSettings
from calibration.data.face_set import FaceSet
from calibration.distributed import Ranks
from calibration.face_truth import Known, Truth
from calibration.planes import Picture, planes_of, resized
from calibration.recipe import chance
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.crop_camera import matrix_from_six
from engines.face.crop_geometry import SKIN

_ROOM = 1.125  # stored crops are at most so much larger than what is cut from them


def _other_sides() -> npt.NDArray[np.int64]:
    """Place of every blendshape's counterpart on the other side of the face; its own where it has none."""
    swapped = (name.replace("Left", "?").replace("Right", "Left").replace("?", "Right") for name in BLENDSHAPES)
    return np.array([BLENDSHAPE_INDEX[name] for name in swapped])


_OTHER_SIDE = _other_sides()


class KnownBatch(NamedTuple):
    """One batch, or a process' share of it; NaN in a truth stands for what nobody knows."""

    picture: Tensor  # (N, 3, size, size) float32 RGB in [-1, 1]
    expression: Tensor  # (N, 52)
    shape: Tensor  # (N, modes)
    rigid: Tensor  # (N, 6): pose, camera
    landmarks: Tensor  # (N, 468, 2) in half sides of the picture
    measured: Tensor  # (N,) bool: True where the expression is MediaPipe's word about a photo, not the truth
    number: int


@dataclass(frozen=True)
class Movements:
    """How far faces are moved in the crop, as a live crop is off: standard deviations, and the largest shift."""

    size: int  # px that come out
    turn_deg: float = 5.0
    zoom: float = 0.05
    shift: float = 0.04  # of the side, largest
    strength: float = 1.0  # of the camera's differences
    covered: float = 0.0  # share of the faces that is seen under electrodes
    mirror: float = 0.0  # share that is mirrored; of these, identity and landmarks count as unknown


class KnownFaces:
    """Batches by number: the same number gives the same batch, in every run."""

    def __init__(self, faces: FaceSet, movements: Movements, batch: int, seed: int, ranks: Ranks) -> None:
        """batch: pictures over all processes.

        Raises BadInput when the set holds no truths, or no pairs though electrodes are asked for; BadSettings when
        processes cannot share.
        """
        if faces.truth is None:
            raise BadInput(
                f"{faces.folder} does not know its faces' parameters: make faces with this version of myomirror "
                f"simulate faces"
            )
        if movements.covered and not faces.paired:
            raise BadInput(f"{faces.folder} has no pairs with electrodes: train with --set covered=0")
        self.faces, self.movements, self.batch_size, self.seed = faces, movements, batch, seed
        self._truth: Truth = faces.truth
        still = VariationSettings(movements.size, 0, 0, 0, 0, movements.strength, 0)
        self._vary, self._share = CameraVariation(still), ranks.share(batch)
        self.steps_per_epoch = math.ceil(len(faces.clean_at) / batch)
        self._order = (-1, np.zeros(0, np.int64))

    def batch(self, number: int) -> KnownBatch:
        """Batch `number`, from 0 over all epochs; on the CPU.  Every epoch goes through all faces once, shuffled."""
        epoch, at = divmod(number, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, chance(self.seed, "order", epoch).permutation(len(self.faces.clean_at)))
        order, pictures, truths, measured = self._order[1], [], [], []
        for slot in range(self.batch_size)[self._share]:
            place = int(order[(at * self.batch_size + slot) % len(order)])
            picture, truth = self._seen(place, chance(self.seed, "faces", number, slot))
            pictures.append(picture)
            truths.append(truth)
            measured.append(self.faces.clean_rows[place].source != "cohort")
        together = [torch.from_numpy(np.stack(part)) for part in zip(*truths, strict=True)]
        marks = (together[3][:, list(SKIN)] + 0.5) * (2 / self.movements.size) - 1
        expression, shape, rigid = together[:3]
        return KnownBatch(planes_of(pictures), expression, shape, rigid, marks, torch.tensor(measured), number)

    def _seen(self, place: int, draw: np.random.Generator) -> tuple[Picture, Truth]:
        faces, at = self.faces, self.faces.clean_at[place]
        under = draw.random() < self.movements.covered
        stored = faces.covered[faces.covered_at[place]] if under else faces.clean[at]
        # Interpolation sees four pixels: of a picture much larger than what comes out it would drop most
        loaded = resized(stored, min(faces.size, round(_ROOM * self.movements.size)))
        move = _movement(len(loaded), self.movements, draw)
        known = Truth(*(part[at] for part in self._truth))
        truth = moved(known, faces.size, _before(move, len(loaded) / faces.size), self.movements.size)
        side = (self.movements.size, self.movements.size)
        warped = cv2.warpAffine(loaded, move, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture = self._vary.picture(np.asarray(warped, np.uint8), draw)
        if draw.random() < self.movements.mirror:
            return np.ascontiguousarray(picture[:, ::-1]), mirrored(truth)
        return picture, truth


def moved(truth: Truth, stored: int, move: npt.NDArray[np.float64], size: int) -> Truth:
    """A truth about a picture of `stored` px after a similarity (2, 3) to one of `size` px."""
    matrix = np.full((2, 4), np.nan)
    if np.isfinite(truth.pose).all():
        matrix = matrix_from_six(truth.pose, stored)[:2]
    return Known(np.array(truth.expression), np.array(truth.identity), matrix, truth.landmarks_px).cropped(move, size)


def mirrored(truth: Truth) -> Truth:
    """A truth about the mirrored picture.  Identity and landmarks are not known of a mirrored person: nan."""
    pose = truth.pose * np.array([1, -1, -1, 1, -1, 1], np.float32)
    identity, marks = (np.full_like(part, np.nan) for part in (truth.identity, truth.landmarks_px))
    return Truth(truth.expression[_OTHER_SIDE], identity, pose, marks)


def _before(move: npt.NDArray[np.float64], zoom: float) -> npt.NDArray[np.float64]:
    """(2, 3): the same movement of a picture that was resized by `zoom` first; pixel centres at integers."""
    linear = move[:, :2] * zoom
    return np.column_stack([linear, move[:, 2] + move[:, :2] @ np.full(2, (zoom - 1) / 2)])


def _movement(stored: int, movements: Movements, draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """(2, 3): stored px to px that come out."""
    angle = np.deg2rad(draw.normal(0, movements.turn_deg))
    zoom = movements.size / stored * float(np.exp(draw.normal(0, movements.zoom)))
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = draw.uniform(-movements.shift, movements.shift, 2) * movements.size
    return np.column_stack([turn, (movements.size - 1) / 2 + shift - turn @ np.full(2, (stored - 1) / 2)])
