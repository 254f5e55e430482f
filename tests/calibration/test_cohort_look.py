from dataclasses import replace

import numpy as np
import pytest

from calibration.cohort_look import Look, light_row, pose_row
from calibration.cohort_plan import CohortSettings, plan_people, plan_recordings
from calibration.data.truth import LIGHT, POSE
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES

SETTINGS = CohortSettings(participants=2, sessions=2)
REST = np.zeros(52, np.float32)


@pytest.fixture(scope="module")
def recordings():
    people = plan_people(SETTINGS, [f"{n:03d}" for n in range(30)])
    return {(r.participant.pid, r.rec): r for r in plan_recordings(SETTINGS, people)}


def test_the_same_recording_looks_the_same(recordings):
    a, b = (Look(SETTINGS, recordings["001", "1S"]) for _ in range(2))
    assert a.pose(12.3, REST) == b.pose(12.3, REST)
    assert a.light(12.3) == b.light(12.3)
    other = Look(replace(SETTINGS, seed=3), recordings["001", "1S"])
    assert other.pose(12.3, REST) != a.pose(12.3, REST)


def test_sessions_differ_in_seat_light_and_electrodes(recordings):
    first, second = (Look(SETTINGS, recordings["001", rec]) for rec in ("1S", "2S"))
    assert first.electrode_seed != second.electrode_seed
    assert first.light(0).direction != second.light(0).direction
    assert abs(first.pose(0, REST).zoom - second.pose(0, REST).zoom) > 1e-3


def test_a_visit_has_one_light_with_electrodes_and_without(recordings):
    without, with_them = (Look(SETTINGS, recordings["001", rec]) for rec in ("1N", "1S"))
    assert without.light(0).direction == with_them.light(0).direction
    assert without.pose(0, REST) != with_them.pose(0, REST)


def test_the_head_stays_near_the_front_and_never_jumps(recordings):
    for recording in recordings.values():
        look = Look(SETTINGS, recording)
        rows = np.stack([pose_row(look.pose(t / 30, REST)) for t in range(0, 3000)])
        assert np.abs(rows[:, :3]).max() < 16  # degrees
        assert (rows[:, 5] > 1.1).all()
        assert np.abs(np.diff(rows[:, :3], axis=0)).max() < 0.5
        assert np.ptp(rows[:, 0]) > 1


def test_the_head_goes_along_with_brows_and_jaw(recordings):
    look = Look(SETTINGS, recordings["001", "1N"])
    moved = REST.copy()
    moved[[BLENDSHAPE_INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "jawOpen")]] = 1
    assert look.pose(3, moved).pitch_deg == pytest.approx(look.pose(3, REST).pitch_deg + 2.5, abs=0.01)


def test_the_second_camera_sees_the_same_moment_from_elsewhere(recordings):
    look = Look(SETTINGS, recordings["001", "1N"])
    pose, light = look.pose(5, REST), look.light(5)
    views = [look.posed(place, pose, light) for place in range(17)]
    turned = [view.yaw_deg - pose.yaw_deg for view, _ in views]
    assert all(12 <= abs(yaw) <= 24 for yaw in turned)
    assert len({round(yaw, 6) for yaw in turned}) == 17
    assert {np.sign(yaw) for yaw in turned} == {-1, 1}
    for (_, seen), yaw in zip(views, turned, strict=True):
        assert np.linalg.norm(seen.direction) == pytest.approx(np.linalg.norm(light.direction))
        assert np.sign(seen.direction[0] - light.direction[0]) == np.sign(yaw)  # the lamp turns with the room
        assert seen.intensity == light.intensity


def test_eyes_look_about_and_mostly_ahead(recordings):
    look = Look(SETTINGS, recordings["002", "1N"])
    shown = look.gazing(np.zeros((3000, 52), np.float32), 0)
    gaze = [i for i, name in enumerate(BLENDSHAPES) if name.startswith("eyeLook")]
    assert 0.05 < (shown[:, gaze].max(axis=1) > 0.02).mean() < 0.5
    assert shown.max() <= 1
    assert not np.delete(shown, gaze, axis=1).any()
    left, right = (shown[:, BLENDSHAPE_INDEX[f"eyeLookOut{side}"]] for side in ("Left", "Right"))
    assert not ((left > 0) & (right > 0)).any()  # both eyes look the same way
    np.testing.assert_array_equal(look.gazing(np.zeros((10, 52), np.float32), 500), shown[500:510])


def test_rows_are_in_the_order_that_the_truth_names(recordings):
    look = Look(SETTINGS, recordings["001", "1N"])
    pose, light = look.pose(1, REST), look.light(1)
    np.testing.assert_allclose(pose_row(pose), [getattr(pose, name) for name in POSE], rtol=1e-6)
    named = {name: value for name, value in zip(LIGHT, light_row(light), strict=True)}
    assert named["intensity"] == pytest.approx(light.intensity)
    assert (named["tint_blue"], named["tint_red"]) == pytest.approx((light.tint[0], light.tint[2]))
