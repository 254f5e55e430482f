import io

from rich.console import Console

from calibration.report_table import show_reach, titled


def test_every_aim_says_whether_it_was_reached():
    shown = io.StringIO()
    one = {"bundle": "mine", "what": "error left", "measured": 0.4123, "target": "<= 0.5", "reached": True}
    missed = {**one, "what": "faces", "measured": None, "reached": False}
    show_reach(Console(file=shown, width=100), [one, missed])
    title, _, first, second = shown.getvalue().strip().splitlines()
    assert title == "What is to be reached"
    assert first.split() == ["mine", "error", "left", "0.412", "<=", "0.5", "reached"]
    assert second.split() == ["mine", "faces", "-", "<=", "0.5", "MISSED"]


def test_a_title_may_be_wider_than_its_table():
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    table = titled(console, "A title that is long")
    table.add_column("x")
    console.print(table)
    assert "A title that is long\n" in shown.getvalue()
