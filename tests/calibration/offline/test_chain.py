"""The offline graph: live's own stages, read at every picture, and only networks that fit."""

from types import SimpleNamespace

import numpy as np
import pytest

from calibration.offline import chain
from calibration.offline.chain import ROWS, offline_graph
from calibration.offline.order import Order, Recording
from calibration.offline.processing import process
from engines.loading import load
from rt import assets
from rt.errors import BadSettings
from rt.graph import NodeSpec
from rt.graphs.therapy import therapy_graph
from rt.stage import Context
from rt.stages.crop import CropStage, CropStageSettings
from rt.stages.expression import ExpressionSettings, ExpressionStage
from rt.station import parse_station

pytest.importorskip("torch")

from painted_bundle import SIDE, write_painted
from tiny_networks import write_emg, write_encoder

PLAIN = {"camera": {"kind": "device"}, "emg": {"kind": "lsl"}}
SETTINGS = {"recording": "nowhere", "speed": 0.0, "t_start": 1.0}
SOURCES = {
    "camera": NodeSpec("camera", "rt.sources.replay:ReplayCamera", "camera", SETTINGS),
    "emg": NodeSpec("emg", "rt.sources.replay:ReplayEmg", "emg", SETTINGS),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "expression": str(write_encoder(folder / "encoder")),
        "small": str(write_encoder(folder / "small", size=SIDE)),
        "exp2emg": str(write_emg(folder / "exp2emg")),
        "emg2exp": str(write_emg(folder / "emg2exp", direction="emg2exp", uncertainty=False)),
        "other_chain": str(write_emg(folder / "other", chain="another")),
        "painted": str(write_painted(folder / "painted")),
    }


@pytest.fixture(autouse=True)
def without_model(monkeypatch):
    monkeypatch.setattr(assets, "find", lambda name: None)


@pytest.fixture
def on_torch(monkeypatch):
    """No export to ONNX on the way."""
    monkeypatch.setattr("rt.networks.load", lambda model, *_: load(model, "cpu", "torch"))


def order(bundles, *names, **more):
    return Order(formats=("csv",), **{name: bundles[name] for name in names}, **more)


def test_every_stage_that_rows_come_from_is_there_as_live(bundles):
    station = parse_station({**PLAIN, "restore": {"bundle": bundles["painted"]}})
    graph, notes = offline_graph(station, order(bundles, "expression", "exp2emg", "emg2exp"), SOURCES)
    live = {node.name: node for node in therapy_graph(station.model_copy(update={"restore": None}), True).nodes}
    ours = {node.name: node for node in graph.nodes}
    assert notes == []
    assert set(ours) == {
        *("emg", "quality", "envelope", "measures", "camera", "face", "crop", "join"),
        *("expression", "exp2emg", "emg2exp", ROWS),
    }
    for name in ("quality", "envelope", "crop"):
        assert ours[name] == live[name]
    assert ours["face"].settings == {**live["face"].settings, "threads": 1}  # recordings go side by side
    assert ours["camera"] == SOURCES["camera"]


def test_nothing_is_left_out_to_be_quick(bundles):
    station = parse_station({**PLAIN, "expression": {"bundle": bundles["expression"], "every": 3, "threads": 4}})
    graph, _ = offline_graph(station, Order(), SOURCES)
    settings = graph.by_name["expression"].settings
    assert (settings["every"], settings["threads"]) == (1, 1)
    assert graph.by_name["join"].settings["limit_ms"] == 50


