"""The headless display: what a page would get, counted as shown when encoded."""

from dataclasses import replace

import numpy as np

from rt import clock
from rt.message import Estimate, Expression, Frame, Frontal, Motion, MotionState, Muscles
from rt.sinks.encoder import EncoderSink, EncoderSinkSettings
from rt.stage import Context


def frame(seq: int, age_s: float = 0.0, muscles: Muscles | None = None) -> Frame:
    return Frame(seq, clock.now() - age_s, "host", np.full((48, 64, 3), 90, np.uint8), muscles=muscles)


def muscles(t: float) -> Muscles:
    full, pairs = np.ones(22, np.float32), np.zeros(11, np.float32)
    return Muscles(t, full, full, pairs, np.full(22, 3, np.uint8), full, full, full)


def test_encoded_frames_count_as_shown_with_both_latencies():
    context = Context()
    sink = EncoderSink(EncoderSinkSettings(emg_delay_ms=37.0), context)
    sink.process("muscles", muscles(clock.now() - 0.02))
    sink.process("frame", frame(0, age_s=0.05))
    assert context.dropped == {"shown": 1}
    assert context.observed["photon_to_pixel"][0] >= 50.0
    assert context.observed["muscle_to_pixel"][0] >= 57.0
    assert sink.encoded_bytes > 600


def test_a_frontal_face_is_packed_as_for_a_page_and_is_no_frame():
    sink, three = EncoderSink(EncoderSinkSettings(), Context()), np.zeros(3, np.float32)
    motion = Motion(1.0, MotionState.SHOWN, np.zeros(4, np.float32), 25.0, 0.0, three, three)
    sink.process("frontal", Frontal(motion, np.zeros(500, np.uint8), np.zeros(52, np.float32)))
    assert sink.encoded_bytes == 560 + 4 * 52
    assert sink.context.dropped == {}


def test_without_emg_the_muscles_latency_is_not_a_number():
    context = Context()
    EncoderSink(EncoderSinkSettings(), context).process("frame", frame(0))
    assert np.isnan(context.observed["muscle_to_pixel"][0])  # the board does not count it


def test_old_and_torn_frames_are_dropped_for_their_reason():
    class Torn(Context):
        def intact(self, frame: Frame) -> bool:
            return False

    context, torn = Context(), Torn()
    EncoderSink(EncoderSinkSettings(frame_limit_ms=100.0), context).process("frame", frame(0, age_s=0.2))
    EncoderSink(EncoderSinkSettings(), torn).process("frame", frame(0))
    assert context.dropped == {"stale": 1}
    assert torn.dropped == {"torn": 1}


def test_a_picture_with_electrodes_that_were_to_be_removed_is_not_shown():
    context = Context()
    sink = EncoderSink(EncoderSinkSettings(removal="restored"), context)
    sink.process("frame", frame(0))
    assert context.dropped == {"not_restored": 1}
    for removal in ("restored", "edit", "raw"):  # each as it was asked for
        sink.process("frame", replace(frame(1), removal=removal))
    assert context.dropped == {"not_restored": 1, "shown": 3}


def test_unless_the_station_prefers_the_cameras_own():
    context = Context()
    EncoderSink(EncoderSinkSettings(removal="restored", when_stale="camera"), context).process("frame", frame(0))
    assert context.dropped == {"shown": 1}


def test_what_networks_say_is_part_of_what_is_encoded():
    sink = EncoderSink(EncoderSinkSettings(), Context())
    sink.process("frame", frame(0))
    plain = sink.encoded_bytes
    sink.process("estimate", Estimate(clock.now(), np.ones(22, np.float32), np.ones(22, np.float32)))
    sink.process("expression", Expression(clock.now(), np.ones(52, np.float32), "arkit52", "emg"))
    sink.process("frame", frame(1))
    assert sink.encoded_bytes - 2 * plain == 4 * (22 + 22 + 52)
