"""The landmarker on the real clip, and what happens without a face, without a model, with a strange clock."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.errors import BackendMissing
from engines.face.blendshapes import BLENDSHAPE_INDEX, BLENDSHAPES
from rt.errors import BadSettings
from rt.stage import Context
from rt.stages.face import FaceSettings, FaceStage, VideoClock


def opened(**settings):
    stage = FaceStage(FaceSettings(**settings), Context("face"))
    stage.open()
    return stage


def through(stage, frame):
    [(port, out)] = list(stage.process("frame", frame))
    assert port == "frame"
    return out


def faces_of(frames, model, follow):
    stage = opened(model=str(model), follow=follow)
    outs = [through(stage, frame) for frame in frames]
    assert stage.context.facts["backend"] == follow
    stage.close()
    return outs


@pytest.fixture(scope="module")
def clip_faces(clip_frames, landmarker_model):
    return faces_of(clip_frames, landmarker_model, "openvino")


@pytest.fixture(scope="module")
def mediapipe_faces(clip_frames, landmarker_model):
    return faces_of(clip_frames, landmarker_model, "mediapipe")


def test_the_face_is_found_in_the_real_clip(clip_faces):
    faces = [out.face for out in clip_faces if out.face is not None]
    assert len(faces) >= 0.95 * len(clip_faces)
    for face in faces:
        assert face.landmarks_px.shape == (478, 2)
        assert face.blendshapes.shape == (52,)
        assert {face.landmarks_px.dtype, face.blendshapes.dtype} == {np.dtype("f4")}
        assert ((face.blendshapes >= 0) & (face.blendshapes <= 1)).all()
        x, y = face.landmarks_px.mean(0)
        assert 200 < x < 440  # the person sits in the middle of 640x360
        assert 90 < y < 270


def test_the_smile_rises_and_falls(clip_faces):
    smile = np.array([out.face.blendshapes[BLENDSHAPE_INDEX["mouthSmileLeft"]] for out in clip_faces if out.face])
    assert smile[:15].max() < 0.2
    assert smile[30:60].min() > 0.6
    assert smile[-1] < 0.3


def test_what_openvino_follows_is_what_mediapipe_says(clip_faces, mediapipe_faces):
    ours = np.stack([out.face.landmarks_px for out in clip_faces])
    theirs = np.stack([out.face.landmarks_px for out in mediapipe_faces])
    apart = np.linalg.norm(ours - theirs, axis=2).mean(1)  # px, of a face 150 px wide
    assert apart.mean() < 0.3
    assert apart.max() < 1.5
    shapes = [[out.face.blendshapes for out in outs] for outs in (clip_faces, mediapipe_faces)]
    assert np.abs(np.subtract(*shapes)).mean() < 0.006
    jitter = [np.diff(points, 2, axis=0).std() for points in (ours, theirs)]
    assert jitter[0] < 1.3 * jitter[1]


def test_a_face_that_is_lost_is_found_again_elsewhere(clip_frames, landmarker_model, empty_frame):
    stage = opened(model=str(landmarker_model))
    first = through(stage, clip_frames[0]).face.landmarks_px
    black = replace(clip_frames[0], image=np.zeros_like(clip_frames[0].image))
    assert through(stage, black).face is None
    assert through(stage, black).face is None
    moved = replace(clip_frames[0], image=np.roll(clip_frames[0].image, (-40, 90), (0, 1)))
    found = through(stage, moved).face.landmarks_px
    assert np.linalg.norm(found - first - [90, -40], axis=1).mean() < 4
    stage.close()


def test_without_openvino_mediapipe_follows(monkeypatch, clip_frames, landmarker_model):
    def missing(*_):
        raise BackendMissing("openvino is needed to run a network in OpenVINO: pip install openvino")

    monkeypatch.setattr("rt.stages.face.LandmarkFollower", missing)
    stage = opened(model=str(landmarker_model))
    assert stage.context.facts["backend"] == "mediapipe"
    assert through(stage, clip_frames[0]).face is not None
    stage.close()
    with pytest.raises(BadSettings, match=r"pip install openvino; or leave out face\.follow"):
        opened(model=str(landmarker_model), follow="openvino")


def test_the_input_is_left_alone(clip_frames, clip_faces):
    for frame, out in zip(clip_frames, clip_faces, strict=True):
        assert out.image is frame.image
        assert frame.face is None
        assert (out.seq, out.t_capture) == (frame.seq, frame.t_capture)


def test_blendshape_names_are_those_of_the_model(clip_frames, landmarker_model):
    stage = opened(model=str(landmarker_model))
    stage._rgb = np.ascontiguousarray(clip_frames[0].image[:, :, ::-1])
    found = stage._landmarker.detect(stage._wrapped())
    stage.close()
    assert tuple(category.category_name for category in found.face_blendshapes[0]) == BLENDSHAPES


@pytest.mark.parametrize("follow", ["openvino", "mediapipe"])
def test_time_that_stands_still_or_runs_backwards_does_not_stop_it(clip_frames, landmarker_model, follow):
    stage = opened(model=str(landmarker_model), follow=follow)
    for t in (10.0, 10.0, 9.0, 9.0002, -5.0, 1e6, 1e6):
        assert through(stage, replace(clip_frames[0], t_capture=t)).face is not None
    stage.close()


def test_video_clock_keeps_intervals_and_always_rises():
    stamp_ms = VideoClock()
    stamps = [stamp_ms(100 + i / 30) for i in range(300)]
    np.testing.assert_allclose(np.subtract(stamps, stamps[0]), np.arange(300) / 0.03, atol=1.001)
    rng = np.random.default_rng(3)
    stamps = [stamp_ms(t) for t in rng.uniform(-1e5, 1e5, 500)]
    assert (np.diff(stamps) >= 1).all()
    stamp_ms(50.0)
    first, second = stamp_ms(1.0), stamp_ms(1.1)  # after a step back the intervals are true again
    assert second - first == pytest.approx(100, abs=1)


def test_nobody_there_is_said_once_per_episode(clip_frames, landmarker_model, empty_frame):
    stage = opened(model=str(landmarker_model))
    said = lambda: sum("no face" in event.text for event in stage.context.events)  # noqa: E731
    t = 100.0

    def show(frame, seconds):
        nonlocal t
        for _ in range(int(seconds * 10)):
            t += 0.1
            out = through(stage, replace(frame, t_capture=t))
        return out

    assert show(empty_frame, 1.5).face is None
    assert said() == 0
    show(empty_frame, 5.0)
    assert said() == 1
    assert stage.context.facts["face_seen"] is False
    assert show(clip_frames[0], 0.5).face is not None
    assert stage.context.facts["face_seen"] is True
    show(empty_frame, 3.0)
    assert said() == 2
    assert all(event.kind != "ALARM" for event in stage.context.events)
    stage.close()


def test_without_the_model_frames_pass_and_it_is_said_once(monkeypatch, tmp_path, empty_frame):
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stage = opened()
    for _ in range(100):
        assert through(stage, empty_frame) is empty_frame
    assert stage.context.facts["face_model"] == "missing"
    assert [event.kind for event in stage.context.events] == ["FACE"]
    assert "myomirror assets fetch" in stage.context.events[0].text
    stage.close()


def test_a_model_that_is_none_is_refused_in_one_sentence(monkeypatch, tmp_path, capfd):
    with pytest.raises(BadSettings, match="is not there"):
        opened(model=str(tmp_path / "nothing.task"))
    (tmp_path / "face_landmarker.task").write_bytes(b"not a model" * 1000)
    with pytest.raises(BadSettings, match="is no face landmarker model"):
        opened(model=str(tmp_path / "face_landmarker.task"))
    monkeypatch.setenv("MYOMIRROR_ASSETS", str(tmp_path))
    with pytest.raises(BadSettings, match="is not the pinned"):
        opened()


def test_it_starts_without_chatter_on_stderr(landmarker_model, clip_frames):
    code = (
        "import numpy as np\n"
        "from rt.message import Frame\nfrom rt.stage import Context\nfrom rt.stages.face import *\n"
        f"s = FaceStage(FaceSettings({str(landmarker_model)!r}), Context('face')); s.open()\n"
        "list(s.process('frame', Frame(0, 1.0, 'host', np.zeros((480, 640, 3), np.uint8)))); s.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


SPY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
static void note(const char *what, const char *name) {
    FILE *f = fopen(getenv("SPY_FILE"), "a");
    if (f) { fprintf(f, "%s %s\n", what, name ? name : ""); fclose(f); }
}
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {
    note("getaddrinfo", n);
    return ((int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))
            dlsym(RTLD_NEXT, "getaddrinfo"))(n, s, h, r);
}
struct hostent *gethostbyname(const char *n) {
    note("gethostbyname", n);
    return ((struct hostent *(*)(const char *))dlsym(RTLD_NEXT, "gethostbyname"))(n);
}
int connect(int fd, const struct sockaddr *a, socklen_t l) {
    if (a->sa_family == AF_INET || a->sa_family == AF_INET6) note("connect", "inet");
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(fd, a, l);
}
"""


