"""Assets: looked up in order, downloaded only by fetch, kept only when whole."""

import hashlib
import http.server
import os
import stat
import threading
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from rt import assets
from rt.cli import app
from rt.errors import BadSettings, MissingDevice

CONTENT = bytes(range(256)) * 1000
NAME = "face_landmarker.task"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(assets.FOLDER_VARIABLE, raising=False)
    return tmp_path / "cache" / "myomirror" / "assets"


@pytest.fixture
def pinned(monkeypatch):
    """Pin our own small content, from an address that a test may replace."""

    def pin(address="http://127.0.0.1:9/none", content=CONTENT):
        small = replace(
            assets.asset(NAME), size=len(content), sha256=hashlib.sha256(content).hexdigest(), address=address
        )
        monkeypatch.setattr(assets, "ASSETS", (small,))

    return pin


@pytest.fixture
def server():
    """A real HTTP server on loopback that gives `body`, and says `length` when that is set."""

    class Answer(http.server.BaseHTTPRequestHandler):
        body, length = CONTENT, None

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(self.length or len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_):
            pass

    httpd = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    httpd.address = f"http://127.0.0.1:{httpd.server_port}/file"
    yield httpd, Answer
    httpd.shutdown()
    httpd.server_close()


def test_lookup_prefers_the_named_folder_then_the_cache(cache, tmp_path, monkeypatch):
    assert assets.find(NAME) is None
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"cached")
    assert assets.find(NAME) == cache / NAME
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(named))
    assert assets.find(NAME) == cache / NAME  # the named folder does not have it
    (named / NAME).write_bytes(b"named")
    assert assets.find(NAME) == named / NAME


def test_state_tells_missing_altered_and_whole_apart(cache, pinned):
    pinned()
    assert assets.state(NAME) == "missing"
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT[:-1] + b"!")  # same size, other content
    assert assets.state(NAME) == "altered"
    (cache / NAME).write_bytes(CONTENT)
    assert assets.state(NAME) == "ok"


def test_the_pinned_model_is_the_one_in_the_shared_folder():
    if assets.state(NAME) == "missing":
        pytest.skip(f"{NAME} is not installed: set $MYOMIRROR_ASSETS")
    assert assets.state(NAME) == "ok"


def test_unknown_names_are_refused_with_the_list(cache):
    with pytest.raises(BadSettings, match=r"face_landmarker\.task"):
        assets.find("../../etc/passwd")


def test_fetch_writes_a_private_whole_file_and_reports_progress(cache, pinned, server):
    pinned(server[0].address)
    seen = []
    path = assets.fetch(NAME, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)


@pytest.mark.parametrize("body", [CONTENT[:-1] + b"!", CONTENT + b"more", CONTENT[:100]])
def test_fetch_keeps_nothing_of_a_wrong_file(cache, pinned, server, body):
    pinned(server[0].address)
    server[1].body = body
    with pytest.raises(BadSettings, match="thrown away"):
        assets.fetch(NAME)
    assert list(cache.iterdir()) == []


def test_a_download_that_breaks_off_leaves_the_old_file(cache, pinned, server):
    pinned(server[0].address)
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"old")
    server[1].body, server[1].length = CONTENT[:1000], len(CONTENT)
    with pytest.raises((MissingDevice, BadSettings)):
        assets.fetch(NAME)
    assert (cache / NAME).read_bytes() == b"old"
    assert os.listdir(cache) == [NAME]


def test_offline_is_one_sentence_that_says_what_to_do(cache, pinned):
    pinned("http://127.0.0.1:9/nobody-listens")
    with pytest.raises(MissingDevice, match="connect to the internet, or put the file into") as error:
        assets.fetch(NAME)
    assert "\n" not in str(error.value)


def test_verify_says_in_one_sentence_what_is_wrong(cache, pinned):
    pinned()
    with pytest.raises(MissingDevice, match="myomirror assets fetch"):
        assets.verify(NAME)
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"altered")
    with pytest.raises(BadSettings, match="not the pinned"):
        assets.verify(NAME)
    (cache / NAME).write_bytes(CONTENT)
    assert assets.verify(NAME) == cache / NAME


def test_what_is_there_and_whole_is_not_fetched_again(cache, pinned):
    pinned("http://127.0.0.1:9/nobody-listens")
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    assert assets.fetch(NAME) == cache / NAME


def test_the_face_model_is_known_but_got_by_hand(cache):
    assert assets.state(assets.FACE_MODEL) == "missing"
    for refuse in (assets.verify, assets.fetch):
        with pytest.raises(MissingDevice, match=r"ict_facekit_light\.npz .*ICT-FaceKit .*--face-model") as error:
            refuse(assets.FACE_MODEL)
        assert "\n" not in str(error.value)
    cache.mkdir(parents=True)
    (cache / assets.FACE_MODEL).write_bytes(b"altered")
    with pytest.raises(BadSettings, match="not the pinned ict_facekit_light"):
        assets.verify(assets.FACE_MODEL)


def test_the_pinned_face_model_is_the_one_in_the_shared_folder():
    if assets.state(assets.FACE_MODEL) == "missing":
        pytest.skip(f"{assets.FACE_MODEL} is not installed: set $MYOMIRROR_ASSETS")
    assert assets.state(assets.FACE_MODEL) == "ok"


def test_the_commands_skip_what_is_got_by_hand(cache, monkeypatch):
    by_hand = assets.asset(assets.FACE_MODEL)
    monkeypatch.setattr(assets, "ASSETS", (by_hand,))
    for command, says in (("list", "missing: get "), ("fetch", "not downloaded: get "), ("verify", "not installed")):
        found = CliRunner().invoke(app, ["assets", command])
        assert found.exit_code == 0
        assert f"{by_hand.name}  {says}" in found.output
