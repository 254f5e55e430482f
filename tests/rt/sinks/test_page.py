"""The page's node against a real client that behaves like a browser, or badly."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from engines.emg.heat_landmarks import LandmarkHeat, decode_heat
from engines.emg.montage import FRIDLUND, KURAMOTO, montage_called
from engines.errors import BadInput
from rt import clock
from rt.errors import BadSettings, LiveError
from rt.message import Crop, Estimate, Expression, Face, Frame, Muscles
from rt.sinks.page import PageSink, PageSinkSettings, StatusBoard, hello, label_of
from rt.stage import Context
from rt.web.protocol import Flags, Packet, decode_packet


def muscles(t: float, level: float = 12.0) -> Muscles:
    full, pairs = np.full(22, level, np.float32), np.zeros(11, np.float32)
    return Muscles(t, full, full * 2, pairs, np.full(22, 3, np.uint8), full, full, full, "maximal contraction")


def frame(seq: int, age_s: float = 0.01, **more: Any) -> Frame:
    image = np.full((48, 64, 3), 90, np.uint8)
    return Frame(seq, clock.now() - age_s, "host", image, **more)


def until(happened: Callable[[], Any], node: PageSink, seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        node.tick()
        time.sleep(0.005)
    return found


class Client:
    """Answers every packet, unless told not to; keeps what it was sent."""

    def __init__(self, sink: PageSink, answers: bool = True) -> None:
        server = sink._server
        self.answers = answers
        self.packets: list[Packet] = []
        self.texts: list[dict[str, Any]] = []
        origin = f"http://127.0.0.1:{server.port}"
        url = f"ws://127.0.0.1:{server.port}/live?token={server.token}"
        self._connection = connect(url, origin=origin, compression=None).__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for said in self._connection:
                self._take(said)
        except ConnectionClosed:
            return

    def _take(self, said: str | bytes) -> None:
        if isinstance(said, str):
            self.texts.append(json.loads(said))
            return
        found = decode_packet(said)
        self.packets.append(found)
        if self.answers:
            self.say(ack=found.packet_id, drawn=True, draw_ms=1.0)

    def say(self, **what: Any) -> None:
        self._connection.send(json.dumps(what))

    def last(self, kind: str) -> dict[str, Any] | None:
        return next((text for text in reversed(self.texts) if text["type"] == kind), None)

    def close(self) -> None:
        self._connection.close()
        self._thread.join(5)


@contextmanager
def running(**settings: Any) -> Iterator[tuple[PageSink, Context]]:
    context = Context("page")
    sink = PageSink(PageSinkSettings(**settings), context)
    sink.open()
    try:
        yield sink, context
    finally:
        sink.close()


@contextmanager
def watched(answers: bool = True, **settings: Any) -> Iterator[tuple[PageSink, Context, Client]]:
    with running(**settings) as (sink, context):
        client = Client(sink, answers)
        until(lambda: client.last("hello"), sink)
        try:
            yield sink, context, client
        finally:
            client.close()


@pytest.mark.parametrize(("montage", "channels"), [("fridlund", ("F20", "F19")), ("kuramoto", ())])
def test_the_muscle_map_is_for_the_sessions_own_channels(montage, channels):
    with running(montage=montage, channels=channels, muscles=()) as (sink, _):
        address = f"http://127.0.0.1:{sink._server.port}/heat.bin?token={sink._server.token}"
        found = decode_heat(httpx.get(address, timeout=30).content)
        wanted = LandmarkHeat.load(montage_called(sink.settings.montage, sink.settings.channels))
        np.testing.assert_array_equal(found.heat, wanted.heat)
        assert found.heat.shape[1] == len(channels or KURAMOTO.labels)


def test_where_the_face_is_travels_with_its_picture():
    face = Face(np.random.default_rng(1).uniform(0, 48, (478, 2)).astype(np.float32), np.zeros(52, np.float32))
    with watched() as (sink, _, client):
        sink.process("frame", frame(1, face=face))
        shown = until(lambda: [packet for packet in client.packets if packet.jpeg], sink)[0]
        np.testing.assert_array_equal(shown.landmarks_px, face.landmarks_px[:468])


def test_frames_are_shown_when_the_browser_says_so():
    with watched(emg_delay_ms=37.0) as (sink, context, client):
        sink.process("muscles", muscles(clock.now()))
        for seq in range(5):
            sink.process("frame", frame(seq))
            until(lambda seq=seq: context.dropped.get("shown") == seq + 1, sink)
        assert context.dropped == {"shown": 5}
        photon, muscle = context.observed["photon_to_pixel"], context.observed["muscle_to_pixel"]
        assert len(photon) == 5
        assert all(value >= 10.0 for value in photon)
        assert all(value >= 37.0 for value in muscle)
        shown = [p for p in client.packets if p.flags & Flags.FRAME]
        assert [p.frame_seq for p in shown] == [0, 1, 2, 3, 4]
        assert bytes(shown[0].jpeg[:2]) == b"\xff\xd8"


def test_every_frame_is_accounted_for_with_a_viewer_that_never_answers():
    with watched(answers=False) as (sink, context, client):
        for seq in range(20):
            sink.process("frame", frame(seq))
            time.sleep(0.005)
        # Three credits and one place to wait; some may have gone to packets of values.
        until(lambda: sum(context.dropped.values()) >= 16, sink)
        assert set(context.dropped) == {"viewer_busy"}
        client.close()
        until(lambda: sum(context.dropped.values()) == 20, sink)
        assert set(context.dropped) <= {"viewer_busy", "no_viewer"}


def test_nobody_there():
    with running() as (sink, context):
        for seq in range(3):
            sink.process("frame", frame(seq))
        assert context.dropped == {"no_viewer": 3}
        assert context.observed == {}


def test_old_and_torn_frames_are_not_shown():
    class Torn(Context):
        def intact(self, frame: Frame) -> bool:
            return False

    with watched(frame_limit_ms=100.0) as (sink, context, client):
        sink.process("frame", frame(0, age_s=0.2))
        assert context.dropped == {"stale": 1}
        sink.context = torn = Torn("page")
        sink.process("frame", frame(1))
        assert torn.dropped == {"torn": 1}
        until(lambda: len(client.packets) > 2, sink)  # values go on
        assert all(p.flags & Flags.STALE_FRAME and not p.flags & Flags.FRAME for p in client.packets)


def test_values_go_on_without_a_camera_and_say_when_they_are_old():
    with watched(emg_limit_ms=80.0) as (sink, _, client):
        until(lambda: client.packets, sink)
        assert not client.packets[-1].flags & Flags.EMG
        sink.process("muscles", muscles(clock.now(), level=7.0))
        until(lambda: client.packets[-1].flags & Flags.EMG, sink)
        assert client.packets[-1].envelope_uv[0] == 7.0
        until(lambda: client.packets[-1].flags & Flags.STALE_EMG, sink)
        sink.process("muscles", muscles(clock.now() - 5.0, level=9.0))  # the sender's clock was set back
        until(lambda: client.packets[-1].envelope_uv[0] == 9.0, sink)


def test_a_frames_own_values_never_replace_newer_ones():
    with watched() as (sink, _, client):
        now = clock.now()
        sink.process("muscles", muscles(now, level=7.0))
        sink.process("frame", frame(0, muscles=muscles(now - 0.05, level=3.0)))
        shown = until(lambda: [p for p in client.packets if p.flags & Flags.FRAME], sink)
        assert shown[0].envelope_uv[0] == 7.0
        assert shown[0].t_emg == now


def test_flags_follow_the_frame():
    crop = Crop(np.zeros((8, 8, 3), np.uint8), np.eye(2, 3, dtype=np.float32), tracked=False)
    with watched(synthetic="Synthetic.") as (sink, _, client):
        sink.process("frame", frame(0, crop=crop, practise=True))
        shown = until(lambda: [p for p in client.packets if p.flags & Flags.FRAME], sink)
        assert shown[0].flags == Flags.FRAME | Flags.FIXED_CROP | Flags.PRACTISE | Flags.SYNTHETIC
        sink.process("frame", frame(1, crop=replace(crop, tracked=True)))
        shown = until(lambda: [p for p in client.packets if p.frame_seq == 1], sink)
        assert shown[0].flags == Flags.FRAME | Flags.SYNTHETIC


def test_camera_stands_in_only_where_the_station_says_so_and_counts_nothing():
    for when, expected in (("camera", True), ("last", False), ("bars", False)):
        with watched(when_stale=when, frame_limit_ms=100.0) as (sink, context, client):
            sink.process("raw", frame(0))
            until(lambda client=client: len(client.packets) > 2, sink)
            assert any(p.flags & Flags.RAW for p in client.packets) is expected
            assert context.dropped == {}
            sink.process("frame", frame(1))
            before = len(client.packets)
            sink.process("raw", frame(1))  # the processed one is there
            until(lambda client=client, before=before: len(client.packets) > before, sink)
            assert not any(p.flags & Flags.RAW for p in client.packets[before:])


def test_wishes_go_to_the_session():
    with watched(practise=True) as (sink, context, client):
        client.say(command="view", value="practise")
        client.say(command="amount", value=0.5)
        client.say(command="stop")
        until(lambda: len(context.commands) == 3, sink)
        assert context.commands == [("view", "practise"), ("amount", 0.5), ("stop", None)]


NODES = [
    ("camera", "running", 0.1, 0),
    ("vision", "running", 2.0, 1),
    ("emg", "starting", 0.0, 2),
    ("out", "degraded", 9.0, 5),
]
STATUS: dict[str, Any] = {
    "fps": {"captured": 30.0, "shown": 29.0},
    "captured": 100,
    "shown": 97,
    "dropped": {"superseded": 3},
    "latency_ms": {
        "photon_to_pixel": {"p50": 40.0, "p95": 55.0},
        "muscle_to_pixel": {"p50": math.nan, "p95": math.nan},
    },
    "nodes": {name: {"state": state, "age_s": age, "restarts": restarts} for name, state, age, restarts in NODES},
    "facts": {"recorder": {"recording": True}},
    "alarms": [],
    "recording": True,
}


def test_status_reaches_the_page():
    with watched(movements=("pixel-smile", "pixel-sad")) as (sink, _, client):
        sink.command("view", "beside")
        sink.command("side", "left")
        for target in ("pixel-sad", "pixel-nonsense"):
            sink.command("target", target)
        sink.command("status", STATUS)
        told = until(lambda: client.last("status"), sink)
        assert told["stages"]["vision"] == {"state": "late", "restarts": 1}
        assert [told["stages"][name]["state"] for name in ("camera", "emg", "out")] == ["ok", "restarting", "failed"]
        assert told["muscle_to_pixel_ms"] == {"p50": None, "p95": None}
        assert (told["recording"], told["view"]) == ("on", "beside")
        assert (told["side"], told["target"]) == ("left", "pixel-sad")
        assert sink._composer.flags & Flags.RECORDING
        started = {"t": 0.0, "kind": "CALIBRATION", "node": "measures", "text": "rest", "data": {"seconds": 5.0}}
        sink.command("event", started)
        until(lambda: client.last("status")["calibration"] == "Rest", sink)
        sink.command("event", {"t": 0.0, "kind": "ALARM", "node": "vision", "text": "vision hangs", "data": {}})
        assert until(lambda: client.last("alarm"), sink)["text"] == "vision hangs"


SHOWN = {"view": "camera", "amount": 1.0, "side": "both", "target": "pixel-smile", "restore": ""}


def test_status_board_counts_recording_time_and_forgets_old_alarms():
    board = StatusBoard(SHOWN)
    board.t_start = 100.0
    alarms = [{"text": "old", "t": 50.0}, {"text": "new", "t": 99.0}]
    assert board.read({**STATUS, "alarms": alarms}, 105.0).alarms == ("new",)
    assert board.read(STATUS, 108.0).recorded_s == 3.0
    assert board.read({**STATUS, "recording": False}, 109.0).recorded_s == 0.0
    assert board.read(STATUS, 110.0).recorded_s == 0.0
    assert (
        board.read({**STATUS, "facts": {"recorder": {"recording": True, "data_lost": True}}}, 110.0).recording
        == "failed"
    )
    assert board.read({**STATUS, "facts": {}}, 110.0).recording == "absent"
    told = board.read({**STATUS, "fps": {"captured": 30, "shown": 25}}, 111.0)
    assert 25.0 < told.fps_shown < 29.0  # calm


def test_calibration_is_asked_for_at_once_and_goes_away():
    board = StatusBoard(SHOWN)
    board.t_start = 100.0
    assert board.hear({"kind": "MARKER", "text": "m", "data": {}}, 100.0) is None
    begun = {"kind": "CALIBRATION", "text": "calibrating: rest for 5 s", "data": {"step": "rest", "seconds": 5.0}}
    assert board.hear(begun, 100.0).calibration == "Calibrating: rest for 5 s"
    assert board.read(STATUS, 105.0).calibration == "Calibrating: rest for 5 s"
    assert board.read(STATUS, 108.0).calibration == ""
    done = {"kind": "CALIBRATION", "text": "rest is measured", "data": {"step": "rest", "done": True}}
    assert board.hear(done, 108.0).calibration == "Rest is measured"
    assert board.read(STATUS, 114.0).calibration == ""
    board.hear(begun, 120.0)
    refused = {"kind": "ALARM", "text": "not calibrated: the face moved", "data": {"step": "rest"}}
    assert board.hear(refused, 121.0).calibration == ""
    assert board.read(STATUS, 121.0).calibration == ""


def test_end_tells_the_pages_and_leaves_nothing_open():
    with watched(answers=False) as (sink, context, client):
        sink.process("frame", frame(0))
        until(lambda: any(p.flags & Flags.FRAME for p in client.packets), sink)
        sink.finish()
        assert client.last("ended") is not None
        assert context.dropped == {"unfinished": 1}
        assert sink._sent == {}


def test_server_that_hangs_ends_the_node():
    with running() as (sink, _):
        until(lambda: sink._server.tick > 1, sink)
        released = threading.Event()
        sink._server._loop.call_soon_threadsafe(released.wait)
        try:
            with pytest.raises(LiveError, match="server"):
                until(lambda: False, sink)
        finally:
            released.set()


def test_hello_names_the_montage_and_only_muscles_that_are_there():
    settings = PageSinkSettings(
        muscles=("Zygomaticus", "orbicularis oculi"), trained="zygomaticus", forbidden="mentalis"
    )
    told = hello(settings, FRIDLUND)
    assert told.chosen == ("zygomaticus", "orbicularis_oculi")
    assert [told.channels[i].label for i in (told.pairs[9].right, told.pairs[9].left)] == ["F19", "F20"]
    part = hello(settings, FRIDLUND.subset(["F20", "F19"]))
    assert (part.chosen, part.trained, part.forbidden) == (("zygomaticus",), "zygomaticus", "")
    assert (part.pairs[0].right, part.pairs[0].left) == (1, 0)
    assert len(hello(PageSinkSettings(montage="kuramoto", muscles=()), KURAMOTO).chosen) == 4
    with pytest.raises(BadSettings, match="zygomaticus"):
        hello(PageSinkSettings(muscles=("smiler",)), FRIDLUND)


def test_unknown_montage_is_refused():
    with pytest.raises(BadInput, match="fridlund"):
        PageSink(PageSinkSettings(montage="mine"), Context())


def test_a_picture_with_electrodes_that_were_to_be_removed_is_not_shown():
    with watched(removal="restored") as (sink, context, client):
        assert client.last("hello")["removals"] == ["raw", "restored", "edit"]
        sink.process("frame", frame(0))
        assert context.dropped == {"not_restored": 1}
        until(lambda: any(p.flags & Flags.NO_FACE for p in client.packets), sink)  # the page may say why
        for seq, removal in enumerate(("restored", "edit", "raw")):
            sink.process("frame", frame(seq, removal=removal))
            until(lambda seq=seq: context.dropped.get("shown") == seq + 1, sink)
        shown = [p.flags & (Flags.RESTORED | Flags.EDIT | Flags.RAW) for p in client.packets if p.flags & Flags.FRAME]
        assert shown == [Flags.RESTORED, Flags.EDIT, Flags(0)]
        assert not client.packets[-1].flags & Flags.NO_FACE


def test_unless_the_station_prefers_the_cameras_own_which_is_then_called_so():
    with watched(removal="restored", when_stale="camera") as (sink, context, client):
        sink.process("frame", frame(0))
        until(lambda: context.dropped.get("shown") == 1, sink)
        assert next(p for p in client.packets if p.flags & Flags.FRAME).flags & Flags.RAW


def test_the_page_follows_the_view_and_says_what_removes_electrodes():
    with watched(removal="restored") as (sink, _, client):
        sink.command("restore", "edit")
        engine = {"role": "restore", "backend": "openvino", "bundle": "painted", "precision": "bf16", "device": "cpu"}
        sink.command("status", {**STATUS, "facts": {"restore": engine, "camera": {"width": 640}}})
        told = until(lambda: client.last("status"), sink)
        assert told["removal"] == "edit"
        assert told["engines"] == {"restore": {"backend": "openvino", "bundle": "painted", "precision": "bf16"}}


def test_a_session_that_removes_nothing_has_no_such_switch():
    with watched() as (sink, context, client):
        assert client.last("hello")["removals"] == []
        sink.process("frame", frame(0))
        until(lambda: context.dropped.get("shown") == 1, sink)


@pytest.mark.parametrize(
    ("movement", "label"),
    [
        ("pixel-eye-tight", "Eye tight"),
        ("cascade-live:happy", "Happy (cascade-live)"),
        ("/data/own/cascade-live:eye-tight", "Eye tight (cascade-live)"),
    ],
)
def test_movements_are_called_by_their_names(movement, label):
    assert label_of(movement) == label


def test_the_page_is_told_which_movements_there_are():
    settings = PageSinkSettings(practise=True, movements=("pixel-eye-tight", "pixel-sad"))
    told = hello(settings, FRIDLUND)
    assert told.views == ("camera", "practise", "beside")
    assert [(one.name, one.label) for one in told.movements] == [("pixel-eye-tight", "Eye tight"), ("pixel-sad", "Sad")]
    assert hello(replace(settings, practise=False), FRIDLUND).movements == ()


def test_what_networks_say_goes_out_with_the_next_packet():
    with watched(estimated=True, expressions=("camera", "emg"), amplifier=False) as (sink, _, client):
        told = client.last("hello")
        assert (told["estimated"], told["expressions"], told["amplifier"]) == (True, ["camera", "emg"], False)
        t = clock.now()
        shapes = np.linspace(0, 1, 52, dtype=np.float32)
        sink.process("expression", Expression(t, shapes, "arkit52", "camera", 3))
        sink.process("expression", Expression(t + 0.01, shapes[::-1].copy(), "arkit52", "emg"))
        sink.process("expression", Expression(t + 0.5, np.ones(55, np.float32), "flame55", "camera"))  # cannot be drawn
        sink.process("estimate", Estimate(t, np.full(22, 30, np.float32), np.full(22, 4, np.float32), 3))
        found = until(lambda: next((p for p in client.packets if len(p.estimate_percent)), None), sink)
        np.testing.assert_array_equal(found.expression, shapes)
        np.testing.assert_array_equal(found.expression_emg, shapes[::-1])
        assert (found.estimate_percent[0], found.estimate_spread[0]) == (30, 4)
        assert (found.t_expression, found.t_expression_emg) == (t, t + 0.01)
        assert not found.flags & Flags.EMG


def test_engines_say_how_often_they_read_and_what_their_per_cent_are():
    facts = {
        "expression": {
            "role": "expression",
            "backend": "openvino",
            "bundle": "e",
            "precision": "bf16",
            "rate_hz": 14.9,
        },
        "exp2emg": {"role": "exp2emg", "backend": "openvino", "bundle": "m", "precision": "fp32", "relative_to": "x"},
        "restore": {"role": "restore", "backend": "openvino", "bundle": "r", "precision": "bf16"},
    }
    board = StatusBoard(SHOWN)
    board.t_start = 0.0
    engines = board.read({**STATUS, "facts": facts}, 1.0).engines
    assert engines["expression"]["rate_hz"] == "14.9"
    assert engines["exp2emg"]["relative_to"] == "x"
    assert set(engines["restore"]) == {"backend", "bundle", "precision"}
