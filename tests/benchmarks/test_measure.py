import gc
import json
import time

import numpy as np
import pytest

from benchmarks import measure
from benchmarks.measure import (
    Spread,
    Target,
    alternate,
    conditions,
    merge_rounds,
    repeat,
    warn_when_busy,
    write_results,
)


def test_spread_is_the_percentiles():
    spread = Spread.of(np.arange(101.0))
    assert (spread.median, spread.p05, spread.p95, spread.p99, spread.n) == (50, 5, 95, 99, 101)


def test_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


@pytest.mark.parametrize(
    ("value", "limit", "at_most", "reached"),
    [(0.5, 0.5, True, True), (0.51, 0.5, True, False), (4.0, 4.0, False, True), (3.9, 4.0, False, False)],
)
def test_target_is_reached_at_its_limit(value, limit, at_most, reached):
    assert Target("x", value, limit, "x", at_most).reached is reached


@pytest.mark.parametrize("at_most", [True, False])
def test_nothing_measured_reaches_nothing(at_most):
    assert not Target("x", float("nan"), 1.0, "s", at_most).reached


def test_works_take_turns_and_nobody_is_always_first():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = alternate(works, repeats=6, warm_up=3, in_a_row=2)
    turns = ["".join(calls[i : i + 6 : 2]) for i in range(0, len(calls), 6)]
    assert [sorted(turn) for turn in turns] == [["a", "b", "c"]] * 9
    assert {turn[0] for turn in turns[3:]} == {"a", "b", "c"}
    assert all(spread.n == 12 for spread in found.values())


def test_warm_up_is_thrown_away():
    slow = iter([True, True])
    found = repeat(lambda: time.sleep(0.05) if next(slow, False) else None, repeats=5, warm_up=2)
    assert found.n == 5
    assert found.p99 < 50_000


def test_the_longer_work_takes_longer():
    found = alternate({"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.01)}, repeats=5, warm_up=1)
    assert found["short"].median >= 1_000
    assert found["long"].median >= 10_000


def test_garbage_collection_is_on_again_even_after_an_error():
    with pytest.raises(ZeroDivisionError):
        repeat(lambda: 1 / 0)
    assert gc.isenabled()


def test_rounds_are_merged_row_by_row_to_their_medians():
    rounds = [
        [{"what": "a", "peer": "p", "ours_us": us, "ratio": ratio}, {"what": "b", "ours_us": 7}]
        for us, ratio in ((1.0, 10.0), (9.0, 2.0), (2.0, 5.0))
    ]
    first, second = merge_rounds(rounds, ("what", "peer"))
    assert first == {"what": "a", "peer": "p", "ours_us": 2.0, "ratio": 5.0, "ratio_from": 2.0, "ratio_to": 10.0}
    assert second == {"what": "b", "ours_us": 7}


def test_rounds_with_different_rows_are_refused():
    with pytest.raises(ValueError, match="different rows"):
        merge_rounds([[{"what": "a"}], [{"what": "b"}]], ("what",))


def test_conditions_name_machine_versions_and_load_but_neither_person_nor_path():
    found = conditions()
    assert found["machine"]["cpu"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_gb"] > 0
    assert len(found["load_average"]) == 3
    assert found["versions"]["numpy"] == np.__version__
    assert "/" not in json.dumps(found)


def test_results_are_written_with_their_conditions(tmp_path):
    under = {"date": "2000-01-01", "load_average": [0, 0, 0]}
    targets = [Target("t", 1.23456789, 2.0, "ms")]
    path = write_results("x", [{"a": 0.000123456, "b": float("nan"), "c": "ä"}], targets, ["note"], under, tmp_path)
    assert json.loads(path.read_text()) == {
        "name": "x",
        **under,
        "targets": [{"what": "t", "value": 1.235, "limit": 2.0, "unit": "ms", "at_most": True, "reached": True}],
        "rows": [{"a": 0.0001235, "b": None, "c": "ä"}],
        "notes": ["note"],
    }


def test_a_busy_machine_is_noted():
    quiet = {"load_average": [0.4, 0, 0], "machine": {"cores": 2}}
    busy = {"load_average": [2.0, 0, 0], "machine": {"cores": 2}}
    assert warn_when_busy(quiet) == []
    assert "busy" in warn_when_busy(busy)[0]


def test_show_prints_rows_and_verdicts(capsys):
    measure.show("Title", [{"a": 1.5}, {"b": None}], [Target("good", 1, 2, "s"), Target("bad", 3, 2, "s")], ["a note"])
    printed = capsys.readouterr().out
    assert "reached  good" in printed
    assert "missed   bad" in printed
    assert "a note" in printed
