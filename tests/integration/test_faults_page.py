"""What the person in front of the page sees of a fault: a badge within a second, the picture back within five."""

import signal
import time

import pytest
from application import HANG, Application, Simulated, others_share, station_file, until

pytestmark = [pytest.mark.integration, pytest.mark.browser]

BADGE_S = 2.0  # what is half a second old is marked; the rest is a busy machine's
BACK_S = 5.0


def seen_after(page, strike, selector, back):
    """Strike; until the badge is seen, then until it is gone and `back`. Returns both in seconds."""
    t_strike = time.monotonic()
    strike()
    page.locator(selector).wait_for(state="visible", timeout=2e3 * BACK_S)
    badge_s = time.monotonic() - t_strike
    page.locator(selector).wait_for(state="hidden", timeout=4e3 * BACK_S)
    until(back, "picture", 4 * BACK_S)
    return badge_s, time.monotonic() - t_strike


def test_badge_and_picture(tmp_path, video, lsl_id, open_page):
    station = station_file(
        tmp_path,
        subject="P01",
        camera={"kind": "file", "path": str(video)},
        emg={"kind": "lsl", "source_id": lsl_id},
    )
    with (
        Simulated(lsl_id) as amplifier,
        Application(tmp_path, "live", station, "--no-browser", env={"PYTHONPATH": HANG}) as session,
    ):
        page = open_page(session)
        until(lambda: session.shown > 30, "pictures")

        def pictures_come():
            drawn = session.shown
            return until(lambda: session.shown > drawn + 5, "drawn", 2 * BACK_S)

        faults = (
            ("vision", signal.SIGKILL, "#stale"),
            ("vision", signal.SIGSTOP, "#stale"),
            ("camera", signal.SIGSTOP, "#stale"),
            ("page", signal.SIGKILL, "#lost"),
            ("page", signal.SIGUSR1, "#stale"),  # its work loop hangs, the server's thread lives
        )
        for group, number, badge in faults:
            until(lambda b=badge: page.locator(b).is_hidden(), "all is well before")
            badge_s, back_s = seen_after(page, lambda g=group, n=number: session.strike(g, n), badge, pictures_come)
            assert badge_s < BADGE_S * others_share(), (group, number.name)
            assert back_s < (BACK_S + BADGE_S) * others_share(), (group, number.name)
        badge_s, _ = seen_after(page, lambda: session.strike("emg", signal.SIGKILL), "#emg-stale", pictures_come)
        assert badge_s < BADGE_S * others_share()
        amplifier.kill()
        page.locator("#emg-stale").wait_for(state="visible", timeout=1e3 * BADGE_S * others_share())
        until(lambda: page.locator("#stale").is_hidden(), "the picture lives")
        with Simulated(lsl_id):
            page.locator("#emg-stale").wait_for(state="hidden", timeout=4e3 * BACK_S)
            until(lambda: "restarts" in page.inner_text("#stages"), "restarts are told")
            page.keyboard.press("Alt+KeyS")
            page.locator("#ended").wait_for(state="visible")
            assert session.process.wait(20) == 0, session.output
    report = session.report
    assert report["frames"]["closed"]
    assert report["restarts"]["page"] == 2
    assert report["restarts"]["face"] == 2
    assert report["latency_ms"]["end"] == "drawn"
