"""The heat map on a followed face: every channel where its muscle is, on the demo's person, who needs no asset."""

import shutil

import numpy as np
import pytest

from engines.emg.heat_landmarks import BUNDLE, HEADER, LandmarkHeat, decode_heat, encode_heat, heat_file
from engines.emg.heat_scale import heat_scale
from engines.emg.montage import FRIDLUND, KURAMOTO, Channel, Montage
from engines.errors import BadInput, BundleError
from engines.face.demo_clip import DemoClip

TOP, CHIN, NOSE, RIGHT_EYE, LEFT_EYE, LIP = 10, 152, 1, 33, 263, 14


@pytest.fixture(scope="module")
def landmarks():
    """(478, 2) px of the demo's person at rest."""
    return DemoClip.load().landmarks_px(30)


@pytest.fixture(scope="module")
def fridlund():
    return LandmarkHeat.load(FRIDLUND)


def areas(points, triangles):
    """Twice the signed areas, px^2, positive where the corners are clockwise on the screen."""
    (ax, ay), (bx, by), (cx, cy) = (points[triangles[:, k]].T for k in range(3))
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


@pytest.mark.parametrize("montage", [FRIDLUND, KURAMOTO], ids=["fridlund", "kuramoto"])
def test_every_channel_shows_on_its_own_side(montage, landmarks):
    heat = LandmarkHeat.load(montage)
    x = heat.points(landmarks)[:, 0] - landmarks[NOSE, 0]
    wide = np.ptp(landmarks[:468, 0])
    for column, channel in enumerate(montage.channels):
        weight = heat.heat[:, column].astype(float)
        assert weight.max() > 150, channel.label
        middle = (weight * x).sum() / weight.sum() / wide
        meant = {"left": middle > 0.02, "right": middle < -0.02, "midline": abs(middle) < 0.03}
        assert meant[channel.side], (channel.label, middle)


def test_muscles_lie_as_they_do_in_a_face(fridlund, landmarks):
    y = fridlund.points(landmarks)[:, 1]
    weight = fridlund.heat / fridlund.heat.sum(0, dtype=float)
    height = {channel.name: float(y @ weight[:, c]) for c, channel in enumerate(FRIDLUND.channels)}
    brow = landmarks[[RIGHT_EYE, LEFT_EYE], 1].mean()
    for side in ("right", "left"):
        down = [f"{muscle}_{side}" for muscle in ("medial_frontalis", "corrugator_supercilii", "orbicularis_oculi",
                "levator_labii_superioris", "zygomaticus", "depressor_anguli_oris", "mentalis")]  # fmt: skip
        assert [height[name] for name in down] == sorted(height[name] for name in down)
        assert landmarks[TOP, 1] < height[f"lateral_frontalis_{side}"] < brow
        assert landmarks[LIP, 1] < height[f"mentalis_{side}"] < landmarks[CHIN, 1]


def test_the_map_never_shows_more_than_the_largest_channel(fridlund):
    assert fridlund.heat.sum(1, dtype=int).max() <= 255


def test_points_are_landmarks_and_middles_of_what_comes_before(fridlund, landmarks):
    points = fridlund.points(landmarks)
    np.testing.assert_array_equal(points[:468], landmarks[:468])
    assert (fridlund.middles < np.arange(468, len(points))[:, None]).all()
    assert fridlund.triangles.max() == len(points) - 1
    for row in (468, 900, len(points) - 1):
        a, b = fridlund.middles[row - 468]
        assert points[row] == pytest.approx((points[a] + points[b]) / 2, abs=1e-3)


def test_skin_that_faces_the_camera_is_told_from_skin_that_does_not(fridlund, landmarks):
    points = fridlund.points(landmarks)
    size = areas(points, fridlund.triangles)
    assert size[size < 0].sum() > -0.005 * size[size > 0].sum()  # some are thin, and fold where lids and lips touch
    assert (areas(points * [-1, 1], fridlund.triangles) > 0).mean() < 0.05


def test_eyes_and_mouth_are_left_out(fridlund):
    clip = DemoClip.load()
    opened = max(range(0, 1620, 10), key=lambda number: clip.expression(number)[25])  # jawOpen
    landmarks = clip.landmarks_px(opened)
    corners = fridlund.points(landmarks)[fridlund.triangles]
    middles = corners.mean(1)
    for hole in (landmarks[[13, 14]].mean(0), landmarks[473], landmarks[468]):  # between the lips, irises
        assert np.linalg.norm(middles - hole, axis=1).min() > 3.0


def test_a_part_of_a_montage_is_shared_among_its_own(fridlund):
    alone = LandmarkHeat.load(FRIDLUND.subset(["F22"]))  # masseter left, which shares its place with others
    column = FRIDLUND.labels.index("F22")
    assert (alone.heat[:, 0] >= fridlund.heat[:, column]).all()
    assert (alone.heat[:, 0] > fridlund.heat[:, column]).any()


def test_the_file_comes_back_as_it_was(fridlund):
    data = heat_file(FRIDLUND)
    assert data == encode_heat(fridlund)
    assert len(data) % 4 == 0
    assert HEADER.unpack_from(data)[2:] == (22, len(fridlund.heat), 468, len(fridlund.triangles), 64, 100.0)
    found = decode_heat(data)
    for name in ("middles", "triangles", "heat"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fridlund, name))
    assert data.endswith(heat_scale().tobytes())


@pytest.mark.parametrize(("cut", "what"), [(10, "its header alone"), (5000, "cut short")])
def test_a_cut_file_is_refused(cut, what):
    with pytest.raises(BadInput, match=what):
        decode_heat(heat_file(FRIDLUND)[:cut])


def test_another_version_is_refused():
    data = bytearray(heat_file(FRIDLUND))
    data[4] += 1
    with pytest.raises(BadInput, match="not a heat map of version 1"):
        decode_heat(bytes(data))


def test_what_does_not_fit_is_one_sentence(fridlund, landmarks, tmp_path):
    strange = Montage("mine", (Channel("Z9", "ear", "left", 0, (0.0, 0.0)),))
    with pytest.raises(BadInput, match="nobody knows where Z9 of the montage 'mine' lies on a face"):
        LandmarkHeat.load(strange)
    with pytest.raises(BadInput, match=r"needs \(468, 2\) landmarks, found \(68, 2\)"):
        fridlund.points(landmarks[:68])
    damaged = tmp_path / "face-heat"
    shutil.copytree(BUNDLE, damaged)
    (damaged / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="altered or cut short"):
        LandmarkHeat.load(FRIDLUND, damaged)
