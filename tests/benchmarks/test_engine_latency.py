import dataclasses
import json

import pytest

pytest.importorskip("torch")

from benchmarks import engine_latency
from benchmarks.engine_latency import (
    LARGE,
    OURS_CPU,
    OURS_GPU,
    Contender,
    Network,
    contenders,
    footprint,
    matrix_peaks,
    measure,
    multiplications,
    targets,
)
from engines.agreement import TOLERANCES

TINY = Network("tiny", "attentive_generator", 4, 1, 16)


def by_hand(ngf, blocks, side, head):
    """Kernel pixels x channels in x channels out x output pixels, layer by layer (FACTS 2)."""
    full, half, quarter = side**2, (side // 2) ** 2, (side // 4) ** 2
    stem = 49 * 3 * ngf * full
    down = 9 * ngf * 2 * ngf * half + 9 * 2 * ngf * 4 * ngf * quarter
    body = 2 * blocks * 9 * (4 * ngf) ** 2 * quarter
    up = 9 * 4 * ngf * 2 * ngf * half + 9 * 2 * ngf * ngf * full
    return (stem + down + body + up + 49 * ngf * head * full) / 1e9


def test_multiplications_are_counted_as_by_hand():
    assert multiplications(TINY.model()) == pytest.approx(by_hand(4, 1, 16, 4))
    assert multiplications(OURS_CPU.model()) == pytest.approx(by_hand(32, 3, 128, 4))


def test_those_of_the_network_around_another_too():
    around = 49 * 3 * 32 * 256**2 + 9 * 32 * 64 * 128**2 + 32 * 64 * 128**2  # stem, down, guide
    around += 2 * 3 * 9 * 64**2 * 128**2 + 9 * 64 * 32 * 256**2 + 49 * 32 * 4 * 256**2  # blocks, up, head
    assert multiplications(OURS_GPU.model()) == pytest.approx(by_hand(32, 3, 128, 4) + around / 1e9)


def test_every_way_is_there_and_the_peer_is_the_plain_network():
    found = contenders("cpu")
    assert found[-1] == Contender("torch", "cpu", "fp32", False)
    assert len(set(found)) == len(found)


@pytest.fixture(scope="module")
def rows():
    """Milliseconds are meaningless here; everything else is not."""
    ways = contenders("cpu")
    return measure(TINY, "cpu", 1, {way.precision: 100.0 for way in ways}, seconds=0.01)


def test_rows_say_who_how_fast_and_how_right(rows):
    assert [(row["backend"], row["precision"], row["folded"] == "yes") for row in rows] == [
        (way.backend, way.precision, way.folded) for way in contenders("cpu")
    ]
    for row in rows:
        assert 0 < row["median_ms"] <= row["p99_ms"]
        assert row["gmac_per_s"] == pytest.approx(row["gmac"] / row["median_ms"] * 1e3)
        assert row["of_peak"] == pytest.approx(row["gmac_per_s"] / 100)
        assert row["away_from_torch"] < TOLERANCES[row["precision"]].rms
    assert rows[-1]["away_from_torch"] == 0
    assert min(row["of_torch"] for row in rows if row["backend"] == "torch") == 1


def test_targets_are_about_our_default_and_the_quickest_precision(rows):
    openvino = [
        {"network": "a", "backend": "openvino", "folded": "yes", "of_torch": value, "precision": precision}
        for value, precision in ((0.4, "fp32"), (0.2, "bf16"))
    ]
    (target,) = targets([*openvino, {"network": "a", "backend": "torch", "folded": "no", "of_torch": 0.1}], "cpu")
    assert (target.value, target.limit, target.reached) == (0.2, 0.5, True)
    assert targets([row for row in rows if row["backend"] != "openvino"], "cpu") == []


def test_on_a_gpu_the_target_is_the_large_network_in_half_precision():
    row = {"network": LARGE.name, "precision": "fp16", "backend": "torch", "p99_ms": 6.0}
    (target,) = targets([row, {**row, "precision": "fp32", "p99_ms": 1.0}], "cuda")
    assert (target.value, target.unit, target.reached) == (6.0, "ms", False)


def test_a_peak_is_positive():
    (peak,) = matrix_peaks("cpu", ["fp32", "fp32"], seconds=0.0).values()
    assert peak > 0.1


def test_the_footprint_is_measured_in_a_process_of_its_own(monkeypatch):
    way = Contender("torch", "cpu", "fp32", False)
    found = footprint(TINY, way, 1, seconds=0.1)
    assert found["memory_mb"] > 50
    assert found["cpu_ms_live"] >= 0
    asked = []

    def run(command, **_):
        asked.append(json.loads(command[-1]))
        return type("Done", (), {"stdout": 'noise\n{"memory_mb": 1.0}\n'})

    monkeypatch.setattr(engine_latency.subprocess, "run", run)
    assert engine_latency.footprint_apart(TINY, way, 2) == {"memory_mb": 1.0}
    network, parts, threads = asked[0]
    assert Network(*network) == TINY
    assert Contender(*parts) == way
    assert threads == 2
    assert dataclasses.astuple(way) == tuple(parts)
