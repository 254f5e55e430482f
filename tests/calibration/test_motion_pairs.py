"""Movements of synthetic people: what settings ask for, how heads turn, and one small set with everything in it."""

import sys

import numpy as np
import pytest

from calibration.data.motion_set import FRAME_TO_FRAME, NO_EMOTION, TURNS, MotionSet
from calibration.motion_pairs import (
    EMOTION_TASKS,
    MotionSettings,
    _between,
    _held,
    _moments,
    _turned,
    make_motion,
)
from engines.emg.performance import Performance
from engines.emg.tasks import session_clips
from engines.errors import BadInput
from engines.face.pose import HeadPose
from engines.networks.recogniser import EMOTIONS
from rt import commands
from rt.assets import FACE_LANDMARKER, find

SETTINGS = MotionSettings(count=3, size=96, people=6, frames=0.34, patients=0.0, seed=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory, sources):
    landmarker = find(FACE_LANDMARKER)
    assert landmarker is not None
    folder, counts = tmp_path_factory.mktemp("motion") / "set", []
    make_motion(SETTINGS, sources, landmarker, folder, 1, counts.append)
    assert sum(counts) == SETTINGS.count
    return MotionSet.open(folder)


def mean_px(flow, where):
    return float(np.linalg.norm(flow.astype(np.float64), axis=2)[where].mean())


def test_flows_are_those_of_the_face(made):
    assert made.synthetic
    for place, row in enumerate(made.rows):
        face = made.of("face", place) > 200
        assert 0.05 < face.mean() < 0.6
        front, still, posed, true = (made.of(f"flow_{k}", place) for k in ("front", "still", "posed", "true"))
        assert not true[made.of("face", place) == 0].any()
        assert mean_px(front - true, face) < 0.5 + 0.6 * mean_px(true, face), row
        if row.turn != "none":
            assert mean_px(still - front, face) < 0.7 * mean_px(posed - front, face), row
        assert np.abs(still[made.of("trust", place) == 0]).max(initial=0) < 0.1


def test_rows_say_what_was_done(made):
    assert len({row.person for row in made.rows}) == 3
    for place, row in enumerate(made.rows):
        assert row.turn in TURNS
        assert row.emotion == (EMOTION_TASKS.index(row.task) if row.task in EMOTION_TASKS else NO_EMOTION)
        assert made.people[row.person] == (row.person,)
        assert np.isfinite(made.of("landmarks_px", place)).all()
        assert np.abs(made.of("pose", place)[:3]).max() < 45
        assert (made.of("before", place) != made.of("posed", place)).any()


def test_the_emotions_are_the_recognisers():
    assert EMOTION_TASKS[1:] == EMOTIONS[1:]
    assert (EMOTION_TASKS[0], EMOTIONS[0]) == ("Face-At-Rest", "neutral")


@pytest.fixture(scope="module")
def performance():
    return Performance(session_clips(1, emotion_repeats=2), seed=1, person=1)


def test_every_emotion_comes_as_often(performance):
    rng = np.random.default_rng(0)
    tasks = [_held(performance, True, rng).task for _ in range(350)]
    assert set(tasks) == set(EMOTION_TASKS)
    assert min(tasks.count(task) for task in EMOTION_TASKS) > 25
    others = {_held(performance, False, rng).task for _ in range(200)}
    assert not others & set(EMOTION_TASKS)
    assert len(others) == 10


def test_moments_lie_in_the_movement(performance):
    rng = np.random.default_rng(0)
    for _ in range(20):
        held = _held(performance, False, rng)
        first, last = _moments(held, False, rng)
        assert held.start_s <= first == last <= held.end_s
        first, last = _moments(held, True, rng)
        assert 0.06 < last - first < 0.21
        assert held.start_s - 0.3 < first < held.end_s + 0.4


@pytest.mark.parametrize("turn", TURNS)
def test_heads_turn_as_they_are_told(turn):
    rng, rest = np.random.default_rng(1), HeadPose(1, -1, 0.5, 0.2, 0.1, 0.97)
    for _ in range(40):
        pose = _turned(rest, turn, rng)
        yaw, pitch, roll = pose.yaw_deg - 1, pose.pitch_deg + 1, pose.roll_deg - 0.5
        assert (abs(yaw) > 4) == (turn in ("yaw", "diagonal"))
        assert (abs(roll) > 3) == (turn == "roll")
        if turn == "translation":
            assert abs(pose.right_cm - 0.2) > 0.3
        elif turn == "pitch":
            assert abs(pitch) > 2.5
        before = _between(rest, pose, rng)
        assert max(abs(before.yaw_deg - pose.yaw_deg), abs(before.pitch_deg - pose.pitch_deg)) <= 8.001


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"size": 100}, {"size": 32}, {"people": 2}, {"emotions": 1.5}, {"frames": -1.0}, {"seed": -1}],
    ids=str,
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        MotionSettings(**{**{"count": 3}, **wrong})


def test_the_command_refuses_what_cannot_work(monkeypatch, capfd, tmp_path, photos):
    if "simulate motion" not in commands.registered():
        pytest.skip("the package was installed before this command was there: pip install -e .")
    from rt import cli

    arguments = ["--out", tmp_path / "s", "--photos", photos, "--people", 2]
    monkeypatch.setattr(sys, "argv", ["myomirror", "simulate", "motion", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "people must be 6 to 999" in capfd.readouterr().err


def test_frame_to_frame_is_a_kind(made):
    kinds = {row.kind for row in made.rows}
    assert kinds <= {FRAME_TO_FRAME, "neutral-apex"}
