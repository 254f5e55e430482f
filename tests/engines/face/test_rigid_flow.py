"""What turning does to a picture, against the renderer's own truth; and what is left is the expression."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.camera import Camera
from engines.face.flow import FlowMeter
from engines.face.head_turn import HeadFitter, HeadTurn
from engines.face.landmarks import FaceLandmarks
from engines.face.mesh import FaceModel, expression_from_arkit52
from engines.face.pose import HeadPose
from engines.face.raster import Raster
from engines.face.rigid_flow import RigidHead, expression_flow, flow_less_head, subtracted

MODEL = Path(os.environ.get("MYOMIRROR_ASSETS", "/missing")) / "ict_facekit_light.npz"
SIZE = 128
FLIP = np.array([1.0, -1.0, 1.0])


class Shown:
    """A face with a texture that sticks to the skin, seen by a camera of known pose."""

    def __init__(self, model):
        self.model, self.face, self.table = model, model.part("narrow_face"), FaceLandmarks.load()
        self.identity = np.random.default_rng(3).normal(0, 0.7, 20).astype(np.float32)
        noise = np.random.default_rng(0).random((96, 96, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), 2)
        self.texture = cv2.normalize(smooth, None, 40, 230, cv2.NORM_MINMAX).astype(np.uint8)

    def shot(self, pose=None, expression=None):
        """Picture, landmarks, projected narrow face."""
        pose = pose or HeadPose()
        weights = expression_from_arkit52(np.zeros(52) if expression is None else expression)
        whole = self.model.vertices(self.identity, weights)
        camera = Camera(5.2 * pose.zoom, pose.rotation, np.array([63.5 + 5 * pose.right_cm, 66.0]))
        raster = Raster(SIZE, SIZE)
        projected = camera.project(self.face.vertices(self.identity, weights))
        raster.draw(projected, self.face.triangles)
        picture = np.full((SIZE, SIZE, 3), 90, np.uint8)
        raster.texture(self.face.uvs, self.face.triangle_uvs, self.texture, picture)
        return picture, self.table.positions(camera.project(whole)[:, :2]), projected


def smile():
    expression = np.zeros(52, np.float32)
    for name, weight in (("mouthSmileLeft", 0.8), ("mouthSmileRight", 0.5), ("browInnerUp", 0.6)):
        expression[BLENDSHAPE_INDEX[name]] = weight
    return expression


@pytest.fixture(scope="module")
def shown():
    if not MODEL.is_file():
        pytest.skip("needs MYOMIRROR_ASSETS")
    return Shown(FaceModel.load(MODEL))


@pytest.fixture(scope="module")
def head(shown):
    return RigidHead(HeadFitter(shown.model), shown.shot()[1], SIZE)


def true_field(shown, before, after):
    raster = Raster(SIZE, SIZE)
    raster.draw(before, shown.face.triangles)
    way = np.ascontiguousarray((after - before)[:, :2])
    return raster.interpolate(way, shown.face.triangles), raster.triangle >= 0


POSES = [HeadPose(25, 0, 0), HeadPose(0, 18, 0), HeadPose(-12, -8, 15), HeadPose(0, 0, 0, 2.0, 0.0, 1.15)]


@pytest.mark.parametrize("pose", POSES)
def test_the_rigid_flow_is_the_renderers(shown, head, pose):
    neutral, posed = shown.shot(), shown.shot(pose)
    field, seen = true_field(shown, neutral[2], posed[2])
    turn = head.turn(posed[1])
    assert (turn.yaw_deg, turn.pitch_deg, turn.roll_deg) == pytest.approx(
        (pose.yaw_deg, pose.pitch_deg, pose.roll_deg), abs=1.5
    )
    seen &= head.trust(turn) > 0.5
    away = np.linalg.norm(head.rigid_flow(turn) - field, axis=2)[seen].mean()
    assert away < 0.04 * np.linalg.norm(field, axis=2)[seen].mean()


def test_a_smile_changes_the_turn_little(shown, head):
    pose = HeadPose(20, 5, 0)
    plain, smiling = head.turn(shown.shot(pose)[1]), head.turn(shown.shot(pose, smile())[1])
    assert abs(plain.yaw_deg - smiling.yaw_deg) < 1
    assert abs(plain.pitch_deg - smiling.pitch_deg) < 1


def test_at_rest_nothing_moves(shown, head):
    turn = head.turn(shown.shot()[1])
    assert np.abs(head.rigid_flow(turn)).max() < 0.05
    picture = shown.shot()[0]
    assert np.abs(head.unturned(picture, turn).astype(int) - picture).mean() < 0.2


@pytest.mark.parametrize("pose", POSES[:3])
def test_unturning_shows_the_face_at_rest(shown, head, pose):
    neutral, posed = shown.shot(), shown.shot(pose)
    turn = head.turn(posed[1])
    back = head.unturned(posed[0], turn)
    seen = (head.trust(turn) > 0.7) & (head.face > 0.99)
    seen = cv2.erode(seen.astype(np.uint8), np.ones((9, 9))) > 0
    error = np.abs(back.astype(float) - neutral[0]).mean(-1)[seen].mean()
    assert error < 0.35 * np.abs(posed[0].astype(float) - neutral[0]).mean(-1)[seen].mean()


@pytest.mark.parametrize("pose", POSES)
def test_what_is_left_is_the_expression(shown, head, pose):
    meter = FlowMeter(SIZE, SIZE)
    neutral, front, posed = shown.shot(), shown.shot(None, smile()), shown.shot(pose, smile())
    field, seen = true_field(shown, neutral[2], front[2])
    left = expression_flow(meter, head, neutral[0], posed[0], posed[1])
    seen &= left.trust > 0.6
    away = np.linalg.norm(left.flow - field, axis=2)[seen].mean()
    raw = meter.measure(neutral[0], posed[0]).flow
    assert away < 0.8 * np.linalg.norm(field, axis=2)[seen].mean()
    assert away < 0.3 * np.linalg.norm(raw - field, axis=2)[seen].mean()
    after = flow_less_head(meter, head, raw, left.turn)
    assert np.linalg.norm(after - field, axis=2)[seen].mean() < np.linalg.norm(raw - field, axis=2)[seen].mean()
    assert (left.flow[head.face == 0] == 0).all()


def test_skin_that_is_turned_away_is_not_trusted(shown, head):
    right, left = (head.trust(head.turn(shown.shot(HeadPose(yaw, 0, 0))[1])) for yaw in (35, -35))
    front = head.trust(head.turn(shown.shot()[1]))
    half = SIZE // 2
    assert right[:, half:].sum() < 0.9 * front[:, half:].sum()
    assert left[:, :half].sum() < 0.9 * front[:, :half].sum()


def slow_field(head, turn):
    y, x = np.mgrid[:SIZE, :SIZE]
    points = np.stack([x, y, head._depth, np.ones_like(head._depth)], -1)
    return ((points @ turn.matrix.T)[..., :2] - points[..., :2]) * head._fade[..., None]


def test_the_kernel_is_its_slow_twin(shown, head):
    turn = head.turn(shown.shot(POSES[2])[1])
    out = np.zeros((SIZE, SIZE, 2), np.float32)
    assert head.rigid_flow(turn, out) is out
    np.testing.assert_allclose(out, slow_field(head, turn), atol=1e-3)
    toward = np.tensordot(head._normal, turn.rotation[2], 1)
    share = np.clip((toward - 0.12) / 0.23, 0, 1)
    np.testing.assert_allclose(head.trust(turn), share**2 * (3 - 2 * share) * head.face, atol=1e-4)


def test_arrays_that_do_not_fit(shown, head):
    turn = HeadTurn(np.eye(3, 4), 1.0, 0, 0, 0, 0)
    with pytest.raises(BadInput, match="output"):
        head.rigid_flow(turn, np.zeros((4, 4, 2), np.float32))
    with pytest.raises(BadInput, match="output"):
        head.trust(turn, np.zeros((4, 4), np.float32))
    with pytest.raises(BadInput, match="picture of the turned head"):
        head.unturned(np.zeros((64, 64, 3), np.uint8), turn)
    with pytest.raises(BadInput, match=r"32\.\.4096"):
        RigidHead(HeadFitter(shown.model), shown.shot()[1], 8)


def test_subtracting_is_what_it_says():
    flow, rigid = np.full((2, 2, 2), 5, np.float32), np.full((2, 2, 2), 3, np.float32)
    trust = np.array([[1, 0.5], [0, 1]], np.float32)
    np.testing.assert_array_equal(subtracted(flow, rigid, trust)[..., 0], [[2, 1], [0, 2]])
    with pytest.raises(BadInput, match="rigid flow"):
        subtracted(flow, rigid[:1], trust)
