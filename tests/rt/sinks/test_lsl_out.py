"""The three outlets, seen by plain pylsl inlets: names, descriptions, and every sample at its own time."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from engines.emg.chain import chain_id, preset
from engines.emg.envelope import group_delay_ms
from engines.emg.montage import FRIDLUND
from engines.face.blendshapes import BLENDSHAPES
from rt import clock, lsl
from rt.errors import BadSettings
from rt.message import Chunk, Estimate, Event, Expression, Face, Frame, Motion, MotionState, Parameters
from rt.sinks.lsl_out import LslOutSettings, LslOutSink
from rt.stage import Context

RATE_HZ = 4096.0
CHAIN = chain_id(preset("standard"), RATE_HZ)


@pytest.fixture
def sink(lsl_id):
    sinks = []

    def build(**settings):
        sinks.append(LslOutSink(LslOutSettings(source_id=lsl_id, **settings), Context("outlets")))
        sinks[0].open()
        return sinks[0]

    yield build
    for each in sinks:
        each.close()


@pytest.fixture
def inlet(lsl_id, until):
    def connect(what):
        watch = lsl.Watch(lsl.library())
        wanted = lsl.Wanted(name=f"MyoMirror-{what}", source_id=f"{lsl_id}-{what.lower()}")
        found = lsl.library().StreamInlet(until(lambda: watch.fitting(wanted))[0], recover=False)
        found.open_stream(timeout=3)
        return found, found.info(timeout=3)

    return connect


def pulled(inlet, count):
    samples, stamps = [], []
    end = clock.now() + 5
    while len(stamps) < count and clock.now() < end:
        got, times = inlet.pull_chunk(0.2, 8192, min_samples=1)
        samples += got
        stamps += times
    return np.array(samples), np.array(stamps)


def envelope(first, count, chain=CHAIN, gap_s=0.0):
    data = np.arange(first, first + count, dtype=np.float32)[:, None] + np.arange(22, dtype=np.float32) / 100
    return Chunk(data, RATE_HZ, 5000 + first / RATE_HZ, first, "envelope", gap_s, chain)


def test_the_envelope_at_full_rate_with_its_own_times(sink, inlet):
    node = sink(origin="synthetic")
    node.process("envelope", envelope(0, 0))  # the outlet comes with the first chunk, even an empty one
    stream, info = inlet("Envelope")
    for first in (0, 64, 100, 101):
        count = {0: 64, 64: 36, 100: 1, 101: 99}[first]
        node.process("envelope", envelope(first, count))
    samples, stamps = pulled(stream, 200)
    np.testing.assert_allclose(stamps, 5000 + np.arange(200) / RATE_HZ, atol=1e-6)
    np.testing.assert_array_equal(samples.astype(np.float32), envelope(0, 200).data)
    assert lsl.channel_texts(info, "label") == list(FRIDLUND.labels)
    assert set(lsl.channel_texts(info, "unit")) == {"microvolts"}
    told = {name: info.desc().child_value(name) for name in ("chain", "preset", "group_delay_ms", "origin", "montage")}
    assert told == {
        "chain": CHAIN,
        "preset": "standard",
        "group_delay_ms": f"{group_delay_ms(preset('standard'), RATE_HZ):.1f}",
        "origin": "synthetic",
        "montage": "fridlund",
    }


def test_a_thinned_envelope_takes_the_same_samples_however_it_is_cut(sink, inlet):
    node = sink(envelope_rate_hz=128.0)
    node.process("envelope", envelope(0, 0, chain="another"))
    stream, info = inlet("Envelope")
    assert info.nominal_srate() == 128.0
    assert info.desc().child_value("group_delay_ms") == "", "nothing is claimed of a chain that is not the preset"
    for first, count in ((0, 30), (30, 2), (32, 1), (33, 167)):
        node.process("envelope", envelope(first, count, chain="another"))
    samples, stamps = pulled(stream, 7)
    assert samples[:, 0].tolist() == [0, 32, 64, 96, 128, 160, 192]
    np.testing.assert_allclose(stamps, 5000 + samples[:, 0] / RATE_HZ, atol=1e-6)


def test_expression_comes_at_the_picture_s_time_and_only_with_a_face(sink, inlet):
    node = sink()
    stream, info = inlet("Expression")
    picture = np.zeros((2, 2, 3), np.uint8)
    shapes = np.linspace(0, 1, 52).astype(np.float32)
    node.process("params", Parameters.of(Frame(1, 6000.0, "device", picture)))
    seen = Frame(2, 6000.5, "device", picture, Face(np.zeros((478, 2), np.float32), shapes))
    node.process("params", Parameters.of(seen))
    samples, stamps = pulled(stream, 1)
    assert stamps.tolist() == [6000.5]
    np.testing.assert_array_equal(samples[0].astype(np.float32), shapes)
    assert lsl.channel_texts(info, "label") == list(BLENDSHAPES)
    assert info.nominal_srate() == 0


def test_events_are_json_at_their_own_time(sink, inlet):
    node = sink()
    stream, info = inlet("Events")
    node.command("event", asdict(Event(7000.25, "MARKER", "session", "grüße\nzwei", {"n": 1})))
    node.command("status", {})
    samples, stamps = pulled(stream, 1)
    assert stamps.tolist() == [7000.25]
    assert json.loads(samples[0][0]) == {"kind": "MARKER", "node": "session", "text": "grüße\nzwei", "data": {"n": 1}}
    assert info.type() == "Markers"


def test_settings_that_cannot_work(lsl_id):
    with pytest.raises(BadSettings, match="at least 60"):
        LslOutSink(LslOutSettings(envelope_rate_hz=10.0), Context())
    with pytest.raises(BadSettings, match="did you mean calm"):
        LslOutSink(LslOutSettings(preset="clam"), Context())


def test_what_networks_say_has_outlets_of_its_own_that_nobody_takes_for_emg(sink, inlet):
    node = sink()
    guess = Estimate(clock.now(), np.arange(22, dtype=np.float32), np.ones(22, np.float32))
    face = Expression(clock.now(), np.linspace(0, 1, 52, dtype=np.float32), "arkit52", "emg")
    node.process("estimate", guess)  # the first opens the outlet
    node.process("expression", face)
    pose, even = np.array([12, -3, 1, 12.5], np.float32), np.array([10, 20, -20], np.float32)
    turned = Motion(clock.now(), MotionState.SHOWN, pose, 25.0, 0.125, even, even)
    node.process("motion", turned)
    for what, kind, unit, message, values in (
        ("EstimatedMuscles", "Estimate", "percent", guess, np.concatenate([guess.percent, guess.spread])),
        ("ExpressionEmg", "Expression", "normalized", face, face.values),
        ("Motion", "Motion", "mixed", turned, turned.row()),
    ):
        stream, info = inlet(what)
        node.process({"Estimate": "estimate", "Expression": "expression", "Motion": "motion"}[kind], message)
        samples, stamps = pulled(stream, 1)
        np.testing.assert_allclose(samples[0], values)
        np.testing.assert_allclose(stamps[0], message.t, atol=1e-6)
        assert (info.type(), info.channel_count()) == (kind, len(values))
        assert unit in info.as_xml()
    assert "not measured" in inlet("EstimatedMuscles")[1].as_xml()
