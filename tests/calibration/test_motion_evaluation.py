"""Tables of eMotion-GAN on drawn movements: every way has a row, bundles are judged, and what does not fit is told."""

import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rich.console import Console  # noqa: E402

from calibration.cohort_sources import find_face_model  # noqa: E402
from calibration.data.motion_set import MotionSet  # noqa: E402
from calibration.evaluation import Request, as_json, evaluation_of  # noqa: E402
from calibration.motion_bundles import motion_manifest, recogniser_manifest, taught_by  # noqa: E402
from calibration.motion_evaluation import FRONTAL, REST, average_face, evaluate  # noqa: E402
from calibration.motion_tables import PEERS, reach, show  # noqa: E402
from engines.building import write_network_bundle  # noqa: E402
from engines.errors import BadInput  # noqa: E402
from engines.networks.motion_gan import LIVE, MotionGan  # noqa: E402
from engines.networks.recogniser import Recogniser, RecogniserSizes  # noqa: E402


@pytest.fixture(scope="module")
def bundles(drawn_motion, tmp_path_factory):
    """A generator that changes nothing yet, and recognisers of flows and faces; of no use but in the right form."""
    folder, taught = tmp_path_factory.mktemp("bundles"), taught_by(MotionSet.open(drawn_motion), 1)
    torch.manual_seed(0)
    gan = MotionGan(replace(LIVE, ngf=4, warp_ngf=4))
    write_network_bundle(folder / "gan", motion_manifest(gan.sizes, 32, taught, {}), gan.state_dict(), with_onnx=False)
    for sees in ("flow", "face"):
        network = Recogniser(RecogniserSizes(sees, (4, 4, 4), 8)).eval()
        state = {name: value for name, value in network.state_dict().items()}
        write_network_bundle(folder / sees, recogniser_manifest(network.sizes, 32, taught, {}), state, with_onnx=False)
    return folder


@pytest.fixture(scope="module")
def report(drawn_motion, bundles, tmp_path_factory):
    try:
        find_face_model(None)
    except BadInput:
        pytest.skip("needs MYOMIRROR_ASSETS")
    sheet, out = tmp_path_factory.mktemp("sheet") / "sheet.png", io.StringIO()
    paths = tuple(bundles / name for name in ("gan", "flow", "face"))
    request = Request(paths, drawn_motion, pictures=sheet, most=8, backend="torch")
    assert evaluation_of(request) is evaluate
    found = evaluate(request, Console(file=out, width=170))
    return found, out.getvalue(), sheet


def test_every_way_has_a_row(report):
    found, printed, sheet = report
    table = found["tables"]["frontal view"]
    ours = ("ours: rigid flow subtracted", "ours: brought to rest")
    assert set(table) == {*PEERS, *ours, "gan", REST}
    for name, row in table.items():
        assert row["epe"]["pairs"] == 8
        assert name in printed
    assert table[REST]["epe"]["mean"] < table["no frontalisation"]["epe"]["mean"]
    assert table["gan"]["ssim_face"]["pairs"] == 8
    json.loads(as_json(found))
    assert cv2.imread(str(sheet)).shape[1] > 1000
    assert "8 pairs of 4 people, synthetic people" in printed


def test_a_generator_that_changes_nothing_is_as_far_as_what_it_is_given(report, drawn_motion):
    row = report[0]["tables"]["frontal view"]["gan"]
    pairs = MotionSet.open(drawn_motion).select(split="test").spread(8)
    away = []
    for place in range(8):
        still, front = (pairs.of(name, place).astype(float) for name in ("flow_still", "flow_front"))
        weight = pairs.of("face", place) / 255
        away.append((np.linalg.norm(still - front, axis=2) * weight).sum() / weight.sum())
    assert row["epe"]["mean"] == pytest.approx(np.mean(away), rel=0.02)
    assert row["epe"]["sd"] == pytest.approx(np.std(away), rel=0.1, abs=0.02)


def test_recognisers_judge_what_they_see(report):
    tables = report[0]["tables"]
    flows, faces = tables["recognised by flow"], tables["recognised by face"]
    assert {FRONTAL, "gan", *PEERS} <= set(flows)
    assert {FRONTAL, "gan"} <= set(faces)
    assert all(row["all"]["pairs"] == 8 for row in (*flows.values(), *faces.values()))
    assert set(tables["recognised on an average face"]["gan"]) == {"face"}
    assert {one["bundle"] for one in report[0]["reach"]} == {"gan", "ours: brought to rest"}  # with a network, without


def test_what_is_lost_is_told(report):
    assert any("lost" in note and "count as untouched" in note for note in report[0]["notes"])  # drawn landmarks


def rows(epe, ssim):
    return {"epe": {"mean": epe, "sd": 0.1, "pairs": 3}, "ssim_face": {"mean": ssim, "sd": 0.1, "pairs": 3}}


def test_what_is_to_be_reached():
    told = {
        way: {"all": {"mean": share}} for way, share in ((FRONTAL, 0.9), (PEERS[0], 0.3), ("good", 0.7), ("bad", 0.4))
    }
    tables = {
        "frontal view": {**{name: rows(2.0, 0.6) for name in PEERS}, "good": rows(0.9, 0.7), "bad": rows(1.5, 0.5)},
        "recognised by flow": told,
    }
    found = reach({"tables": tables}, ["good", "bad"])
    assert [one["reached"] for one in found] == [True, True, True, False, False, False]
    assert found[0]["measured"] == pytest.approx(0.45)
    assert found[2]["measured"] == pytest.approx(1 / 3)
    out = io.StringIO()
    data = {"folder": "f", "synthetic": False, "pairs": 3, "people": 2, "size": 32}
    show(Console(file=out, width=150), {"tables": tables, "data": data, "reach": found, "notes": ["a note"]})
    for words in ("recordings of people", "MISSED", "70 %", "Note: a note.", "0.90 ± 0.10"):
        assert words in out.getvalue()


def test_the_average_face_is_the_mean_of_people_at_rest(drawn_motion):
    motion = MotionSet.open(drawn_motion)
    first = [motion.of("before", place) for place, row in enumerate(motion.rows)
             if row.split == "train" and row.moment_s == 0]  # fmt: skip
    wanted = np.mean(np.stack(first).astype(float), 0)
    assert np.abs(average_face(motion) - wanted).max() <= 1


def test_what_does_not_fit_is_told(drawn_motion, bundles, tmp_path):
    console = Console(file=io.StringIO())
    paths = (bundles / "flow", bundles / "flow")
    with pytest.raises(BadInput, match="named twice"):
        evaluate(Request(paths, drawn_motion, backend="torch"), console)
    with pytest.raises(BadInput, match="--ablation folds"):
        evaluate(Request((), drawn_motion, folds=tmp_path), console)
    with pytest.raises(BadInput, match="name a bundle"):
        Request((), tmp_path)
    larger = Recogniser(RecogniserSizes("flow", (4, 4, 4), 8)).eval()
    taught = taught_by(MotionSet.open(drawn_motion), 1)
    write_network_bundle(
        tmp_path / "l", recogniser_manifest(larger.sizes, 64, taught, {}), larger.state_dict(), with_onnx=False
    )
    with pytest.raises(BadInput, match="works on 64 px"):
        evaluate(Request((tmp_path / "l",), drawn_motion, backend="torch"), console)
