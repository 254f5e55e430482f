"""An empty chunk is a legal message for everybody who takes chunks, and changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from engines.emg.simulator import SyntheticEmg
from rt.message import Chunk, Frame, Muscles, Quality
from rt.muscles import measure
from rt.sinks.lsl_out import LslOutSink
from rt.stage import Context
from rt.stages.envelope import EnvelopeStage
from rt.stages.join import JoinStage
from rt.stages.measures import MeasuresStage
from rt.stages.quality import QualityStage

RATE_HZ = 1024.0
NODES = {
    QualityStage: "emg",
    EnvelopeStage: "emg",
    MeasuresStage: "envelope",
    JoinStage: "envelope",
    LslOutSink: "envelope",
}


def node_of(kind, lsl_id):
    settings = kind.Settings(source_id=lsl_id) if kind is LslOutSink else kind.Settings()
    node = kind(settings, Context())
    node.open()
    return node


def chunks():
    """A second in pieces of different size, as raw EMG would come; a gap in the middle."""
    person, first = SyntheticEmg(rate_hz=RATE_HZ, seed=1), 0
    for index, count in enumerate((100, 1, 300, 23, 600)):
        data = np.abs(person.block(first, count))
        yield Chunk(data, RATE_HZ, 50.0 + first / RATE_HZ + (0.2 if index > 2 else 0), first, gap_s=0.2 * (index == 3))
        first += count


def empty_before(chunk):
    return replace(chunk, data=np.empty((0, 22), np.float32))


def answers(node, port, pieces):
    out = [message for piece in pieces for _, message in node.process(port, piece)]
    if isinstance(node, JoinStage):
        out += [m for t in (50.05, 50.3, 50.6, 51.1) for _, m in node.process("frame", frame(t))]
    return [told(message) for message in out if not isinstance(message, Chunk) or len(message.data)]


def frame(t):
    return Frame(0, t, "host", np.zeros((2, 2, 3), np.uint8))


def told(message):
    """The numbers in a message, for comparison."""
    if isinstance(message, Chunk):
        return [message.t0, message.first_sample, message.gap_s, message.data.tobytes()]
    if isinstance(message, Quality):
        return [message.t, message.contact.tobytes(), message.mains_ratio.tobytes()]
    if isinstance(message, Muscles):
        return [message.t, message.envelope_uv.tobytes(), message.percent_mvc.tobytes()]
    return [message.t_capture, told(message.muscles) if message.muscles is not None else None]


@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.__name__)
def test_an_empty_chunk_changes_nothing(kind, lsl_id):
    port = NODES[kind]
    plain = answers(node_of(kind, lsl_id), port, chunks())
    # The gap is told by the empty chunk, so the one after it does not repeat it: nobody may lose it.
    mixed = [
        piece
        for chunk in chunks()
        for piece in (empty_before(chunk), replace(chunk, gap_s=0.0 if kind is not EnvelopeStage else chunk.gap_s))
    ]
    assert answers(node_of(kind, lsl_id + "-b"), port, mixed) == plain
    assert kind is LslOutSink or plain


@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.__name__)
def test_only_empty_chunks(kind, lsl_id):
    node = node_of(kind, lsl_id)
    nothing = Chunk(np.empty((0, 22), np.float32), RATE_HZ, 50.0, 0)
    for _ in range(3):
        assert all(isinstance(m, Chunk) and not len(m.data) for _, m in node.process(NODES[kind], nothing))
    node.tick()
    node.finish()
    node.close()
    assert not [e for e in node.context.events if e.kind == "ALARM"]


@pytest.mark.parametrize("kind", [MeasuresStage, JoinStage, LslOutSink], ids=lambda kind: kind.__name__)
def test_a_wrong_number_of_channels_is_one_alarm_and_no_value(kind, lsl_id):
    node = node_of(kind, lsl_id)
    for step in range(3):
        wrong = Chunk(np.ones((64, 20), np.float32), RATE_HZ, 50.0 + step, 64 * step, kind="envelope")
        assert list(node.process(NODES[kind], wrong)) == []
    (alarm,) = node.context.events
    assert "22" in alarm.text
    if kind is JoinStage:
        assert told(next(iter(node.process("frame", frame(52.01))))[1]) == [52.01, None]


def test_measure_needs_nothing_else():
    found = measure(1.0, np.ones(22, np.float32), np.zeros(22, np.uint8), None, FRIDLUND)
    assert np.isnan(found.percent_mvc).all()
    assert found.asymmetry.shape == (11,)
