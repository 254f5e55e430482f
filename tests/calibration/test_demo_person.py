"""The demo's person begins and ends a loop in the same place, and every picture comes with its truth."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from calibration import demo_person
from calibration.cohort_sources import Photos, find_faces
from calibration.demo_person import FPS, HEIGHT, PEOPLE, WIDTH, gaze, head_at, main, make_person, shots
from engines.emg.demo_performance import PERIOD_S, demo_performance
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from engines.face.mesh import FaceModel
from engines.face.person import Person

ASSETS, DATA = (Path(os.environ.get(name, "/nowhere")) for name in ("MYOMIRROR_ASSETS", "MYOMIRROR_DATA"))
REST = np.zeros(52, np.float32)


def pose(t_s, expression=REST):
    now = head_at(t_s, expression)
    return np.array([now.yaw_deg, now.pitch_deg, now.roll_deg, now.right_cm, now.up_cm, 100 * (now.zoom - 1)])


def test_the_head_ends_where_it_began_and_moves_a_little():
    np.testing.assert_allclose(pose(PERIOD_S), pose(0.0), atol=1e-9)
    way = np.array([pose(t) for t in np.arange(0, PERIOD_S, 1 / FPS)])
    assert (np.ptp(way, axis=0) > (2, 1, 1, 0.2, 0.1, 0.5)).all()
    assert np.abs(way).max() < 6  # degrees, cm, percent
    assert np.abs(np.diff(way, axis=0)).max() < 0.15  # per picture: nobody jerks


def test_the_head_goes_along_with_the_brows():
    raised = REST.copy()
    raised[[BLENDSHAPE_INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]] = 1
    assert pose(1.0, raised)[1] > pose(1.0)[1] + 1


def test_both_eyes_look_the_same_way_and_rest_at_both_ends():
    looks = gaze(0)
    assert looks.shape == (round(PERIOD_S * FPS), 52)
    moving = {BLENDSHAPES[i] for i in np.flatnonzero(looks.max(0))}
    assert moving
    assert all(name.startswith("eyeLook") for name in moving)
    np.testing.assert_array_equal(
        looks[:, BLENDSHAPE_INDEX["eyeLookOutLeft"]], looks[:, BLENDSHAPE_INDEX["eyeLookInRight"]]
    )
    np.testing.assert_array_equal(looks[[0, 1, -2, -1]], 0)
    assert looks.max() < 0.6
    assert 0.3 < (looks.max(1) == 0).mean() < 0.95  # mostly on the mirror


@pytest.mark.skipif(
    not (ASSETS.is_dir() and DATA.is_dir()),
    reason="needs $MYOMIRROR_ASSETS and $MYOMIRROR_DATA: the face model, photos",
)
def test_a_shot_is_the_performance_with_its_truth_and_with_electrodes(tmp_path):
    photo = DATA / "london_faces" / "neutral" / "032.jpg"
    (tmp_path / photo.name).symlink_to(photo)
    found = find_faces(tmp_path, ASSETS / "face_landmarker.task")
    mesh = FaceModel.load(ASSETS / "ict_facekit_light.npz")
    person = Person.from_photo(mesh, found.read("032"), found.landmarks_px["032"])
    for number, shot in enumerate(itertools.islice(shots(person), 2)):
        assert shot.clean.shape == shot.electrodes.shape == (HEIGHT, WIDTH, 3)
        changed = np.abs(shot.clean.astype(int) - shot.electrodes).max(2) > 40
        assert 0.01 < changed.mean() < 0.2
        assert ((shot.landmarks_px > 0) & (shot.landmarks_px < (WIDTH, HEIGHT))).all()
        wanted = demo_performance().expression(np.array([number / FPS]))[0]
        np.testing.assert_allclose(shot.expression, wanted, atol=1e-6)


def test_a_set_that_lacks_people_is_refused(monkeypatch):
    monkeypatch.setattr(demo_person, "find_faces", lambda *_: Photos({}, {}))
    with pytest.raises(BadInput, match=f"lacks faces {PEOPLE[0]}, {PEOPLE[1]}"):
        make_person(Path("set"), Path("model"), Path("mesh"))


def test_what_is_missing_is_one_sentence_and_exit_code_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "face_landmarker" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
