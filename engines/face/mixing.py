"""New people from several: a shape that is the average of theirs, a skin averaged point by point on the mesh.

Every photo is drawn in the new shape with the machinery that animates it: the skin through the mesh, what is around it
through the nodes.  Averaging there keeps eyes on eyes and lips on lips.  What an average loses, pores and single hairs,
comes back from the first person as fine detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import BadInput
from engines.face.anatomy import NARROW, Anatomy
from engines.face.arrays import Floats, Picture
from engines.face.camera import Camera
from engines.face.normals import picture_normals
from engines.face.raster import Raster

if TYPE_CHECKING:
    from engines.face.person import Person

Doubles = npt.NDArray[np.float64]

_EDGE_CM = 1.6  # over which the mixed skin goes over into the first person's surroundings
_FACING = (0.25, 0.30)  # skin that turns away further is the first person's: other photos show their wall there
_DETAIL_PX = 1.6  # sigma below which structure is detail, at 14 px per cm
_DETAIL = 0.75  # share of the first person's detail that comes back
_CHANGED_MODES = (4, 60)  # identity modes that strangeness draws from; the first ones are size and build
_MOST = 0.35  # strangeness 1 changes a mode by this many standard deviations


def mix(people: Sequence[Person], weights: Sequence[float], seed: int, strangeness: float) -> Person:
    """See `Person.mixed`."""
    from engines.face.person import dress

    shares = _shares(people, weights, strangeness)
    first = people[0]
    rng = np.random.default_rng(seed)
    camera = Camera(first.camera.scale, first.camera.rotation, first.camera.translation_px)
    neutral = _shape(people, shares, rng, strangeness)
    neutral = neutral + _recentred(first, neutral)
    projected = camera.project(neutral)
    aligned = [_draw(person, projected) for person in people]
    skin = np.tensordot(shares, np.stack([a[0].astype(np.float32) for a in aligned]), 1).astype(np.float32)
    cover = aligned[0][1].astype(np.float32)[:, :, None] / 255
    sigma = _DETAIL_PX * camera.scale / 14.4
    own = aligned[0][0].astype(np.float32)
    lost = 1 - float(np.sqrt((shares**2).sum()))  # an average of n keeps 1 / sqrt(n) of what is not shared
    skin += _DETAIL * lost * (own - cv2.GaussianBlur(own, (0, 0), sigma)) * cover
    photo = _lay_into(skin.astype(np.float32), own, cover.astype(np.float32), aligned[0][2])
    landmarks = np.tensordot(shares, np.stack([_landmarks(p, projected, camera) for p in people]), 1)
    return dress(first.anatomy, neutral, camera, photo, landmarks, seed)


def _shares(people: Sequence[Person], weights: Sequence[float], strangeness: float) -> Doubles:
    shares = np.asarray(weights, np.float64)
    if len(people) < 2 or shares.shape != (len(people),):
        raise BadInput(f"mix two or more people with a weight each, found {len(people)} people, {shares.size} weights")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise BadInput("the weights of a mixture must be 0 or more, and not all 0")
    if any(person.anatomy is not people[0].anatomy for person in people):
        raise BadInput("people of different face models cannot be mixed: load the model once")
    if not 0 <= strangeness <= 1.5:
        raise BadInput(f"strangeness must be 0..1.5, found {strangeness}")
    return np.asarray(shares / shares.sum())


def _shape(people: Sequence[Person], shares: Doubles, rng: np.random.Generator, strangeness: float) -> Floats:
    mean = np.tensordot(shares, np.stack([person.neutral for person in people]).astype(np.float64), 1)
    modes = people[0].anatomy.model.identity[slice(*_CHANGED_MODES)]
    change = rng.normal(0, _MOST * strangeness, len(modes))
    return np.asarray(mean + np.tensordot(change, modes, 1), np.float32)


def _recentred(first: Person, neutral: Floats) -> Floats:
    """A shift that puts the new face where the first person's is, so that neck and hair fit."""
    edge = first.anatomy.edge_cm < 2.0
    return np.asarray(first.neutral[:NARROW][edge].mean(0) - neutral[:NARROW][edge].mean(0), np.float32)


