import json
import os
import resource
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import pyxdf

from engines.emg.montage import FRIDLUND
from engines.errors import BadInput
from engines.face.blendshapes import BLENDSHAPES
from rt.errors import BadSettings
from rt.message import Chunk, Crop, Estimate, Expression, Face, Frame, Motion, MotionState, Muscles, Parameters
from rt.recording.recorded import recorded_chunks
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG, EVENTS, FRAMES
from rt.recording.video import VideoReader
from rt.recording.xdf_reader import read_xdf
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.stage import Context

RATE = 4096.0
ALL = ("emg", "video", "training", "sharing")
SIZE = (96, 64)


def raw(first, n=128, gap_s=0.0, t0=None, kind="raw"):
    data = np.random.default_rng(first).normal(0, 30, (n, 22)).astype(np.float32)
    return Chunk(data, RATE, 100.0 + first / RATE if t0 is None else t0, first, kind, gap_s, "chain1" * (kind != "raw"))


def frame(seq, size=SIZE, t=None, **found):
    image = np.full((size[1], size[0], 3), (seq * 5 % 200, 90, 40), np.uint8)
    image.flags.writeable = False
    return Frame(seq, 100.0 + seq / 30 if t is None else t, "device", image, **found)


def muscles(t, reference="3 maximal smiles"):
    ones = np.ones(22, np.float32)
    asymmetry, contact = np.linspace(-50, 50, 11, dtype=np.float32), np.full(22, 3, np.uint8)
    return Muscles(t, ones, ones * 40, asymmetry, contact, ones, ones * np.nan, ones * 100, reference)


@pytest.fixture
def folder(tmp_path):
    return SessionFolder.create(tmp_path, "P01", ALL)


def kill(xdf):
    """What the kernel does to a killed process: no footers, the descriptor and its lock are gone."""
    xdf._sync.close()
    os.close(xdf._fd)


def recorder(folder, generation=0, **settings):
    context = Context("recorder", folder.path, generation)
    node = RecorderSink(RecorderSettings(**settings), context)
    node.open()
    return node


def end(node):
    node.finish()
    node.close()


def streams(folder):
    found, damage = read_xdf(folder.signals)
    assert not damage
    return {stream.spec.name: stream for stream in found}


def events(folder):
    return [json.loads(texts[0]) for texts in streams(folder)[EVENTS].values]


def kinds(folder):
    return [event["kind"] for event in events(folder)]


def pictures(path):
    with VideoReader(path) as video:
        return sum(1 for _ in video)


def test_everything_that_travels_is_in_the_files_and_pyxdf_opens_them(folder):
    node = recorder(folder)
    face = Face(np.zeros((478, 2), np.float32), np.linspace(0, 1, 52, dtype=np.float32))
    crop = Crop(np.zeros((4, 4, 3), np.uint8), np.arange(6, dtype=np.float32).reshape(2, 3), True)
    for step in range(10):
        node.process("emg", raw(step * 128))
        node.process("envelope", raw(step * 128, kind="envelope"))
        node.process("frame", frame(step + 1))
        node.process("params", Parameters.of(frame(step + 1, face=face, crop=crop, muscles=muscles(100.0 + step))))
    node.process("params", Parameters.of(frame(11)))
    node.command("event", {"t": 105.0, "kind": "MARKER", "node": "page", "text": "smile", "data": {"task": 3}})
    end(node)
    found = streams(folder)
    np.testing.assert_array_equal(found["emg"].values, np.concatenate([raw(i * 128).data for i in range(10)]))
    np.testing.assert_array_equal(
        found["emg"].stamps, np.concatenate([100.0 + i * 128 / RATE + np.arange(128) / RATE for i in range(10)])
    )
    assert found["emg"].spec.labels == FRIDLUND.labels
    assert found["envelope"].spec.details["emg_chain"] == "chain1"
    np.testing.assert_array_equal(found["expression"].values[0], [*face.blendshapes, *range(6)])
    assert found["expression"].spec.labels[:52] == BLENDSHAPES
    assert np.isnan(found["expression"].values[-1]).all()
    np.testing.assert_array_equal(found["expression"].stamps, [100.0 + i / 30 for i in range(1, 12)])
    np.testing.assert_array_equal(
        found["muscles"].values[0], [*[40] * 22, *np.linspace(-50, 50, 11, dtype=np.float32), *[3] * 22]
    )
    np.testing.assert_array_equal(found["frames"].values, [[i + 1, 1, i, 1, 1] for i in range(10)])
    np.testing.assert_array_equal(found["frames"].stamps, [100.0 + i / 30 for i in range(1, 11)])
    assert pictures(folder.videos()[0]) == 10
    assert kinds(folder) == ["RECORD", "STREAM", "STREAM", "CALIBRATION", "MARKER", "RECORD"]
    assert events(folder)[4]["data"] == {"task": 3}
    theirs, _ = pyxdf.load_xdf(folder.signals)
    assert {s["info"]["name"][0] for s in theirs} == set(found)
    folder.close(digests=node.context.facts["sha256"])
    assert folder.verify() == []


