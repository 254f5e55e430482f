"""Ways to a frontal face or a frontal flow without a network: what eMotion-GAN is compared with in the same run.

The paper compares with SIFT flow, CFR-GAN, GLU-Net and pSp.  Trained networks of others cannot be had freely; here are
no frontalisation, a similarity from landmarks, the fitted 3D model drawn again from the front, and registration by
dense flow (OpenCV's DIS in SIFT flow's place); and ours without a network, the head's rigid movement taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from calibration.data.motion_set import MotionSet
from calibration.motion_score import end_point_px
from calibration.planes import Picture
from engines.errors import FaceLost
from engines.face.arrays import Floats
from engines.face.crop import STABLE
from engines.face.fit import ANY_EXPRESSION, Fitter
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadFitter
from engines.face.mesh import FaceModel
from engines.face.raster import Raster
from engines.face.rigid_flow import RigidHead, expression_flow, flow_less_head

SMOOTHINGS = (0.0, 0.03, 0.08, 0.2)  # shares of the side, among which registration chooses on validation people
_SOFT = 0.012  # of the side: the edge at which a drawn face goes over into the picture


class Movement(NamedTuple):
    """What every way is given: a pair from rest to apex.  Pictures (size, size, 3) uint8 BGR, landmarks (2, 478, 2)."""

    neutral: Picture
    posed: Picture
    landmarks_px: Floats
    flow_posed: Floats  # (flow, flow, 2) px, as measured
    flow_still: Floats


class Frontalised(NamedTuple):
    """What it makes of it; None where it makes none."""

    flow: Floats | None
    picture: Picture | None


class Way(Protocol):
    """A way to a frontal face."""

    @property
    def name(self) -> str:
        """As in the tables."""
        ...

    def __call__(self, given: Movement) -> Frontalised:
        """Frontalise.  Raises FaceLost where it cannot."""
        ...


@dataclass(frozen=True)
class Plain:
    """No frontalisation: the picture as it is."""

    name: str = "no frontalisation"

    def __call__(self, given: Movement) -> Frontalised:
        """As it was measured."""
        return Frontalised(given.flow_posed, given.posed)


@dataclass(frozen=True)
class Similarity:
    """Turned in the plane, shifted and scaled so that landmarks that expressions hardly move meet those at rest."""

    meter: FlowMeter
    name: str = "similarity of landmarks"

    def __call__(self, given: Movement) -> Frontalised:
        """Raises FaceLost when the landmarks lie on one spot."""
        back = aligned(given.posed, given.landmarks_px)
        return Frontalised(self.meter.measure(given.neutral, back).flow, back)


def aligned(picture: Picture, landmarks_px: Floats) -> Picture:
    """A picture moved so that its stable landmarks meet the first ones in the least squares.

    landmarks_px: (2, 478, 2), wanted and in the picture.  Raises FaceLost when they lie on one spot.
    """
    wanted, seen = (marks[STABLE, 0] + 1j * marks[STABLE, 1].astype(np.float64) for marks in landmarks_px)
    arm = seen - seen.mean()
    power = np.vdot(arm, arm).real
    if not power > 1e-6:
        raise FaceLost("the landmarks' stable points lie on one spot")
    turn = np.vdot(arm, wanted - wanted.mean()) / power
    shift = wanted.mean() - turn * seen.mean()
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    side = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.warpAffine(picture, matrix, side, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class ModelDrawn:
    """The 3D model fitted to the posed picture, with its expression, drawn with the picture's skin from the front."""

    name = "3D model drawn again"

    def __init__(self, model: FaceModel, meter: FlowMeter) -> None:
        """model: ICT-FaceKit, whole."""
        self._face, self._fitter, self._meter = model.part("narrow_face"), Fitter(model, ANY_EXPRESSION), meter
        self._raster = Raster(meter.full_px, meter.full_px)

    def __call__(self, given: Movement) -> Frontalised:
        """Raises FaceLost when no face can be fitted."""
        picture = self.drawn(given)
        return Frontalised(self._meter.measure(given.neutral, picture).flow, picture)

    def drawn(self, given: Movement) -> Picture:
        """The frontal picture; beside the face it is the similarity's."""
        size = (self._meter.full_px, self._meter.full_px)
        rest, posed = (self._fitter.fit(marks, size) for marks in given.landmarks_px)
        # One person: the shape is that of both fits
        identity = (rest.identity + posed.identity) / 2
        vertices = self._face.vertices(identity, posed.expression)
        seen = posed.camera.project(vertices)
        front = np.ascontiguousarray(rest.camera.project(vertices))
        self._raster.clear()
        self._raster.draw(front, self._face.triangles)
        places = self._raster.interpolate(np.ascontiguousarray(seen[:, :2]), self._face.triangles)
        skin = cv2.remap(given.posed, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = (self._raster.triangle >= 0).astype(np.float32)
        soft = cv2.GaussianBlur(cover, (0, 0), _SOFT * size[0])
        share = (cover * np.clip(2 * soft - 1, 0, 1))[:, :, None]
        under = aligned(given.posed, given.landmarks_px)
        mixed = np.rint(share * skin + (1 - share) * under)
        return np.asarray(mixed, np.uint8)


@dataclass(frozen=True)
class Registration:
    """The picture pulled onto the neutral one along DIS flow, smoothed so that not all expression is pulled out.

    smooth: standard deviation of a Gaussian, shares of the side.
    """

    meter: FlowMeter
    smooth: float = 0.0
    name: str = "registration by DIS flow"

    def __call__(self, given: Movement) -> Frontalised:
        """Never lost: it needs no landmarks."""
        back = self.registered(given)
        return Frontalised(self.meter.measure(given.neutral, back).flow, back)

    @staticmethod
    def dis() -> Any:
        """OpenCV's dense inverse search (Kroeger et al. 2016), its middle preset."""
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def registered(self, given: Movement) -> Picture:
        """The posed picture in the neutral one's place."""
        grey = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (given.neutral, given.posed)]
        flow = self.dis().calc(grey[0], grey[1], None)
        if self.smooth:
            flow = cv2.GaussianBlur(flow, (0, 0), self.smooth * flow.shape[0])
        y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
        places = np.stack([x + flow[:, :, 0], y + flow[:, :, 1]], -1)
        back = cv2.remap(given.posed, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(back, np.uint8)


def best_registration(
    meter: FlowMeter, chosen: Sequence[tuple[Movement, Floats, npt.NDArray[np.floating]]]
) -> Registration:
    """The smoothing with the smallest error on validation people; without any, one in the middle."""

    def error(way: Registration) -> float:
        return float(np.mean([end_point_px(_flow(way(given)), truth, face) for given, truth, face in chosen]))

    ways = [Registration(meter, smooth) for smooth in SMOOTHINGS]
    return min(ways, key=error) if chosen else ways[2]


def _flow(found: Frontalised) -> Floats:
    assert found.flow is not None
    return found.flow


class HeadSubtracted:
    """Ours without a network: the head's rigid flow taken off the one that was measured."""

    name = "ours: rigid flow subtracted"

    def __init__(self, fitter: HeadFitter, meter: FlowMeter) -> None:
        self._fitter, self._meter = fitter, meter

    def __call__(self, given: Movement) -> Frontalised:
        """Raises FaceLost when the landmarks are no head's."""
        head = RigidHead(self._fitter, given.landmarks_px[0], self._meter.full_px)
        turn = head.turn(given.landmarks_px[1])
        return Frontalised(flow_less_head(self._meter, head, given.flow_posed, turn), None)


class HeadUnturned:
    """Ours without a network: the picture brought to rest by the 3D face, then measured; around it the neutral one."""

    name = "ours: brought to rest"

    def __init__(self, fitter: HeadFitter, meter: FlowMeter) -> None:
        self._fitter, self._meter = fitter, meter

    def __call__(self, given: Movement) -> Frontalised:
        """Raises FaceLost when the landmarks are no head's."""
        head = RigidHead(self._fitter, given.landmarks_px[0], self._meter.full_px)
        found = expression_flow(self._meter, head, given.neutral, given.posed, given.landmarks_px[1])
        back = head.unturned(given.posed, found.turn)
        trust = cv2.GaussianBlur(head.trust(found.turn), (0, 0), _SOFT * self._meter.full_px)[:, :, None]
        return Frontalised(found.flow, np.rint(trust * back + (1 - trust) * given.neutral).astype(np.uint8))


def movement(pairs: MotionSet, place: int) -> Movement:
    """One row of a set, of kind neutral-apex, as ways are given it."""
    arrays = [np.array(pairs.of(name, place)) for name in ("before", "posed", "landmarks_px")]
    flows = [pairs.of(name, place).astype(np.float32) for name in ("flow_posed", "flow_still")]
    return Movement(arrays[0], arrays[1], arrays[2], flows[0], flows[1])
