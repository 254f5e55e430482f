"""Take docs/page.png from a running demo: `python docs/take_screenshot.py` (needs Chromium)."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import chromium
from engines.emg.demo_performance import demo_performance

EARLY_S = 1.5  # before the open smile; the start of the process is before the performance's by about as much
GRINNING_PERCENT = 50  # of the maximum
RELAXED_PERCENT = 45


def main() -> None:
    command = [sys.executable, "-c", "from rt.cli import main; main()", "demo", "--no-browser", "--seconds", "60"]
    smile = next(held for held in demo_performance().held if held.task == "Smile-Open")
    t_start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, chromium.launched() as browser:
        assert demo.stdout is not None
        url = next(found.group() for line in demo.stdout if (found := re.search(r"http://\S+", line)))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.get_by_role("button", name="Show the mirror").click()
        page.wait_for_timeout((smile.start_s - EARLY_S - (time.monotonic() - t_start)) * 1e3)
        while percent(page, "Zygomaticus") < GRINNING_PERCENT or percent(page, "Orbicularis oculi") > RELAXED_PERCENT:
            page.wait_for_timeout(50)  # eyes shut tight move the cheeks, too
        page.wait_for_timeout(200)
        page.screenshot(path=Path(__file__).with_name("page.png"))
        page.get_by_role("button", name=re.compile("Stop")).click()
        page.wait_for_timeout(1000)


def percent(page: Any, muscle: str) -> int:
    """What a muscle's bars say, the larger side."""
    row = page.locator(".bar-row", has_text=muscle)
    return max(map(int, re.findall(r"(\d+) %", row.inner_text())))


if __name__ == "__main__":
    main()