def test_calibration_is_recorded_when_it_changes_only(folder):
    node = recorder(folder)
    for step, reference in enumerate(["", "", "maximal smile", "maximal smile"]):
        node.process("params", Parameters.of(frame(step, muscles=muscles(100.0 + step, reference))))
    end(node)
    assert [e["text"] for e in events(folder) if e["kind"] == "CALIBRATION"] == ["not calibrated", "maximal smile"]


def test_consent_decides_what_is_written(tmp_path):
    found = {}
    for scopes in ((), ("emg",), ("video",)):
        folder = SessionFolder.create(tmp_path, "P01", scopes)
        node = recorder(folder)
        node.process("emg", raw(0))
        node.process("envelope", raw(0, kind="envelope"))
        node.process("frame", frame(1))
        node.process("params", Parameters.of(frame(1, muscles=muscles(100.0))))
        end(node)
        found[scopes] = (set(streams(folder)) - {EVENTS, FRAMES}, len(folder.videos()))
    assert found == {(): (set(), 0), ("emg",): ({"emg", "envelope", "muscles"}, 0), ("video",): ({"expression"}, 1)}


def expression(t, source, profile="arkit52"):
    count = 52 if profile == "arkit52" else 55
    return Expression(t, np.linspace(0, 1, count, dtype=np.float32), profile, source)


def estimate(t):
    return Estimate(t, np.arange(22, dtype=np.float32), np.full(22, np.nan, np.float32))


def test_what_networks_say_has_streams_of_its_own_that_say_so(folder):
    node = recorder(folder)
    for step in range(3):
        node.process("expression", expression(100.0 + step, "camera", "flame55"))
        node.process("expression", expression(100.0 + step, "emg"))
        node.process("estimate", estimate(100.0 + step))
    end(node)
    found = streams(folder)
    assert set(found) - {EVENTS, FRAMES} == {"expression_camera", "expression_emg", "estimated_muscles"}
    guess = found["estimated_muscles"]
    np.testing.assert_array_equal(guess.values[1, :22], np.arange(22))
    assert np.isnan(guess.values[:, 22:]).all()
    assert guess.spec.labels[0] == "F1_estimated_percent"
    assert guess.spec.labels[22] == "F1_estimated_sd"
    assert guess.spec.kind != "EMG"
    assert "not measured" in guess.spec.details["origin"]
    np.testing.assert_array_equal(guess.stamps, [100.0, 101.0, 102.0])
    assert found["expression_camera"].values.shape == (3, 55)
    assert found["expression_camera"].spec.details["profile"] == "flame55"
    assert found["expression_emg"].spec.labels == BLENDSHAPES
    assert "muscles" in found["expression_emg"].spec.details["origin"]


def motion(t):
    pose, even = np.array([12, -3, 1, 12.5], np.float32), np.array([10, np.nan, -20], np.float32)
    return Motion(t, MotionState.SHOWN, pose, 25.0, 0.125, even, np.ones(3, np.float32))


