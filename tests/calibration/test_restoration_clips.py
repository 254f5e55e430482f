import shutil

import numpy as np
import pytest

from calibration import restoration_clips, restoration_real
from calibration.data.mmm import Recordings
from calibration.emotion_classifier import EMOTIONS
from calibration.metrics.expression import Reading
from calibration.restoration import ATTACHED, WITHOUT, Attached
from calibration.restoration_clips import ClipMeter, choose_clips, crop_of, recognised
from engines.errors import BadInput
from engines.face.oval import FACE_OVAL

MATRIX = np.array([[0.2, 0, -5], [0, 0.2, -4]])


class Reader:
    def read(self, picture):
        return Reading(np.full(52, 0.5, np.float32), landmarks())


def landmarks():
    """An oval over the painted square."""
    found = np.zeros((478, 2), np.float32)
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    found[FACE_OVAL] = np.column_stack([90 + 60 * np.sin(angle), 75 - 60 * np.cos(angle)])
    return found


class Follower:
    """Knows where the face is, but for frame 2."""

    def __init__(self, size, landmarker):
        pass

    def find(self, frame, number):
        return None if number == 2 else (MATRIX, landmarks())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Frozen:
    """Shows the same grey whatever happens."""

    name = "frozen"

    def crop(self, covered, mask):
        return np.full_like(covered, 128)

    def frame(self, covered, mask, crop, crop_from_frame):
        assert (crop == crop_of(covered, crop_from_frame, 32)).all()
        return np.full_like(covered, 128)

    def restart(self):
        self.clips = getattr(self, "clips", 0) + 1


@pytest.fixture
def recordings(painted_cohort, monkeypatch):
    monkeypatch.setattr(restoration_clips, "Follower", Follower)
    monkeypatch.setattr(restoration_real, "Follower", Follower)
    return Recordings.open(painted_cohort)


@pytest.fixture
def real(recordings, tmp_path):
    """The same, as if people had been recorded: nothing says that it is a cohort."""
    folder = shutil.copytree(recordings.folder, tmp_path / "real")
    (folder / "cohort.json").unlink()
    return Recordings.open(folder)


def always_happy(faces):
    assert faces.shape[1:] == (32, 32, 3)
    return np.tile(np.eye(6)[EMOTIONS.index("happy")], (len(faces), 1))


def test_a_clip_is_measured_at_the_frames_size_and_at_the_networks(recordings):
    clip = next(c for c in choose_clips(recordings, None, 9) if c.id.task == "happy")
    meter = ClipMeter(32, [Attached(), Frozen()], None, always_happy)
    meter.measure(clip, "test", 1, Reader())
    found = meter.found
    assert found.lost == 1
    assert len(found.crops) == 1  # five frames, of which one in nine is measured
    assert found.crops[0].covered.shape == (32, 32, 3)
    assert (found.crops[0].person, found.crops[0].split, found.crops[0].fold) == ("001", "test", 1)
    covered = next(iter(clip.pictures("video")))
    assert (found.crops[0].covered == crop_of(covered, MATRIX, 32)).all()
    assert found.native[ATTACHED].values["psnr_covered"][0] < 20
    truth = float(np.abs(clip.truth().expression[0][1:] - 0.5).mean())
    assert found.native[WITHOUT].values["expression_truth"] == pytest.approx([truth])
    assert found.native["frozen"].values["expression"] == [0]
    assert found.flicker["frozen"].of_picture == 0
    assert found.flicker["frozen"].of_error == pytest.approx(1)
    assert found.emotions == {name: [("happy", "happy")] for name in (WITHOUT, ATTACHED, "frozen")}


def test_clips_are_chosen_of_people_with_truth(recordings, real):
    assert [clip.id.electrodes for clip in choose_clips(recordings, ["001"], 9)] == [True, True]
    assert len(choose_clips(recordings, None, 1)) == 1
    with pytest.raises(BadInput, match="nobody knows"):
        choose_clips(real, None, 9)


def test_recognised_is_counted_by_emotion():
    found = recognised([("happy", "happy"), ("happy", "sad"), ("sad", "sad")])
    assert {name: (number.mean, number.pictures) for name, number in found.items()} == {
        "happy": (0.5, 2),
        "sad": (1, 1),
        "overall": (pytest.approx(2 / 3), 3),
    }


def test_recordings_of_people_give_what_needs_no_truth(real):
    scores, answers = restoration_real.score_clips(real, 32, 9, [Attached(), Frozen()], None, always_happy)
    assert {name: len(one.features) for name, one in scores.items()} == {WITHOUT: 2, ATTACHED: 2, "frozen": 2}
    assert all(one.values == {} for one in scores.values())
    assert answers == {name: [("happy", "happy")] for name in (WITHOUT, ATTACHED, "frozen")}


def test_one_kind_of_recording_is_not_enough(real, monkeypatch):
    monkeypatch.setattr(Recordings, "select", lambda self, electrodes: () if electrodes else self.clips[:1])
    with pytest.raises(BadInput, match="no clips with electrodes"):
        restoration_real.score_clips(real, 32, 9, [Attached()], None)
