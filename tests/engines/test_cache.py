import os

import pytest

from engines.cache import cache_folder, digest, private_folder, read_private, write_private
from engines.errors import EngineError


def test_the_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_folder("plans")
    assert folder == tmp_path / "cache" / "myomirror" / "plans"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder("plans") == folder


def test_without_the_variable_it_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("onnx") == tmp_path / ".cache" / "myomirror" / "onnx"


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o770, 0o777])
def test_a_folder_that_others_can_enter_is_refused(tmp_path, mode):
    folder = tmp_path / "plans"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(EngineError, match="only you can enter: chmod 700"):
        private_folder(folder)


def test_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "plans").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="only you can enter"):
        private_folder(tmp_path / "plans")


def test_what_was_written_is_read_and_private(tmp_path):
    write_private(tmp_path / "a", b"old")
    write_private(tmp_path / "a", b"new")
    assert read_private(tmp_path / "a") == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_not_ours_alone_is_as_good_as_absent(tmp_path):
    assert read_private(tmp_path / "nothing") is None
    write_private(tmp_path / "a", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_private(tmp_path / "link") is None
    (tmp_path / "a").chmod(0o640)
    assert read_private(tmp_path / "a") is None
    (tmp_path / "folder").mkdir(mode=0o700)
    assert read_private(tmp_path / "folder") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_as_good_as_absent(tmp_path):
    write_private(tmp_path / "a", b"x")
    os.chown(tmp_path / "a", 65534, 65534)
    assert read_private(tmp_path / "a") is None


def test_borders_between_pieces_count():
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert digest(b"ab", b"c") == digest(b"ab", b"c")
