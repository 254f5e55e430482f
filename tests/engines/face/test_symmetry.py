"""Both sides of a face are read alike: what is mirrored says the same of the other side."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from engines.bundle import read_bundle
from engines.errors import BadInput, BundleError
from engines.face import symmetry
from engines.face.action_units import mirrored as other_shapes
from engines.face.landmarks import FaceLandmarks
from engines.face.symmetry import (
    BUNDLE,
    REGIONS,
    Observed,
    SideNetwork,
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
    shapes = rng.random(52).astype(np.float32)
    return Observed(rng.normal(0, 0.2, (478, 2)), rng.normal(0, 0.2, (478, 2)), shapes, yaw, -4.0)


def mirrored(given):
    """The same face in a mirror: sides change places, x changes its sign, and so does the yaw."""
    landmarks, flow = np.zeros((478, 2)), np.zeros((478, 2))
    for region in REGIONS:
        for a, b in zip(region.wide(0), region.wide(1), strict=True):
            for plane, old in ((landmarks, given.landmarks_cm), (flow, given.flow_cm)):
                plane[a], plane[b] = old[b] * [-1, 1], old[a] * [-1, 1]
    return Observed(landmarks, flow, other_shapes(given.shapes, "arkit52"), -given.yaw_deg, given.pitch_deg)


def test_a_mirrored_face_has_the_other_sides_features():
    given, other = seen(), mirrored(seen())
    for side in (0, 1):
        np.testing.assert_allclose(features(other, side), features(given, 1 - side))
        assert len(features(given, side)) == feature_count()
    assert np.abs(features(given, 0) - features(given, 1)).max() > 0.1


def test_asymmetry_is_signed_and_told_only_of_what_moves():
    moved = np.array([[0.3, 0.1], [0.2, 0.2], [0.05, 0.01]], np.float32)
    np.testing.assert_allclose(SymmetryReader.asymmetry(moved), [50, 0, np.nan], atol=1e-4)


def test_amount_is_the_root_mean_square_way():
    ways = np.array([[[3.0, 0, 4], [0, 0, 0]]])
    assert amount_cm(ways)[0] == pytest.approx(np.sqrt(12.5))


def network(hidden=(5, 4), outputs=3, features=None):
    rng = np.random.default_rng(3)
    widths = [features or feature_count(), *hidden, outputs]
    layers = tuple(
        (rng.normal(0, 0.1, (given, out)).astype(np.float32), rng.normal(0, 0.1, out).astype(np.float32))
        for given, out in pairwise(widths)
    )
    return SideNetwork(np.zeros(widths[0], np.float32), np.full(widths[0], 2, np.float32), layers)


def test_the_network_is_what_it_says():
    net, given = network(), np.random.default_rng(4).normal(0, 9, (7, feature_count()))
    (w0, b0), (w1, b1), (w2, b2) = net.layers
    hidden = np.maximum(np.clip(given / 2, -6, 6) @ w0 + b0, 0)
    expected = np.log1p(np.exp(np.maximum(hidden @ w1 + b1, 0) @ w2 + b2 - 2))
    np.testing.assert_allclose(net(given), expected, rtol=1e-5)
    assert net(given).dtype == np.float32


def test_a_network_that_does_not_fit_is_refused():
    SymmetryReader(network())
    with pytest.raises(BadInput, match="means of the features"):
        SymmetryReader(network(features=9))
    with pytest.raises(BadInput, match="weights of layer 2"):
        SymmetryReader(network(outputs=2))


def test_a_network_of_no_layers_is_refused():
    with pytest.raises(BadInput, match="one layer or more"):
        SymmetryReader(replace(network(), layers=()))


def test_right_stands_before_left_and_regions_in_their_order(monkeypatch):
    """A network that says of each region where its own side's first landmark is."""
    first = np.cumsum([0, *(2 * (2 * len(region.own(0)) + 2 * len(region.wide(0))) for region in REGIONS)])[:-1]

    class Tells:
        layers = ()

        def __call__(self, seen):
            return seen[:, 2 + first]

    reader = object.__new__(SymmetryReader)
    reader.network = Tells()
    given = seen()
    monkeypatch.setattr(symmetry, "observed", lambda *_: given)
    moved = reader.moved_cm(None, None, None, None)
    for k, region in enumerate(REGIONS):
        right, left = (10 * given.landmarks_cm[region.own(side)[0], 0] for side in (0, 1))
        np.testing.assert_allclose(moved[k], [right, -left])


def test_what_ships_is_read_and_says_how_well_it_does(monkeypatch):
    SymmetryReader.load()
    metrics = read_bundle(BUNDLE).manifest.metrics
    at_20 = [metrics[f"{region.name}_frontal"].value for region in REGIONS]
    assert max(at_20) <= 5.0  # percentage points from the frontal view
    with pytest.raises(BundleError, match="is a bundle for face_landmarks, not for face_symmetry"):
        SymmetryReader.load(BUNDLE.parent / "face-landmarks")
    monkeypatch.setattr(symmetry, "feature_count", lambda: 3)
    with pytest.raises(BundleError, match="does not fit this version"):
        SymmetryReader.load()
