import itertools
import os

import numpy as np
import pytest

from engines.emg.envelope import PRESETS, Envelope
from rt import clock
from rt.errors import BadRecording, BadSettings
from rt.message import Chunk, Frame
from rt.recording.recorded import recorded_chunks
from rt.recording.session_folder import SessionFolder
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.sources.replay import START_COMMAND, ReplayCamera, ReplayEmg, ReplaySettings
from rt.stage import Context

RATE = 4096.0
SIZE = (96, 64)


def emg_chunks():
    """Uneven chunks, a gap that the source saw, a clock that jumps back, an empty chunk, NaN."""
    rng = np.random.default_rng(3)
    first, t0, chunks = 0, 500.0, []
    for index, n in enumerate([128, 1, 500, 77, 0, 300, 128, 128]):
        gap_s = {3: 0.75, 6: 3600.0}.get(index, 0.0)
        t0 += {3: 0.75, 6: -3600.0}.get(index, 0.0)
        data = rng.normal(0, 40, (n, 22)).astype(np.float32)
        if index == 5:
            data[10, 4] = np.nan
        chunks.append(Chunk(data, RATE, t0, first, "raw", gap_s))
        first, t0 = first + n, t0 + n / RATE
    return chunks


def picture(seq):
    image = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
    image[:, seq * 4 : seq * 4 + 4] = 220
    return image


def bar_of(image):
    return int(image.astype(int).sum((0, 2)).reshape(-1, 4).sum(1).argmax())


@pytest.fixture
def recording(tmp_path):
    folder = SessionFolder.create(tmp_path, "P01", ("emg", "video"))
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    for chunk in emg_chunks():
        node.process("emg", chunk)
    for seq in range(1, 21):
        if seq == 9:  # a second segment
            node.command("record", False)
            node.command("record", True)
        node.process("frame", Frame(seq, 500.1 + seq / 30, "device" if seq % 2 else "host", picture(seq)))
    node.finish()
    node.close()
    return folder


def player(kind, recording, **settings):
    node = kind(ReplaySettings(str(recording.path), **settings), Context(kind.__name__))
    node.open()
    return node


def play(node, most=10_000):
    """Everything that a node gives until it ends."""
    emits = []
    for _ in range(most):
        found = node.read(0.01)
        if found is None:
            break
        emits += [message for _, message in found]
    node.finish()
    node.close()
    return emits


def envelopes(chunks):
    envelope = Envelope(PRESETS["fast"])
    return np.concatenate([envelope.process(c.data, c.rate_hz, restart=c.gap_s > 0) for c in chunks])


def test_replayed_emg_gives_bit_equal_envelopes_across_gaps(recording):
    sent = emg_chunks()
    back = play(player(ReplayEmg, recording, speed=0, t_start=9000.0))
    np.testing.assert_array_equal(envelopes(back), envelopes(sent))
    whole = [c for c in sent if len(c.data)]
    assert [len(c.data) for c in back] == [len(c.data) for c in whole]  # also cut as it was
    assert [c.first_sample for c in back] == [c.first_sample for c in whole]
    assert [c.gap_s for c in back] == [c.gap_s for c in whole]
    np.testing.assert_allclose([c.t0 for c in back], [c.t0 + 8500.0 for c in whole], atol=1e-6)


def test_recorded_chunks_have_their_own_stamps_exactly(recording):
    assert [c.t0 for c in recorded_chunks(recording.signals)] == [c.t0 for c in emg_chunks() if len(c.data)]


def test_pictures_come_back_with_their_own_capture_times(recording):
    back = play(player(ReplayCamera, recording, speed=0, t_start=9000.0))
    assert [frame.seq for frame in back] == list(range(1, 21))
    assert [bar_of(frame.image) for frame in back] == list(range(1, 21))
    assert [frame.stamp for frame in back] == ["device", "host"] * 10
    np.testing.assert_allclose(
        [frame.t_capture for frame in back], [8500 + 500.1 + s / 30 for s in range(1, 21)], atol=1e-6
    )


