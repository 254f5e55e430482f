import cv2
import numpy as np
import pytest
from scipy.linalg import sqrtm

from calibration.metrics.features import features
from calibration.metrics.frechet import frechet_distance
from engines.errors import BadInput


def textbook(first, second):
    s1, s2 = np.cov(first.T), np.cov(second.T)
    apart = first.mean(0) - second.mean(0)
    return apart @ apart + np.trace(s1 + s2 - 2 * np.real(sqrtm(s1 @ s2)))


def test_the_textbook_agrees():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, (200, 5)) @ rng.normal(0, 1, (5, 5)), rng.normal(1, 2, (150, 5))
    assert frechet_distance(first, second) == pytest.approx(textbook(first, second), rel=1e-6)


def test_known_values():
    rng = np.random.default_rng(1)
    some = rng.normal(0, 3, (40, 6))
    assert frechet_distance(some, rng.permutation(some)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(some, some + 2) == pytest.approx(6 * 2**2)  # moved only
    line = np.array([[-1.0], [1.0]])
    assert frechet_distance(line, 3 * line) == pytest.approx((np.sqrt(2) * (3 - 1)) ** 2)  # one dimension: (s1 - s2)^2


def test_fewer_pictures_than_features():
    rng = np.random.default_rng(2)
    few, more = rng.normal(0, 1, (4, 60)), rng.normal(0, 1, (300, 60))
    assert np.isfinite(frechet_distance(few, more))
    assert frechet_distance(few, more) == pytest.approx(frechet_distance(more, few), rel=1e-6)


def _faces(count=24, size=64):
    """Smooth blobs of skin colours: enough like faces for distortions to be ranked."""
    rng = np.random.default_rng(3)
    rough = rng.normal(0, 1, (count, size, size))
    blobs = np.stack([cv2.GaussianBlur(plane, (0, 0), 6) for plane in rough])
    blobs = 40 * blobs / blobs.std() + 130
    colour = rng.normal((0.8, 0.95, 1.2), 0.05, (count, 1, 1, 3))
    fine = rng.normal(0, 4, (count, size, size, 1))
    return np.clip((blobs[..., None] + fine) * colour, 0, 255).astype(np.uint8)


def _taped(face, strength):
    found = face.copy()
    for k in range(round(strength)):
        y, x = 6 + 14 * (k // 4), 6 + 14 * (k % 4)
        found[y : y + 6, x : x + 6] = 245
    return found


DISTORTIONS = {
    "tapes": (_taped, (1, 4, 12)),
    "blur": (lambda face, s: cv2.GaussianBlur(face, (0, 0), s), (0.5, 1, 3)),
    "noise": (
        lambda face, s: np.clip(face + np.random.default_rng(4).normal(0, s, face.shape), 0, 255).astype(np.uint8),
        (3, 9, 25),
    ),
    "colour": (lambda face, s: np.clip(face * (1 - s, 1, 1 + s), 0, 255).astype(np.uint8), (0.03, 0.1, 0.3)),
    "exposure": (lambda face, s: (face * (1 - s)).astype(np.uint8), (0.05, 0.2, 0.5)),
}


@pytest.mark.parametrize("name", DISTORTIONS)
def test_worse_pictures_lie_further_away(name):
    distort, strengths = DISTORTIONS[name]
    faces = _faces()
    reference = np.array([features(face) for face in faces])
    away = [
        frechet_distance(np.array([features(distort(face, strength)) for face in faces]), reference)
        for strength in strengths
    ]
    assert 1e-3 < away[0] < away[1] < away[2]


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="2 pictures"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(BadInput, match="features"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))
