import pytest

from benchmarks.measure import ROOT
from benchmarks.table import BEGIN, END, ORDER, PAGES, page_table, put_in, read_results, render

RESULT = {
    "name": "soak",
    "date": "2000-01-01",
    "commit": "abc",
    "machine": {"cpu": "CPU", "cores": 2, "memory_gb": 24.0, "kernel": "6.1"},
    "versions": {"python": "3.11"},
    "targets": [
        {"what": "slope", "value": 0.1234, "limit": 1.0, "unit": "MB/min", "at_most": True, "reached": True},
        {"what": "speed", "value": 3.0, "limit": 4.0, "unit": "x", "at_most": False, "reached": False},
    ],
}


def test_rows_say_value_limit_and_verdict():
    table = render([RESULT])
    assert "| slope | 0.123 MB/min | ≤ 1 MB/min | reached |" in table
    assert "| speed | 3 x | ≥ 4 x | **missed** |" in table
    assert "`soak`: CPU, 2 cores, 24 GB, Linux 6.1, Python 3.11, commit abc, 2000-01-01." in table


def test_what_was_not_measured_is_said():
    table = render([RESULT])
    assert "`kernel_speed` | not measured yet" in table
    assert "`soak` | not measured yet" not in table


def test_nothing_measured_is_not_a_number():
    broken = {**RESULT, "targets": [{**RESULT["targets"][0], "value": None, "reached": False}]}
    assert "| slope | nothing MB/min | ≤ 1 MB/min | **missed** |" in render([broken])


def test_results_come_in_the_order_of_the_design(tmp_path):
    for name in ("soak", "another", "link_throughput"):
        (tmp_path / f"{name}.json").write_text(f'{{"name": "{name}"}}')
    assert [result["name"] for result in read_results(tmp_path)] == ["link_throughput", "soak", "another"]


def test_the_first_page_shows_what_a_session_is_about():
    first, whole = (page_table(page) for page in sorted(PAGES, key=PAGES.get, reverse=True))
    assert "shown" in first
    assert "Pixel-KR at 512 px" not in first
    assert "Pixel-KR at 512 px" in whole


def test_the_table_replaces_what_was_between_the_markers_and_nothing_else():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put_in(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert put_in(put_in(page, "new"), "new") == put_in(page, "new")


@pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="once each"):
        put_in(page, "new")


@pytest.mark.parametrize("page", list(PAGES), ids=str)
def test_the_committed_tables_are_what_the_committed_results_say(page):
    path = ROOT / page
    if not path.exists() or BEGIN not in path.read_text():
        pytest.skip(f"{page} has no table")
    text = path.read_text()
    assert put_in(text, page_table(page)) == text, "run: python -m benchmarks.table"


def test_every_benchmark_of_the_order_can_be_run():
    missing = [name for name in ORDER if not (ROOT / "benchmarks" / f"{name}.py").exists()]
    assert missing in ([], ["frame_latency"])
