import json
import os
import stat
import subprocess

import pytest

from rt.errors import BadRecording, BadSettings
from rt.recording.session_folder import MANIFEST, SESSION, SessionFolder

ALL = ("emg", "video", "training", "sharing")


@pytest.fixture
def folder(tmp_path):
    return SessionFolder.create(tmp_path / "data", "P01", ALL, settings={"fps": 30}, versions={"numpy": "2"})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_layout_and_modes_do_not_depend_on_the_umask(tmp_path):
    old = os.umask(0)
    try:
        folder = SessionFolder.create(tmp_path / "data", "P01", ("emg",))
        folder.close()
    finally:
        os.umask(old)
    assert mode(tmp_path / "data") == mode(folder.path) == 0o700
    assert mode(folder.path / SESSION) == mode(folder.path / MANIFEST) == 0o600
    assert folder.path.parent == tmp_path / "data"
    assert folder.path.name.startswith("P01_20")


@pytest.mark.parametrize("subject", ["", "../x", "a/b", ".hidden", "-x", "Anna Meier", "a" * 33, "a\n", "ä", "a\0"])
def test_only_pseudonyms(tmp_path, subject):
    with pytest.raises(BadSettings, match="pseudonym"):
        SessionFolder.create(tmp_path, subject, ALL)
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_in_one_second_get_two_folders(tmp_path):
    paths = {SessionFolder.create(tmp_path, "P01", ALL).path for _ in range(3)}
    assert len(paths) == 3


def test_session_is_read_back_and_state_goes_from_recording_to_closed(folder):
    assert SessionFolder.open(folder.path).info["state"] == "recording"
    folder.close(ledger={"captured": 3}, report={"fps": {"shown": float("nan")}})
    info = SessionFolder.open(folder.path).info
    assert info["state"] == "closed"
    assert info["ledger"] == {"captured": 3}
    assert info["report"] == {"fps": {"shown": None}}
    assert info["settings"] == {"fps": 30}


def test_consent_is_kept_and_unknown_scopes_are_refused(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("video",))
    assert folder.allows("video")
    assert not folder.allows("emg")
    with pytest.raises(BadSettings, match="emg, video, training, sharing"):
        SessionFolder.create(tmp_path, "P01", ("everything",))


def test_manifest_tells_altered_missing_and_foreign_files(folder):
    for name in ("signals.xdf", "video_0001.mkv", "video_0002.mkv"):
        (folder.path / name).write_bytes(name.encode())
    folder.close()
    assert folder.verify() == []
    checked = subprocess.run(["sha256sum", "-c", MANIFEST], cwd=folder.path, capture_output=True)
    assert checked.returncode == 0
    (folder.path / "signals.xdf").write_bytes(b"other")
    (folder.path / "video_0001.mkv").unlink()
    (folder.path / "note.txt").write_text("x")
    assert folder.verify() == [
        "video_0001.mkv is missing",
        "note.txt is not in the manifest",
        "signals.xdf was altered",
    ]


def test_manifest_takes_the_digests_that_the_writers_have(folder):
    (folder.path / "signals.xdf").write_bytes(b"x")
    folder.close(digests={"signals.xdf": "0" * 64, "gone.mkv": "1" * 64})
    assert folder.verify() == ["signals.xdf was altered"]


def test_videos_are_numbered_on(folder):
    assert folder.next_video()[0] == 1
    (folder.path / "video_0001.mkv").touch()
    (folder.path / "video_0007.mkv").touch()
    number, path = folder.next_video()
    assert (number, path.name) == (8, "video_0008.mkv")
    assert [p.name for p in folder.videos()] == ["video_0001.mkv", "video_0007.mkv"]


def test_links_are_refused(folder, tmp_path):
    (tmp_path / "secret").write_text("x")
    (folder.path / "signals.xdf").symlink_to(tmp_path / "secret")
    with pytest.raises(BadRecording, match="link"):
        _ = folder.signals
    (folder.path / "video_0001.mkv").symlink_to(tmp_path / "secret")
    with pytest.raises(BadRecording, match="link"):
        folder.videos()
    (folder.path / SESSION).unlink()
    (folder.path / SESSION).symlink_to(tmp_path / "secret")
    with pytest.raises(BadRecording, match="no recording"):
        SessionFolder.open(folder.path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "holds no session.json"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "does not say"),
        (json.dumps({"format": "other"}), "does not say"),
        (json.dumps({"format": "myomirror-session", "version": 99}), "version 99"),
        (json.dumps({"format": "myomirror-session", "version": 1}), "consent"),
    ],
)
def test_what_is_no_recording_is_one_sentence(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / SESSION).write_text(content)
    with pytest.raises(BadRecording, match=sentence):
        SessionFolder.open(tmp_path)


def test_missing_folder_and_unusable_data_folder(tmp_path):
    with pytest.raises(BadRecording, match="no folder"):
        SessionFolder.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(BadSettings, match="cannot record into"):
        SessionFolder.create(tmp_path / "file", "P01", ALL)


def test_not_closed_has_nothing_to_verify(folder):
    with pytest.raises(BadRecording, match="run repair"):
        folder.verify()
