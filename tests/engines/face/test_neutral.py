"""A neutral face is taken from a while in which nothing was in the way, and never from a picture with an obstacle."""

import numpy as np
import pytest
from sitter import CROP, ZOOM, Sitter

from engines.errors import BadInput
from engines.face.frame_check import Look, Obstacle
from engines.face.neutral import NeutralSettings, NeutralWatch

SIZE = CROP * ZOOM


@pytest.fixture(scope="module")
def sitter():
    return Sitter()


def look(sitter, t_s, away_deg=2.0, **changes):
    frame = sitter.frame(t_s, **changes)
    face = np.ascontiguousarray(frame.image[10:266, 20:276])
    return Look(frame.t_capture, face, frame.face.landmarks_px, frame.face.blendshapes, away_deg)


def watched(sitter, count=30, marks=lambda step, found: found, **changes):
    """What is in the way in each of 15 pictures per second, and whether the while is over then."""
    watch, found = NeutralWatch(SIZE), []
    for step in range(count):
        seen = look(sitter, 5 + step / 15, **changes)
        found.append((watch.update(seen, marks(step, seen.landmarks_px)), watch.is_over))
    return watch, found


def test_it_is_taken_when_the_while_is_over_and_is_the_mean_of_it(sitter):
    rng = np.random.default_rng(1)
    watch, found = watched(sitter, marks=lambda _, seen: seen + rng.normal(0, 0.5, seen.shape).astype(np.float32))
    assert {obstacle for obstacle, _ in found} == {None}
    first = [over for _, over in found].index(True)
    assert first / 15 >= NeutralSettings().hold_s > (first - 1) / 15 - 1e-9
    assert (watch.landmarks_px() - look(sitter, 0.0).landmarks_px).std() < 0.25  # a single picture has 0.5


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"away_deg": 30.0}, Obstacle.TURNED),
        ({"away_deg": np.nan}, Obstacle.TURNED),
        ({"shut": True}, Obstacle.CLOSED),
        ({"jawOpen": 0.3}, Obstacle.NOT_AT_REST),
        ({"mouthSmileLeft": 0.7}, Obstacle.NOT_AT_REST),
        ({"browInnerUp": 0.95}, Obstacle.NOT_AT_REST),
    ],
)
def test_what_is_in_the_way_is_said_for_as_long_as_it_is(sitter, changes, obstacle):
    watch, found = watched(sitter, **changes)
    assert set(found) == {(obstacle, False)}
    with pytest.raises(BadInput, match="update first"):
        watch.landmarks_px()


def test_an_eye_that_cannot_open_is_a_patients_and_no_obstacle(sitter):
    watch = NeutralWatch(SIZE)
    for step in range(30):
        seen = look(sitter, step / 15)
        seen.landmarks_px[159] = seen.landmarks_px[145]
        assert watch.update(seen, seen.landmarks_px) is None
    assert watch.is_over


def test_whoever_moves_begins_anew(sitter):
    _, found = watched(sitter, marks=lambda step, seen: seen + 4 * step)
    assert set(found) == {(None, False)}
    watch, _ = watched(sitter, 12)
    assert watch.is_over
    moved = look(sitter, 5.8, jawOpen=0.5)
    assert watch.update(moved, moved.landmarks_px) is Obstacle.NOT_AT_REST
    still = look(sitter, 5.9)
    assert watch.update(still, still.landmarks_px) is None
    assert not watch.is_over  # what was held before is forgotten


def test_other_shapes_are_refused(sitter):
    seen = look(sitter, 0.0)
    with pytest.raises(BadInput, match="478, 2"):
        NeutralWatch(SIZE).update(seen, seen.landmarks_px[:468])