def test_both_sources_share_one_time_axis(recording):
    now = clock.now()
    emg, camera = (player(kind, recording, speed=1.0, t_start=now) for kind in (ReplayEmg, ReplayCamera))
    first_chunk, first_frame = next(filter(None, map(emg.read, itertools.repeat(0.01)))), None
    while not first_frame:
        first_frame = camera.read(0.01)
    assert first_chunk[0][1].t0 == pytest.approx(now, abs=1e-6)
    assert first_frame[0][1].t_capture == pytest.approx(now + 0.1 + 1 / 30, abs=1e-6)
    assert clock.now() >= first_frame[0][1].t_capture  # never before its time


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_stamps_keep_their_order_at_any_speed(recording, speed, monkeypatch):
    monkeypatch.setattr("rt.sources.replay.wait_until", lambda t_due, timeout_s: True)
    back = play(player(ReplayCamera, recording, speed=speed, t_start=clock.now()))
    steps = np.diff([frame.t_capture for frame in back])
    expected = 1 / 30 / min(speed, 1.0)
    np.testing.assert_allclose(steps, expected, atol=1e-6)


def test_the_nodes_agree_on_a_start_and_a_late_one_is_told(recording):
    emg, camera, late = (player(kind, recording) for kind in (ReplayEmg, ReplayCamera, ReplayCamera))

    def publish(nodes):
        """What the session does: every request goes to every node."""
        for _ in range(4):
            wishes = [wish for node in nodes for wish in node.context.commands]
            for node in nodes:
                node.context.commands.clear()
            for wish in wishes:
                for node in nodes:
                    node.command(*wish)

    assert list(emg.read(0.0)) == []
    assert list(camera.read(0.0)) == []
    (_, proposed_by_emg), (_, proposed_by_camera) = emg.context.commands[0], camera.context.commands[0]
    publish([camera, emg])
    start = min(proposed_by_emg, proposed_by_camera)
    assert emg._timeline._t_start == camera._timeline._t_start == start
    late.read(0.0)
    publish([emg, camera, late])
    assert late._timeline._t_start == start
    late.command(START_COMMAND, "nonsense")
    late.command(START_COMMAND, float("nan"))
    assert late._timeline._t_start == start


def test_a_cut_video_ends_early_and_says_so(recording):
    last = recording.videos()[-1]
    os.truncate(last, int(last.stat().st_size * 0.5))
    node = player(ReplayCamera, recording, speed=0, t_start=1.0)
    back = play(node)
    missing = [event.data["frames"] for event in node.context.events if event.kind == "GAP"]
    assert [frame.seq for frame in back][:8] == list(range(1, 9))
    assert missing == [20 - len(back)]


def test_damage_inside_the_file_is_a_gap(recording):
    whole = list(recorded_chunks(recording.signals))
    content = bytearray(recording.signals.read_bytes())
    at = content.find(whole[1].data.tobytes()) - 9  # the only sample of this chunk, before it its count
    content[at - 4 : at] = bytes(4)
    recording.signals.write_bytes(content)
    back = list(recorded_chunks(recording.signals))
    assert [c.t0 for c in back] == [c.t0 for c in whole if c is not whole[1]]
    assert back[1].gap_s > 0


def test_what_cannot_be_replayed_is_one_sentence(tmp_path):
    empty = SessionFolder.create(tmp_path, "P01", ("emg",))
    with pytest.raises(BadRecording, match="nothing can be replayed"):
        player(ReplayEmg, empty)
    node = RecorderSink(RecorderSettings(record=False), Context("recorder", empty.path))
    node.open()
    node.finish()
    with pytest.raises(BadRecording, match="neither EMG nor frames"):
        player(ReplayCamera, empty)
    with pytest.raises(BadSettings, match="speed"):
        ReplaySettings("x", speed=-1)
