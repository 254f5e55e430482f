"""The process that makes the 3D face: what comes of it, and what it says when it cannot."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from engines.emg.montage import FRIDLUND
from engines.face.face_bin import decode_face
from rt import assets
from rt.errors import LiveError, MissingDevice
from rt.web import face_file as module
from rt.web.face_file import face_file
from rt.web.face_maker import main


def made(waiting):
    """In a thread of its own: a browser that another test has opened keeps this thread's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, waiting).result()


def test_the_file_is_a_face_for_this_montage():
    if not os.environ.get("MYOMIRROR_ASSETS"):
        pytest.skip("needs the packed face model: set $MYOMIRROR_ASSETS")
    face = decode_face(made(face_file(FRIDLUND.subset(["F20", "F19", "F1"]))))
    assert face.heat.shape == (face.skin, 3)
    left, right = (face.neutral[face.heat[:, column].argmax(), 0] for column in (0, 1))
    assert left > 2 > -2 > right  # zygomaticus: x grows to the person's left


def test_without_the_model_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(assets, "find", lambda name: None)
    with pytest.raises(MissingDevice, match=r"no 3D face, as ict_facekit_light.npz is not installed: get https://"):
        made(face_file(FRIDLUND))


def test_a_damaged_model_is_one_sentence(monkeypatch, tmp_path):
    damaged = tmp_path / "model.npz"
    damaged.write_bytes(b"nothing")
    monkeypatch.setattr(assets, "find", lambda name: damaged)
    with pytest.raises(LiveError, match=r"could not be made: .*model\.npz"):
        made(face_file(FRIDLUND))


def test_it_does_not_wait_for_ever(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "find", lambda name: tmp_path)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    with pytest.raises(LiveError, match="was not made within 0 s"):
        made(face_file(FRIDLUND))


def test_the_process_names_what_does_not_fit(capfd, tmp_path):
    assert main([str(tmp_path / "none.npz"), "fridlund", "F1"]) == 2
    assert "none.npz" in capfd.readouterr().err
