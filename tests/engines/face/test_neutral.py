"""A neutral face is taken from a while in which nothing was in the way, and never from a picture with an obstacle."""

import numpy as np
import pytest

from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.neutral import NeutralSettings, NeutralWatch, Obstacle

MARKS = np.random.default_rng(0).uniform(40, 150, (478, 2)).astype(np.float32)
SIZE = 192


def shapes(**values):
    found = np.zeros(52, np.float32)
    for name, value in values.items():
        found[BLENDSHAPE_INDEX[name]] = value
    return found


def watched(count=30, marks=lambda step: MARKS, blendshapes=None, away_deg=2.0):
    watch = NeutralWatch(SIZE)
    blendshapes = shapes() if blendshapes is None else blendshapes
    return watch, [watch.update(5 + step / 15, marks(step), blendshapes, away_deg) for step in range(count)]


def test_it_is_taken_when_the_while_is_over_and_is_the_mean_of_it():
    rng = np.random.default_rng(1)
    watch, found = watched(marks=lambda step: MARKS + rng.normal(0, 0.5, MARKS.shape).astype(np.float32))
    first = found.index(Obstacle.NONE)
    assert first / 15 >= NeutralSettings().hold_s > (first - 1) / 15 - 1e-9
    assert set(found[:first]) == {Obstacle.NOT_STILL}
    assert np.abs(watch.landmarks_px() - MARKS).std() < 0.25  # a single picture has 0.5


@pytest.mark.parametrize(
    ("blendshapes", "away_deg", "obstacle"),
    [
        (shapes(), 30.0, Obstacle.TURNED),
        (shapes(), np.nan, Obstacle.TURNED),
        (shapes(eyeBlinkLeft=0.8, eyeBlinkRight=0.9), 2.0, Obstacle.EYES_SHUT),
        (shapes(jawOpen=0.3), 2.0, Obstacle.MOVING_FACE),
        (shapes(mouthSmileLeft=0.7), 2.0, Obstacle.MOVING_FACE),
        (shapes(browInnerUp=0.95), 2.0, Obstacle.MOVING_FACE),
    ],
)
def test_what_is_in_the_way_is_said_for_as_long_as_it_is(blendshapes, away_deg, obstacle):
    watch, found = watched(blendshapes=blendshapes, away_deg=away_deg)
    assert set(found) == {obstacle}
    with pytest.raises(BadInput, match="update first"):
        watch.landmarks_px()


def test_an_eye_that_cannot_open_is_a_patients_and_no_obstacle():
    assert watched(blendshapes=shapes(eyeBlinkLeft=0.9))[1][-1] == Obstacle.NONE


def test_whoever_moves_begins_anew():
    assert set(watched(marks=lambda step: MARKS + 3 * step)[1]) == {Obstacle.NOT_STILL}
    watch, _ = watched(5)
    assert watch.update(5.4, MARKS, shapes(jawOpen=0.5), 2.0) == Obstacle.MOVING_FACE
    assert watch.update(5.9, MARKS, shapes(), 2.0) == Obstacle.NOT_STILL  # what was held before is forgotten


def test_other_shapes_are_refused():
    with pytest.raises(BadInput, match="478, 2"):
        NeutralWatch(SIZE).update(0.0, MARKS[:468], shapes(), 0.0)
