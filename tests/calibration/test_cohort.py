import errno
import json
import os
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration.cohort_clip import MAKING
from calibration.data.mmm import Recordings
from calibration.data.truth import neutral_path
from engines.errors import BadInput
from rt.errors import DataLost
from rt.recording.disk import lock


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_reader_opens_what_was_made(painted_cohort):
    recordings = Recordings.open(painted_cohort)
    assert recordings.synthetic
    assert recordings.people == ("001",)
    assert len(recordings.clips) == 2 * 2
    clip = next(clip for clip in recordings.select(electrodes=True) if clip.id.task == "Smile-Closed")
    assert clip.video == (6, 30.0, (286, 286))
    assert clip.emg_uv().shape == (6, 22)
    truth = clip.truth()
    np.testing.assert_allclose(clip.parameters("Truth")["blendshapes"], truth.expression, atol=1e-5)
    np.testing.assert_array_equal(truth.pose[:, 0], np.arange(6))
    masks = list(clip.pictures("mask"))
    assert [int(np.argmax(mask[:, 80] == 255)) for mask in masks] == [50 + frame for frame in range(6)]
    assert {int(value) for value in np.unique(np.stack(masks))} == {0, 102, 255}
    for clean, covered, mask in zip(clip.pictures("video_noelec"), clip.pictures("video"), masks, strict=True):
        assert covered[mask == 255].mean() > 220
        assert np.abs(covered[mask == 0].astype(int) - clean[mask == 0]).mean() < 6
    assert sum(1 for _ in clip.pictures("video_no-cut")) == sum(1 for _ in clip.pictures("video_posed")) == 6


def test_a_recording_without_electrodes_has_pictures_and_truth_only(painted_cohort):
    recordings = Recordings.open(painted_cohort)
    clip = recordings.select(electrodes=False)[0]
    assert not any(clip.has(folder) for folder in ("emg", "emg_raw", "mask", "video_noelec"))
    assert clip.truth().emg_intact.all()
    assert recordings.without_electrodes(recordings.select(electrodes=True)[0]) == clip


