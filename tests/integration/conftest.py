"""What tests of the whole application share: an LSL session of their own, a browser, the shared video."""

import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

# Before any LSL call of this process, and inherited by the processes that tests start.
os.environ.setdefault("MYOMIRROR_LSL_SESSION", f"test-{uuid.uuid4().hex[:12]}")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def video() -> Path:
    """The recorded face that stands for a camera."""
    from application import VIDEO

    if not VIDEO.is_file():
        pytest.skip("needs video/neutral_smile_neutral.mp4 in $MYOMIRROR_DATA")
    return VIDEO


@pytest.fixture
def lsl_id() -> str:
    """An LSL source_id that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_page(browser):
    """The page of a session, its mirror shown; no script error is forgiven."""
    from application import until

    contexts, errors = [], []

    def opened(session: Any) -> Any:
        found = until(lambda: re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", session.output), "the address", 60.0)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(found[0])
        page.click("#begin")
        page.locator("#waiting").wait_for(state="hidden")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
