"""Take docs/page.png from a running demo: `python docs/take_screenshot.py` (needs Chromium)."""

import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import chromium

SMILE_S = 38.6  # the second smile of the script, with a brow raise still in the last ten seconds


def main() -> None:
    command = [sys.executable, "-c", "from rt.cli import main; main()", "demo", "--no-browser", "--seconds", "45"]
    t_start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, chromium.launched() as browser:
        assert demo.stdout is not None
        url = next(found.group() for line in demo.stdout if (found := re.search(r"http://\S+", line)))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.get_by_role("button", name="Show the mirror").click()
        page.wait_for_timeout((SMILE_S - (time.monotonic() - t_start)) * 1e3)
        page.screenshot(path=Path(__file__).with_name("page.png"))
        page.get_by_role("button", name=re.compile("Stop")).click()
        page.wait_for_timeout(1000)


if __name__ == "__main__":
    main()
