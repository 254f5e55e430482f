"""The benchmark must move real pictures and count honestly; how fast it is, is not tested."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hop_meter import Job, Meter
from benchmarks.link_throughput import EZMSG, EZMSG_EVERY, IN_PLACE, WAYS, WHOLE, measure, run_way, targets, with_ratios


def small(folder):
    return Job(str(folder), frames=12, warm_up=3, fps=60.0, height=48, width=64)


@pytest.mark.parametrize("way", WAYS)
def test_every_picture_arrives_whole(way, short_folder):
    job = small(short_folder)
    run_way(way, job)
    producer, consumer = job.result("producer"), job.result("consumer")
    assert consumer["wrong"] == 0
    assert len(consumer["latency_ms"]) >= 8  # of 9; `latest` may skip one on a busy machine
    assert all(ms > 0 for ms in consumer["latency_ms"])
    assert producer["cpu_ms"] > producer["fill_ms"] > 0
    assert consumer["cpu_ms"] > 0


@pytest.fixture
def short_folder():
    """An ipc path must be shorter than 108 characters; pytest's own folders may be longer."""
    with tempfile.TemporaryDirectory(prefix="hop-") as folder:
        yield folder


def test_the_meter_measures_from_ready_to_taken(tmp_path, monkeypatch):
    times = iter([10.0, 10.5, 10.5125, 10.6, 10.6025, 10.7, 10.7])
    monkeypatch.setattr("benchmarks.hop_meter.clock.now", lambda: next(times))
    job = Job(str(tmp_path), frames=2, warm_up=0, height=2, width=2)
    meter, image = Meter(job, "consumer"), np.empty((2, 2, 3), np.uint8)
    assert not meter.take(0, meter.fill(0, image), image)
    assert meter.take(1, meter.fill(1, image), image)
    meter.write()
    assert json.loads((tmp_path / "consumer.json").read_text())["latency_ms"] == pytest.approx([12.5, 2.5])


def test_the_meter_finds_a_damaged_picture(tmp_path):
    job = Job(str(tmp_path), frames=3, warm_up=0, height=2, width=2)
    meter, image = Meter(job, "consumer"), np.empty((2, 2, 3), np.uint8)
    for number, harm in enumerate((None, (0, 0, 0), (-1, -1, -1))):
        t_ready = meter.fill(number, image)
        if harm:
            image[harm] += 1
        meter.take(number, t_ready, image)
    meter.write()
    assert job.result("consumer")["wrong"] == 2


def fake_way(damaged=""):
    def run(way, job):
        for role in ("producer", "consumer"):
            numbers = {"cpu_ms": 2.0, "fill_ms": 9.0 if way in (WHOLE, IN_PLACE) else 0.5, "wrong": int(way == damaged)}
            numbers["latency_ms"] = [1.0 if way == IN_PLACE else 4.0] * (job.frames - job.warm_up)
            (Path(job.folder) / f"{role}.json").write_text(json.dumps(numbers))

    return run


def test_the_same_pixels_are_taken_off_for_every_way(monkeypatch):
    monkeypatch.setattr("benchmarks.link_throughput.run_way", fake_way())
    rows = measure(rounds=2, frames=10, warm_up=4)
    assert [row["cpu_ms"] for row in rows] == [3.5] * len(WAYS)
    assert all(row["frames"] == 12 and row["lost"] == 0 for row in rows)


def test_damage_is_no_result(monkeypatch):
    monkeypatch.setattr("benchmarks.link_throughput.run_way", fake_way(damaged=EZMSG))
    with pytest.raises(RuntimeError, match="damaged"):
        measure(rounds=1, frames=10, warm_up=4)


def test_targets_compare_with_both_kinds_of_ezmsg(monkeypatch):
    monkeypatch.setattr("benchmarks.link_throughput.run_way", fake_way())
    rows = with_ratios(measure(rounds=1, frames=10, warm_up=4))
    by_way = {row["way"]: row for row in rows}
    assert by_way[IN_PLACE]["p50_x_ezmsg"] == 0.25
    found = targets(rows)
    assert [(target.value, target.reached) for target in found] == [(0.25, True), (1.0, False)] * 2
    assert EZMSG in found[0].what
    assert EZMSG_EVERY in found[2].what
