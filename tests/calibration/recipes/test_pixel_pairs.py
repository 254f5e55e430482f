from dataclasses import replace

import numpy as np
import pytest

from calibration.metrics.psnr import psnr_db
from calibration.recipes.pixel_pairs import by_mouth, crop_matrix, face_mask, in_neutral_pose
from engines.errors import BadInput
from engines.face.canonical import CanonicalFace
from engines.face.pixel_mesh import mesh_of, redraw, with_rim
from rt.assets import CANONICAL_FACE, find


def test_people_can_be_taken_out_in_any_order_and_are_never_on_both_sides(toy_pairs):
    pairs = toy_pairs(9, 32)
    two = pairs.of([pairs.people[3], pairs.people[0]])
    np.testing.assert_array_equal(two.neutral, pairs.neutral[[3, 0]])
    np.testing.assert_array_equal(two.target_px, pairs.target_px[[3, 0]])
    learn, unseen = pairs.split(2, seed=1)
    assert (len(learn.people), len(unseen.people)) == (7, 2)
    assert not set(learn.people) & set(unseen.people)
    folds = pairs.folds(4, seed=1)
    assert sorted(name for _, part in folds for name in part.people) == sorted(pairs.people)
    assert all(not set(learn.people) & set(part.people) for learn, part in folds)


def test_what_does_not_fit_is_refused(toy_pairs):
    pairs = toy_pairs(3, 32)
    with pytest.raises(BadInput, match="nobody-9"):
        pairs.of(["nobody-9"])
    with pytest.raises(BadInput, match="folds"):
        pairs.folds(4, 0)
    with pytest.raises(BadInput, match="pictures"):
        replace(pairs, target=pairs.target[:2])
    with pytest.raises(BadInput, match="landmarks"):
        replace(pairs, target_px=pairs.target_px[:, :400])


def test_the_mask_holds_both_ovals(toy_pairs):
    pairs = toy_pairs(2, 48)
    masks = face_mask(pairs)
    for points in (pairs.neutral_px, pairs.target_px):
        for mask, shape in zip(masks, points, strict=True):
            x, y = np.rint(shape[[1, 61, 291, 152, 10]]).astype(int).T
            assert mask[y, x].all()
    assert 0.2 < masks.mean() < 0.7


def test_smiles_are_told_apart_by_their_teeth(toy_pairs):
    pairs = toy_pairs(4, 48)
    target_px = pairs.target_px.copy()
    target_px[:, 14, 1] = target_px[:, 13, 1]
    target_px[[1, 2], 14, 1] += 0.03 * 48
    kinds = by_mouth(replace(pairs, target_px=target_px))
    assert kinds["smile-open"].people == (pairs.people[1], pairs.people[2])
    assert kinds["smile-closed"].people == (pairs.people[0], pairs.people[3])


def test_a_centred_crop_has_the_landmarks_box_in_its_middle(toy_pairs):
    photo_px = toy_pairs(1, 48).neutral_px[0] * 7 + (30, 50)
    matrix = crop_matrix(photo_px, 128, "centred")
    points = photo_px @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose((points.min(0) + points.max(0)) / 2, 63.5, atol=1e-3)
    assert np.ptp(points, axis=0).mean() == pytest.approx(128 / 1.4, rel=1e-3)
    assert crop_matrix(photo_px, 128, "upright")[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.skipif(find(CANONICAL_FACE) is None, reason="needs canonical_face_model.obj in MYOMIRROR_ASSETS")
def test_the_head_s_movement_is_taken_out_and_the_expression_is_not(toy_pairs):
    canonical = CanonicalFace.load(find(CANONICAL_FACE))
    truth = toy_pairs(8, 64)
    rng = np.random.default_rng(3)
    depth = np.concatenate([canonical.vertices[:, 2], np.full(10, canonical.vertices[467, 2])])
    moved_px, moved = truth.target_px.copy(), truth.target.copy()
    for row in range(8):  # nods and turns: landmarks move by their depth
        moved_px[row] += rng.normal(0, 1.0, 2) + depth[:, None] * rng.normal(0, 0.25, 2)
        source, goal = with_rim(truth.target_px[row]), with_rim(moved_px[row])
        moved[row] = redraw(truth.target[row], source, goal, mesh_of(truth.target_px[row]))
    found = in_neutral_pose(replace(truth, target=moved, target_px=moved_px), canonical)
    before = np.abs(moved_px - truth.target_px)[:, :468].mean()
    after = np.abs(found.target_px - truth.target_px)[:, :468].mean()
    assert after < 0.35 * before  # the mean movement of eight heads stays: it cannot be told from the expression
    mask = face_mask(truth)[0].astype(float)
    assert psnr_db(found.target[0], truth.target[0], mask) > psnr_db(moved[0], truth.target[0], mask) + 2