def test_head_pose_and_symmetry_are_kept_with_consent_to_video(tmp_path):
    for scopes in (("emg",), ("video",)):
        folder = SessionFolder.create(tmp_path, "P01", scopes)
        first = recorder(folder)
        for step in range(2):
            first.process("motion", motion(100.0 + step))
        kill(first._signals.xdf)
        again = recorder(folder, generation=1)
        for step in range(1, 3):  # sent again
            again.process("motion", motion(100.0 + step))
        end(again)
        found = streams(folder)
        assert ("motion" in found) == ("video" in scopes)
    kept = found["motion"]
    np.testing.assert_array_equal(kept.stamps, [100.0, 101.0, 102.0])
    np.testing.assert_array_equal(kept.values[0], [1, 12, -3, 1, 12.5, 0.125, 10, np.nan, -20, 1, 1, 1])
    assert len(kept.spec.labels) == 12
    assert kept.spec.labels[6] == "brows_asymmetry"


def test_a_restarted_recorder_takes_none_of_it_twice(folder):
    first = recorder(folder)
    for step in range(3):
        first.process("estimate", estimate(100.0 + step))
        first.process("expression", expression(100.0 + step, "emg"))
    kill(first._signals.xdf)
    second = recorder(folder, generation=1)
    for step in range(1, 5):  # the links send again what was not acknowledged
        second.process("estimate", estimate(100.0 + step))
        second.process("expression", expression(100.0 + step, "emg"))
    end(second)
    found = streams(folder)
    for name in ("estimated_muscles", "expression_emg"):
        np.testing.assert_array_equal(found[name].stamps, [100.0, 101.0, 102.0, 103.0, 104.0])


def test_consent_reaches_what_is_made_of_picture_and_muscles(tmp_path):
    found = {}
    for scopes in ((), ("emg",), ("video",)):
        folder = SessionFolder.create(tmp_path, "P01", scopes)
        node = recorder(folder)
        node.process("expression", expression(100.0, "camera"))
        node.process("expression", expression(100.0, "emg"))
        node.process("estimate", estimate(100.0))
        end(node)
        found[scopes] = set(streams(folder)) - {EVENTS, FRAMES}
    assert found == {(): set(), ("emg",): {"expression_emg"}, ("video",): {"expression_camera", "estimated_muscles"}}


def test_gaps_of_emg_and_frames_are_explicit(folder):
    node = recorder(folder)
    for chunk in (raw(0), raw(128, gap_s=1.5, t0=102.0), raw(256, t0=102.1), raw(512, t0=102.2), raw(640, 0), raw(640)):
        node.process("emg", chunk)
    for seq in (1, 2, 5, 6):
        node.process("frame", frame(seq))
    end(node)
    gaps = [e["data"] for e in events(folder) if e["kind"] == "GAP"]
    assert [(g["stream"], g.get("sample"), g.get("first_sample"), g.get("missing")) for g in gaps] == [
        ("emg", 128, 128, None),
        ("emg", 384, 512, None),  # never reached the recorder, although the source noticed nothing
        ("frames", None, None, 2),
    ]
    assert gaps[0]["gap_s"] == 1.5
    back = list(recorded_chunks(folder.signals))
    assert [(c.first_sample, c.gap_s > 0) for c in back] == [
        (0, False),
        (128, True),
        (256, False),
        (512, True),
        (640, False),
    ]


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_restarted_recorder_goes_on_and_takes_nothing_twice(folder, killed_after):
    sent = [raw(0), raw(128), raw(256, gap_s=0.5, t0=103.0), raw(384, t0=103.1), raw(512, t0=103.2)]
    first = recorder(folder)
    for index in range(killed_after):
        first.process("emg", sent[index])
        first.process("frame", frame(index + 1))
        first.process("params", Parameters.of(frame(index + 1)))
    kill(first._signals.xdf)

    again = recorder(folder, generation=1)
    for index, chunk in enumerate(sent):  # the link sends again what was not acknowledged
        again.process("emg", chunk)
        again.process("frame", frame(index + 1))
        again.process("params", Parameters.of(frame(index + 1)))
    end(again)
    found = streams(folder)
    np.testing.assert_array_equal(found[EMG].values, np.concatenate([c.data for c in sent]))
    assert [c.gap_s for c in recorded_chunks(folder.signals)] == [0.0, 0.0, 0.5, 0.0, 0.0]
    assert found[FRAMES].values[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert found[FRAMES].values[killed_after:, 1].tolist() == [2] * (5 - killed_after)
    assert len(found["expression"].stamps) == 5
    assert [path.name for path in folder.videos()] == ["video_0001.mkv", "video_0002.mkv"]
    assert "RESTART" in kinds(folder)


def test_an_amplifier_that_starts_anew_after_the_restart_is_no_repetition(folder):
    first = recorder(folder)
    for index in range(4):
        first.process("emg", raw(index * 128))
    kill(first._signals.xdf)
    again = recorder(folder, generation=1)
    again.process("emg", raw(0, gap_s=2.0, t0=200.0))
    again.process("emg", raw(128, t0=200.0 + 128 / RATE))
    end(again)
    assert len(streams(folder)[EMG].stamps) == 6 * 128


def test_switching_off_ends_the_segment_and_on_begins_another(folder):
    node = recorder(folder)
    for seq in range(1, 13):
        if seq in (5, 9):
            node.command("record", seq == 9)
        node.process("emg", raw(seq * 128))
        node.process("frame", frame(seq))
    end(node)
    assert [pictures(path) for path in folder.videos()] == [4, 4]
    assert streams(folder)[FRAMES].values[:, 0].tolist() == [1, 2, 3, 4, 9, 10, 11, 12]
    marks = [(e["kind"], e["data"].get("on"), e["data"].get("sample")) for e in events(folder)]
    assert marks == [
        ("RECORD", True, None),
        ("STREAM", None, 0),
        ("RECORD", False, None),
        ("RECORD", True, None),
        ("GAP", None, 512),
        ("RECORD", False, None),
    ]
    assert node.context.facts["recording"] is False


def test_off_from_the_start_writes_nothing(folder):
    node = recorder(folder, record=False)
    node.process("emg", raw(0))
    node.process("frame", frame(1))
    node.command("event", {"t": 1.0, "kind": "MARKER", "node": "page", "text": "x", "data": {}})
    end(node)
    assert set(streams(folder)) == {EVENTS, FRAMES}
    assert kinds(folder) == []
    assert folder.videos() == []


def test_a_new_picture_size_gets_a_segment_of_its_own(folder):
    node = recorder(folder)
    for seq in range(1, 5):
        node.process("frame", frame(seq, SIZE if seq < 3 else (64, 48)))
    end(node)
    assert [pictures(path) for path in folder.videos()] == [2, 2]
    assert streams(folder)[FRAMES].values[:, 1:3].tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]