def _draw(person: Person, projected: Floats) -> tuple[Picture, Picture, Floats]:
    """A person's photo in the new shape; its skin's cover; both in the first person's picture frame."""
    own = person.camera.project(person.neutral)
    shape = person.photo.shape
    field = _backwards(person.anatomy, own, projected, shape)
    drawn = cv2.remap(person.photo, field[:, :, 0], field[:, :, 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros(shape[:2], np.float32)
    raster = Raster(*shape[:2])
    raster.draw(np.ascontiguousarray(projected[:NARROW]), person.anatomy.skin)
    facing = picture_normals(np.ascontiguousarray(projected[:NARROW]), person.anatomy.skin)[:, 2]
    alpha = np.clip(person.anatomy.edge_cm / _EDGE_CM, 0, 1) * np.clip((facing - _FACING[0]) / _FACING[1], 0, 1)
    alpha = np.maximum(alpha, person.anatomy.inner * (person.anatomy.edge_cm > _EDGE_CM))
    found = raster.interpolate(np.ascontiguousarray(alpha[:, None], np.float32), person.anatomy.skin)[:, :, 0]
    cover = cv2.GaussianBlur(np.where(raster.triangle >= 0, found, 0), (0, 0), 3)
    return drawn, np.asarray(np.rint(255 * cover * cover * (3 - 2 * cover)), np.uint8), cover


def _backwards(anatomy: Anatomy, own: Floats, target: Floats, shape: tuple[int, ...]) -> Floats:
    """(H, W, 2): for every pixel of the new picture where to look in the person's photo."""
    raster = Raster(*shape[:2])
    whole = np.concatenate([anatomy.skin, *(_cap(ring) for ring in anatomy.rings)])
    raster.draw(np.ascontiguousarray(target[:NARROW]), np.ascontiguousarray(whole))
    shift = np.ascontiguousarray((own - target)[:NARROW, :2], np.float32)
    field = raster.interpolate(shift, np.ascontiguousarray(whole))
    known = raster.triangle >= 0
    field = _continued(field, known)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.dstack([x + field[:, :, 0], y + field[:, :, 1]])


def _cap(ring: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Triangles over an opening, as a fan."""
    return np.stack([np.full(len(ring) - 2, ring[0]), ring[1:-1], ring[2:]], 1).astype(np.int32)


def _continued(field: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """The field carried on smoothly where it is not known: push-pull over a pyramid, then blurred at the seam."""
    levels = [(field * known[:, :, None], known.astype(np.float32))]
    while min(levels[-1][1].shape) > 2:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    filled = levels[-1][0] / np.maximum(levels[-1][1], 1e-4)[:, :, None]
    for part, weight in reversed(levels[:-1]):
        filled = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = np.minimum(weight, 1)[:, :, None]
        filled = part + (1 - share) * filled
    soft = cv2.GaussianBlur(filled, (0, 0), 6)
    return np.asarray(np.where(known[:, :, None], field, soft), np.float32)


def _lay_into(skin: Floats, around: Floats, cover: Floats, border: Floats) -> Picture:
    """The mixed skin in the first person's surroundings, whose colour near the face is pulled to the skin's.

    The quotient of both at the border is carried outwards and dies out; hair and wall hardly change by it.
    """
    quotient = (cv2.GaussianBlur(skin, (0, 0), 8) + 4) / (cv2.GaussianBlur(around, (0, 0), 8) + 4)
    ring = np.where((border > 0.3) & (border < 0.9), 1.0, 0.0).astype(np.float32)
    weight = cv2.GaussianBlur(ring, (0, 0), 25)[:, :, None]
    carried = cv2.GaussianBlur(quotient * ring[:, :, None], (0, 0), 25) / np.maximum(weight, 1e-5)
    share = np.clip(weight / 0.08, 0, 1) * _skin_like(around)[:, :, None]
    matched = around * (1 + share * (np.clip(carried, 0.8, 1.25) - 1))
    return np.asarray(np.clip(np.rint(cover * skin + (1 - cover) * matched), 0, 255), np.uint8)


def _skin_like(picture: Floats) -> Floats:
    """0..1: reddish pixels; neither wall nor dark hair."""
    blue, green, red = (cv2.GaussianBlur(picture[:, :, k], (0, 0), 3) for k in range(3))
    return np.asarray(
        np.clip((red - blue - 12) / 25, 0, 1) * np.clip((red - 40) / 40, 0, 1) * (red >= green), np.float32
    )


def _landmarks(person: Person, projected: Floats, camera: Camera) -> Doubles:
    offset = person.attachment.offset_cm[:, :2] * np.array([1, -1]) * camera.scale
    return np.asarray(projected[person.attachment.vertex, :2] + offset, np.float64)
