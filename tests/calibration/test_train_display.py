import io

import pytest

pytest.importorskip("torch")

from rich.console import Console

from calibration import train_display
from calibration.train_display import TrainDisplay


def test_a_terminal_shows_where_it_is():
    said = io.StringIO()
    console = Console(file=said, width=160, force_terminal=True)
    with TrainDisplay(console, "mc_cyclegan", 4, 5, 0) as display:
        display.step(6)
        display.losses({"cycle": 0.123456}, 6, 3.21)
    assert all(text in said.getvalue() for text in ("mc_cyclegan", "6/20", "epoch 2/4", "3.21 steps/s", "cycle 0.123"))


def test_a_file_gets_a_line_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(train_display.time, "monotonic", lambda: now[0])
    said = io.StringIO()
    with TrainDisplay(Console(file=said, width=160), "toy", 1, 100, 0) as display:
        for steps in range(1, 100):
            now[0] += 2
            display.losses({"loss": 1.0}, steps, 0.5)
    lines = said.getvalue().splitlines()
    assert [line.split()[:2] for line in lines] == [["step", "30"], ["step", "60"], ["step", "90"]]


def test_the_last_step_belongs_to_the_last_epoch():
    said = io.StringIO()
    with TrainDisplay(Console(file=said, width=160, force_terminal=True), "toy", 2, 5, 0) as display:
        display.losses({}, 10, 1.0)
    assert "epoch 2/2" in said.getvalue()
