"""The landmarks' table: what it holds, that it moves with the mesh, and that damaged ones are refused."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BadInput, BundleError
from engines.face.landmarks import BUNDLE, COUNT, IRISES, OVAL, FaceLandmarks
from engines.face.mesh import FaceModel

UPPER_LIP, LOWER_LIP = (82, 13, 312), (87, 14, 317)


@pytest.fixture(scope="module")
def table():
    return FaceLandmarks.load()


@pytest.fixture(scope="module")
def model():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    return FaceModel.load(Path(os.environ["MYOMIRROR_ASSETS"]))


def test_positions_are_weighted_corners(table):
    vertices = np.random.default_rng(0).normal(size=(24591, 3))
    found = table.positions(vertices)
    for number in (0, 61, 152, 468):
        corners = zip(table.weights[number], table.corners[number], strict=True)
        np.testing.assert_allclose(found[number], sum(w * vertices[c] for w, c in corners), atol=1e-5)
    assert found.shape == (COUNT, 3)


def test_weights_are_shares(table):
    assert table.weights.min() >= 0
    np.testing.assert_allclose(table.weights.sum(1), 1, atol=1e-5)
    skin = np.setdiff1d(np.arange(468), OVAL)
    assert 0.005 < np.median(table.sd_cm[skin]) < 0.06


def test_left_and_right_mirror_each_other(table, model):
    """The mouth's and eyes' corners, the nose's wings and the irises: x changes its sign, nothing else."""
    places = table.positions(model.neutral)
    for right, left in ((61, 291), (33, 263), (133, 362), (48, 278), (468, 473), (70, 300)):
        np.testing.assert_allclose(places[right], places[left] * [-1, 1, 1], atol=0.2)
        assert places[left][0] > 0.5
    assert abs(places[[1, 4, 152, 13, 14, 168], 0]).max() < 0.15


def test_lids_close_and_lips_part_where_the_models_do(table, model):
    still = table.positions(model.neutral)
    shut = table.positions(model.vertices([], model.weights({"eyeBlink_L": 1.0, "eyeBlink_R": 1.0, "jawOpen": 0.5})))
    for upper, lower in ((159, 145), (386, 374)):
        assert shut[upper, 1] - shut[lower, 1] < 0.25 * (still[upper, 1] - still[lower, 1])
    for upper, lower in zip(UPPER_LIP, LOWER_LIP, strict=True):
        assert abs(still[upper, 1] - still[lower, 1]) < 0.2
        assert shut[upper, 1] - shut[lower, 1] > 0.6


def test_irises_follow_the_gaze(table, model):
    looking = table.positions(model.vertices([], model.weights({"eyeLookOut_L": 1.0, "eyeLookIn_R": 1.0})))
    moved = looking[list(IRISES)] - table.positions(model.neutral)[list(IRISES)]
    assert (moved[:, 0] > 0.5).all()
    assert abs(moved[:, 1]).max() < 0.1


def test_a_parts_landmarks_are_the_wholes(table, model):
    part = model.part("narrow_face", "eyeball_left", "eyeball_right")
    np.testing.assert_array_equal(table.on(part).positions(part.neutral), table.positions(model.neutral))
    with pytest.raises(BadInput, match=r"has no vertex \d+: take a larger part"):
        table.on(model.part("narrow_face"))


def test_too_small_a_mesh_is_refused(table):
    with pytest.raises(BadInput, match=r"vertices, found \(100, 3\)"):
        table.positions(np.zeros((100, 3)))


def test_a_damaged_bundle_is_refused(tmp_path):
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps({**manifest, "system": "pixel_rr"}))
    with pytest.raises(BundleError, match="is a bundle for pixel_rr, not for face_landmarks"):
        FaceLandmarks.load(tmp_path / "bundle")