def test_a_picture_that_changed_while_it_was_encoded_is_told(folder):
    node = recorder(folder)
    node.context.intact = lambda frame: frame.seq != 2
    for seq in (1, 2, 3):
        node.process("frame", frame(seq))
    end(node)
    assert streams(folder)[FRAMES].values[:, 4].tolist() == [1, 0, 1]


@contextmanager
def file_size_limit(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_is_an_alarm_and_the_session_goes_on(folder):
    node = recorder(folder)
    node.process("frame", frame(1))
    node.process("emg", raw(0))
    with file_size_limit(40_000):
        for step in range(1, 10):
            node.process("emg", raw(step * 128))
            node.process("frame", frame(step + 1))
        end(node)
    alarms = [e.text for e in node.context.events if e.kind == "ALARM" and "signals.xdf" in e.text]
    assert len(alarms) == 1
    assert all(event.data["data_lost"] for event in node.context.events)
    assert node.context.facts["data_lost"] is True
    kept = streams(folder)[EMG].values
    assert len(kept) % 128 == 0
    assert 0 < len(kept) < 10 * 128
    np.testing.assert_array_equal(kept, np.concatenate([raw(i * 128).data for i in range(len(kept) // 128)]))
    assert pictures(folder.videos()[0]) == 10


def test_long_details_of_an_event_do_not_lose_the_event(folder):
    node = recorder(folder)
    note = {"t": 1.0, "kind": "MARKER", "node": "page", "text": "note", "data": {"x": "y" * 100_000}}
    node.command("event", note)
    end(node)
    assert events(folder)[1]["data"] == {"left_out": "details were too long"}


def test_settings_that_cannot_work_are_one_sentence(folder):
    with pytest.raises(BadSettings, match="--out"):
        RecorderSink(RecorderSettings(), Context("recorder")).open()
    with pytest.raises(BadInput, match="fridlund, kuramoto"):
        recorder(folder, montage="10-20")