@pytest.fixture(scope="module")
def spy(tmp_path_factory):
    """A library that writes down every name look-up and internet connection of the process it is loaded into."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the name look-up spy with")
    folder = tmp_path_factory.mktemp("spy")
    (folder / "spy.c").write_text(SPY)
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "spy.so"), str(folder / "spy.c"), "-ldl"]
    subprocess.run(command, check=True)
    return folder / "spy.so"


def spied(spy, tmp_path, code):
    notes = tmp_path / "notes"
    notes.write_text("")
    environment = {**os.environ, "LD_PRELOAD": str(spy), "SPY_FILE": str(notes)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, cwd=Path.cwd())
    return notes.read_text()


def test_the_spy_sees_a_look_up(spy, tmp_path):
    code = "import socket\ntry: socket.getaddrinfo('metrics.example.invalid', 443)\nexcept OSError: pass"
    assert "getaddrinfo metrics.example.invalid" in spied(spy, tmp_path, code)


def test_the_landmarker_looks_up_no_name_and_connects_nowhere(spy, tmp_path, landmarker_model):
    code = (
        "import numpy as np, time\n"
        "from rt.message import Frame\nfrom rt.stage import Context\nfrom rt.stages.face import *\n"
        f"s = FaceStage(FaceSettings({str(landmarker_model)!r}), Context('face')); s.open()\n"
        "for i in range(20):\n"
        "    list(s.process('frame', Frame(i, i / 30, 'host', np.zeros((480, 640, 3), np.uint8))))\n"
        "time.sleep(1.0)  # a metrics thread would call home by now\n"
        "s.close()\n"
    )
    assert spied(spy, tmp_path, code) == ""
