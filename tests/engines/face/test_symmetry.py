"""Both sides of a face are read alike: what is mirrored says the same of the other side."""

import numpy as np
import pytest

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face import symmetry
from engines.face.landmarks import FaceLandmarks
from engines.face.symmetry import (
    BUNDLE,
    REGIONS,
    Observed,
    RegionTable,
    SymmetryReader,
    amount_cm,
    feature_count,
    features,
)


def test_left_is_the_mirror_of_right():
    """Landmarks of both sides lie on mirrored places of the model, in the same order."""
    weights = FaceLandmarks.load()
    for region in REGIONS:
        right, left = region.wide(0), region.wide(1)
        assert len(set(right)) == len(right) == len(set(left)) == len(left)
        assert not set(right) & set(left)
        assert max(right + left) < 468
        for pair in zip(right, left, strict=True):
            spread = weights.sd_cm[list(pair)]
            assert spread.max() < 3 * spread.min() + 0.3


def seen(seed=0, yaw=12.0):
    rng = np.random.default_rng(seed)
    return Observed(rng.normal(0, 0.2, (478, 2)), rng.normal(0, 0.2, (478, 2)), yaw, -4.0)


def mirrored(given):
    """The same face in a mirror: sides change places, x changes its sign, and so does the yaw."""
    landmarks, flow = np.zeros((478, 2)), np.zeros((478, 2))
    for region in REGIONS:
        for a, b in zip(region.wide(0), region.wide(1), strict=True):
            for plane, old in ((landmarks, given.landmarks_cm), (flow, given.flow_cm)):
                plane[a], plane[b] = old[b] * [-1, 1], old[a] * [-1, 1]
    return Observed(landmarks, flow, -given.yaw_deg, given.pitch_deg)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_a_mirrored_face_has_the_other_sides_features(region):
    given, other = seen(), mirrored(seen())
    for side in (0, 1):
        np.testing.assert_allclose(features(other, region, side), features(given, region, 1 - side))
    assert len(features(given, region, 0)) == feature_count(region)


def test_asymmetry_is_signed_and_told_only_of_what_moves():
    moved = np.array([[0.3, 0.1], [0.2, 0.2], [0.05, 0.01]], np.float32)
    np.testing.assert_allclose(SymmetryReader.asymmetry(moved), [50, 0, np.nan], atol=1e-4)


def test_amount_is_the_root_mean_square_way():
    ways = np.array([[[3.0, 0, 4], [0, 0, 0]]])
    assert amount_cm(ways)[0] == pytest.approx(np.sqrt(12.5))


def tables(change=lambda region, arrays: arrays):
    made = []
    for region in REGIONS:
        count, out = feature_count(region), 3 * len(region.right)
        arrays = [np.zeros(count), np.ones(count), np.zeros((count, out)), np.full(out, 0.1)]
        made.append(RegionTable(*(a.astype(np.float32) for a in change(region, arrays))))
    return tuple(made)


def test_tables_that_do_not_fit_are_refused():
    SymmetryReader(tables())
    with pytest.raises(BadInput, match="3 regions, found 2"):
        SymmetryReader(tables()[:2])
    with pytest.raises(BadInput, match="means of the brows"):
        SymmetryReader(tables(lambda region, arrays: [arrays[0][1:], *arrays[1:]]))


def test_what_ships_is_read_and_says_how_well_it_does(monkeypatch):
    SymmetryReader.load()
    metrics = read_bundle(BUNDLE).manifest.metrics
    at_20 = [metrics[f"{region.name}_frontal"].value for region in REGIONS]
    assert np.mean(at_20) < 5.5  # percentage points from the frontal view; what is wanted and missed: benchmarks/README
    with pytest.raises(BundleError, match="is a bundle for face_landmarks, not for face_symmetry"):
        SymmetryReader.load(BUNDLE.parent / "face-landmarks")
    monkeypatch.setattr(symmetry, "feature_count", lambda region: 3)
    with pytest.raises(BundleError, match="does not fit this version"):
        SymmetryReader.load()