def test_what_is_not_shipped_or_does_not_fit_is_left_out_with_a_sentence(bundles, monkeypatch):
    station = parse_station(PLAIN)
    monkeypatch.setattr(chain, "shipped_bundles", lambda: [])
    graph, notes = offline_graph(station, Order(), SOURCES)
    assert "expression" not in graph.by_name
    assert len(notes) == 3
    assert "exp2emg: no bundle exp2emg is shipped with this version" in notes
    there = {"expression": bundles["expression"], "exp2emg": bundles["other_chain"], "emg2exp": bundles["emg2exp"]}
    monkeypatch.setattr(chain, "shipped_bundles", lambda: [SimpleNamespace(name=path) for path in there.values()])
    monkeypatch.setattr(chain, "_SHIPPED", there)
    graph, notes = offline_graph(station, Order(), SOURCES)
    assert {"expression", "emg2exp"} <= set(graph.by_name)
    assert "exp2emg" not in graph.by_name
    [note] = notes
    assert "EMG chain another" in note


def test_a_named_bundle_that_does_not_fit_is_refused(bundles):
    wrong = Order(expression=bundles["expression"], exp2emg=bundles["other_chain"])
    with pytest.raises(BadSettings, match="EMG chain another"):
        offline_graph(parse_station(PLAIN), wrong, SOURCES)
    with pytest.raises(BadSettings, match="nowhere"):
        offline_graph(parse_station(PLAIN), Order(expression="nowhere"), SOURCES)


@pytest.mark.parametrize("expression", ["off", "mediapipe"])
def test_electrodes_are_not_removed_for_nobody(bundles, expression, monkeypatch):
    monkeypatch.setattr(chain, "_follows_faces", lambda station: True)
    wanted = Order(None, ("csv",), bundles["painted"], expression, "off", "off")
    with pytest.raises(BadSettings, match=r"changes nothing.*--expression"):
        offline_graph(parse_station(PLAIN), wanted, SOURCES)


def test_off_is_off(bundles):
    station = parse_station({**PLAIN, "expression": {"bundle": bundles["expression"]}})
    graph, notes = offline_graph(station, Order(expression="off", exp2emg="off", emg2exp="off"), SOURCES)
    assert not {"expression", "exp2emg", "emg2exp"} & set(graph.by_name)
    assert notes == []


def columns(path):
    with path.open() as file:
        return file.readline().rstrip("\n").split(","), np.loadtxt(file, delimiter=",", ndmin=2)


def test_networks_say_the_same_as_their_stages_alone(bundles, session, frames_of_session, tmp_path, on_torch):
    result = process(Recording(session.path, tmp_path / "t"), order(bundles, "expression", "exp2emg", "emg2exp"))
    assert result.pictures == 30
    crop = CropStage(CropStageSettings(), Context())
    stage = ExpressionStage(ExpressionSettings(bundles["expression"], allow_untracked=True), Context())
    stage.open()
    said = []
    for frame in frames_of_session:
        [(_, cropped)] = crop.process("frame", frame)
        [(_, found)] = stage.process("picture", cropped)
        said.append(found.values.copy())
    stage.close()
    _, values = columns(tmp_path / "t" / "expression_camera.csv")
    np.testing.assert_allclose(values, said, rtol=1e-6, atol=1e-12)
    assert np.ptp(values, axis=0).max() > 1e-3
    header, values = columns(tmp_path / "t" / "estimated_muscles.csv")
    assert len(header) == 45
    assert np.isfinite(values).all()
    _, values = columns(tmp_path / "t" / "expression_emg.csv")
    heard = np.isfinite(values).all(axis=1)
    assert heard.sum() >= 22  # not in the gap
    assert ((values[heard] >= 0) & (values[heard] <= 1)).all()


def test_electrodes_can_be_removed_before_the_encoder_reads_the_picture(bundles, session, tmp_path, on_torch):
    """The painted bundle makes every face the same green: then the encoder has nothing left to tell apart."""

    def said(name, restore):
        wanted = Order(None, ("csv",), restore, bundles["small"], "off", "off")
        process(Recording(session.path, tmp_path / name), wanted)
        return columns(tmp_path / name / "expression_camera.csv")[1]

    assert np.ptp(said("raw", "off"), axis=0).max() > 1e-3
    assert np.ptp(said("restored", bundles["painted"]), axis=0).max() == 0
