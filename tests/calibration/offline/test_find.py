"""Which recordings a path means, and where their tables go."""

import shutil

import pytest

from calibration.data.mmm import Recordings
from calibration.offline.find import find_recordings
from calibration.offline.order import Order, job_text, read_job
from engines.errors import BadInput


def test_a_session_a_folder_of_sessions_and_where_tables_go(session, tmp_path):
    [alone], refused = find_recordings([session.path], None)
    assert refused == {}
    assert alone.target == session.path.with_name(session.path.name + ".processed")
    assert alone.part.parent == alone.target.parent
    found, _ = find_recordings([session.path.parent, session.path], tmp_path)
    assert [(r.path, r.target) for r in found] == [(session.path, tmp_path / session.path.name)]  # once


def test_clips_of_a_folder_in_mmms_layout_or_one_by_its_video(mmm_folder, tmp_path):
    found, _ = find_recordings([mmm_folder], tmp_path)
    ids = [str(clip.id) for clip in Recordings.open(mmm_folder).clips]
    assert [recording.clip for recording in found] == ids
    assert found[0].target == tmp_path / "099_1S" / ids[0]
    [one], _ = find_recordings([mmm_folder / "video" / "099_1S" / f"{ids[2]}.mp4"], None)
    assert (one.path, one.clip, one.name) == (mmm_folder, ids[2], ids[2])
    assert one.target == mmm_folder / "processed" / "099_1S" / ids[2]


def test_what_is_no_recording_is_one_sentence_and_does_not_stop_the_others(session, tmp_path):
    found, refused = find_recordings([tmp_path / "nowhere", tmp_path, session.path], None)
    assert [recording.path for recording in found] == [session.path]
    assert "nowhere does not exist: give a session's folder" in refused[str(tmp_path / "nowhere")]
    assert "is no recording" in refused[str(tmp_path)]


def test_two_recordings_of_one_name_are_refused(session, tmp_path):
    other = tmp_path / "other" / session.path.name
    shutil.copytree(session.path, other)
    with pytest.raises(BadInput, match="have the same name: process them into different --out folders"):
        find_recordings([session.path, other], tmp_path / "out")
    assert len(find_recordings([session.path, other], None)[0]) == 2


def test_a_job_is_text(session):
    [recording], _ = find_recordings([session.path], None)
    order = Order(station={"subject": "P01"}, formats=("csv", "parquet"), restore="restore-cpu")
    assert read_job(job_text(recording, order)) == (recording, order)
