"""Peers: what each takes out of a picture, on shapes that need no renderer; and the fitted ones on a real fit."""

import cv2
import numpy as np
import pytest

from calibration.motion_peers import Movement, Plain, Registration, Similarity, aligned, best_registration
from engines.errors import FaceLost
from engines.face.flow import FlowMeter

SIZE = 64


def moved(seed=0, angle=12.0, zoom=1.05, shift=(4.0, -3.0)):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((SIZE, SIZE, 3)).astype(np.float32), (0, 0), 2.5)
    neutral = cv2.normalize(noise, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)
    matrix = cv2.getRotationMatrix2D((32, 32), angle, zoom)
    matrix[:, 2] += shift
    posed = cv2.warpAffine(neutral, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
    marks = rng.uniform(14, 50, (478, 2))
    seen = marks @ matrix[:, :2].T + matrix[:, 2]
    meter = FlowMeter(SIZE, 32)
    flow = meter.measure(neutral, posed).flow
    return Movement(neutral, posed, np.stack([marks, seen]).astype(np.float32), flow, flow), meter


def middle(picture):
    return picture[16:48, 16:48].astype(float)


def test_nothing_is_nothing():
    given, _ = moved()
    found = Plain()(given)
    assert found.picture is given.posed
    assert found.flow is given.flow_posed


def test_a_similarity_is_undone_by_the_landmarks():
    given, meter = moved()
    found = Similarity(meter)(given)
    before = np.abs(middle(given.posed) - middle(given.neutral)).mean()
    assert np.abs(middle(found.picture) - middle(given.neutral)).mean() < 0.25 * before
    assert np.abs(found.flow[8:24, 8:24]).mean() < 0.3
    with pytest.raises(FaceLost, match="one spot"):
        aligned(given.posed, np.zeros((2, 478, 2), np.float32))


def test_registration_pulls_onto_the_neutral_one():
    given, meter = moved(angle=0.0, zoom=1.0, shift=(3.0, 2.0))
    found = Registration(meter, 0.0)(given)
    before = np.abs(middle(given.posed) - middle(given.neutral)).mean()
    assert np.abs(middle(found.picture) - middle(given.neutral)).mean() < 0.5 * before


def test_the_smoothing_is_chosen_by_the_error():
    given, meter = moved(angle=0.0, zoom=1.0, shift=(3.0, 2.0))
    face = np.ones((32, 32), np.float32)
    errors = {}
    for smooth in (0.0, 0.03, 0.08, 0.2):
        errors[smooth] = np.linalg.norm(Registration(meter, smooth)(given).flow, axis=2).mean()
    best = best_registration(meter, [(given, np.zeros((32, 32, 2), np.float32), face)])
    assert best.smooth == min(errors, key=errors.get)
    assert best_registration(meter, []).smooth == 0.08