def test_files_are_the_owners_only(painted_cohort):
    for path in (painted_cohort, *painted_cohort.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_face_at_rest_is_written_once_per_person(painted_cohort):
    with np.load(painted_cohort / neutral_path("001")) as found:
        assert found["neutral"].shape == (4, 3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(painted_cohort, cohort_maker, painted_parts, tmp_path):
    cohort_maker(tmp_path / "again")
    first, again = content(painted_cohort), content(tmp_path / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    assert len(first) > 4 * 3
    cohort_maker(tmp_path / "other", replace(painted_parts[0], seed=1))
    other = content(tmp_path / "other")
    clips = [name for name in first if name.endswith(("_Smile-Closed.csv", "_Smile-Closed.xdf", "_Smile-Closed.npz"))]
    assert clips
    assert all(other[name] != first[name] for name in clips)


def test_a_cohort_is_a_part_of_a_larger_one(painted_cohort, cohort_maker, painted_parts, tmp_path):
    cohort_maker(tmp_path / "whole", replace(painted_parts[0], participants=2, tasks=("sad", "happy")))
    part, whole = content(painted_cohort), content(tmp_path / "whole")
    clips = [name for name in part if "_happy" in name]
    assert len(clips) == 3 + 1 + 9
    assert all(part[name] == whole[name] for name in clips)


def test_nothing_tells_when_or_where_it_was_made(painted_cohort):
    """Neither this machine's name, where it is longer than chance, nor its folders nor the date is in any file."""
    name = os.uname().nodename.encode()
    telling = (str(painted_cohort.parent).encode(), str(date.today().year).encode() + b"-", *([name] * (len(name) > 5)))
    for name, data in content(painted_cohort).items():
        assert not any(word in data for word in telling), name


# ---------------------------------------------------------------------- interrupted


class Stopped(Exception):
    """Ends a run in the middle."""


@pytest.mark.parametrize("after", [0, 2])
def test_an_interrupted_run_goes_on_and_ends_the_same(painted_cohort, cohort_maker, tmp_path, after):
    out, seen = tmp_path / "cohort", []

    def stop(plan, size):
        seen.append(plan.id)
        if len(seen) > after:
            raise Stopped

    with pytest.raises(Stopped):
        cohort_maker(out, made=stop)
    assert not (out / "MMM.csv").exists()
    assert not (out / MAKING).exists()
    with pytest.raises(BadInput, match="not finished"):
        Recordings.open(out)
    outcome = cohort_maker(out)
    assert (outcome.made, outcome.found) == (4 - after - 1, after + 1)
    assert content(out) == content(painted_cohort)
    again = cohort_maker(out)
    assert (again.made, again.found, again.size) == (0, 4, 0)
    assert content(out) == content(painted_cohort)


def test_a_clip_that_was_being_moved_is_made_again(painted_cohort, cohort_maker, tmp_path):
    """Killed between the first and the last file of a clip."""
    out = tmp_path / "cohort"
    cohort_maker(out)
    clip = Recordings.open(out).select(electrodes=True)[0]
    clip.file("truth").unlink()
    clip.file("video").write_bytes(b"half")
    (out / "MMM.csv").unlink()
    assert cohort_maker(out).made == 1
    assert content(out) == content(painted_cohort)


def test_what_a_killed_run_left_is_swept(painted_cohort, cohort_maker, tmp_path):
    out = tmp_path / "cohort"
    (out / MAKING / "001_1S_emotion_02_happy").mkdir(parents=True)
    (out / MAKING / "001_1S_emotion_02_happy" / "video.mp4").write_bytes(b"half")
    cohort_maker(out)
    assert content(out) == content(painted_cohort)


# ---------------------------------------------------------------------- refused


def test_raw_emg_can_be_left_out(painted_cohort, cohort_maker, painted_parts, tmp_path):
    cohort_maker(tmp_path / "lean", replace(painted_parts[0], raw_emg=False))
    lean, whole = content(tmp_path / "lean"), content(painted_cohort)
    assert {name for name in whole if name not in lean} == {name for name in whole if name.startswith("emg_raw/")}
    assert [name for name in lean if name != "cohort.json" and lean[name] != whole[name]] == []


def test_another_cohort_is_not_mixed_in(painted_cohort, cohort_maker, painted_parts):
    before = content(painted_cohort)
    with pytest.raises(BadInput, match=r"holds another cohort \(settings.seed is 0 there and 4 here\)"):
        cohort_maker(painted_cohort, replace(painted_parts[0], seed=4))
    with pytest.raises(BadInput, match=r"settings.tasks is \[.*\] there"):
        cohort_maker(painted_cohort, replace(painted_parts[0], tasks=("happy",)))
    assert content(painted_cohort) == before


def test_foreign_folders_are_left_alone(cohort_maker, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to grandma.txt").write_text("Dear")
    with pytest.raises(BadInput, match="something else than a cohort"):
        cohort_maker(tmp_path / "letters")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(BadInput, match="something else than a cohort"):
        cohort_maker(tmp_path / "file")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "cohort.json").write_text('{"complete": fal')
    with pytest.raises(BadInput, match="is no JSON"):
        cohort_maker(tmp_path / "cut")
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to grandma.txt"]


def test_two_at_once_are_refused(cohort_maker, tmp_path):
    out = tmp_path / "cohort"
    (out / MAKING).mkdir(parents=True)
    fd = os.open(out / MAKING / "lock", os.O_RDWR | os.O_CREAT)
    lock(fd, out)
    with pytest.raises(BadInput, match="another process is making the cohort"):
        cohort_maker(out)
    os.close(fd)
    cohort_maker(out)


def test_a_full_disk_is_one_sentence_and_keeps_what_is_complete(painted_cohort, cohort_maker, painted_parts, tmp_path):
    out, stage = tmp_path / "cohort", painted_parts[2]

    class Full(stage):
        def film(self, plan):
            if plan.id.rec == "1S":
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().film(plan)

    with pytest.raises(
        DataLost, match=r"no more room for the cohort in .*: free some space and run the same"
    ) as caught:
        cohort_maker(out, stage=Full)
    assert "\n" not in str(caught.value)
    assert len(list((out / "truth").rglob("*_happy.npz"))) == 1
    assert not (out / MAKING).exists()
    cohort_maker(out)
    assert content(out) == content(painted_cohort)


def test_other_errors_of_the_system_are_not_called_a_full_disk(cohort_maker, painted_parts, tmp_path):
    class Broken(painted_parts[2]):
        def film(self, plan):
            raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        cohort_maker(tmp_path / "cohort", stage=Broken)


def test_cohort_json_says_what_it_is(painted_cohort):
    about = json.loads((painted_cohort / "cohort.json").read_text())
    assert about["complete"] is True
    assert about["origin"] == "synthetic"
    assert about["splits"]["train"] == about["splits"]["fold_0"] == ["001"]
