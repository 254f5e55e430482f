"""The headless browser that benchmarks, tests and the screenshot look at pages with: Debian's Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Nothing but the page may ask the network for anything: the counts of requests are part of the tests.
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def executable() -> str | None:
    """Path of Chromium ($MYOMIRROR_CHROMIUM wins), None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("MYOMIRROR_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def launched() -> Iterator[Any]:
    """Give a Playwright browser, closed afterwards. One at a time in a process: Playwright's rule.

    Raises RuntimeError where Chromium is not installed.
    """
    from playwright.sync_api import sync_playwright

    found = executable()
    if found is None:
        raise RuntimeError("Chromium is not installed (Debian package: chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
