import io

import pytest
from rich.console import Console

from calibration.counted import counted


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_done_adds_up(kept):
    shown = io.StringIO()
    with counted(Console(file=shown, force_terminal=True, width=100), "Pictures", 5, kept) as step:
        step()
        step(3)
    text = shown.getvalue()
    assert "Pictures" in text
    assert "4/5" in text


def test_nothing_is_written_where_nobody_watches():
    shown = io.StringIO()
    with counted(Console(file=shown), "Pictures", 5) as step:
        step(5)
    assert shown.getvalue() == ""
