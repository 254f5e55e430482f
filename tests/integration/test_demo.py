"""`myomirror demo` in a real browser: pictures are drawn, every control does what it says, Stop ends the session."""

import numpy as np
import pytest
from application import Application, recordings, until
from playwright.sync_api import expect

from rt.recording.recorded import recorded_chunks, recorded_events, recorded_rows
from rt.recording.session_folder import SessionFolder
from rt.recording.streams import EMG

pytestmark = [pytest.mark.integration, pytest.mark.browser]

ENVELOPE_MS = 39  # the standard chain's own delay, which muscle-to-pixel holds

GRAB = """() => { const c = document.createElement("canvas"); c.width = 64; c.height = 48;
    const x = c.getContext("2d"); x.drawImage(document.getElementById("picture"), 0, 0, 64, 48);
    return [...x.getImageData(0, 0, 64, 48).data]; }"""


def picture(page):
    """(48, 64, 3): the canvas, small."""
    return np.array(page.evaluate(GRAB), float).reshape(48, 64, 4)[:, :, :3]


def test_everything_on_the_page_does_what_it_says(tmp_path, open_page):
    with Application(tmp_path, "demo", "--no-browser", "--record", tmp_path / "kept") as session:
        page = open_page(session)
        expect(page.locator("#subject")).to_have_text("demo")
        expect(page.locator("#synthetic")).to_be_visible()
        _numbers_come(page)
        _the_practise_view_is_another_picture(page)
        _marker_and_recording(page)
        _calibration_says_what_to_do(page)
        expect(page.locator("#stale")).to_be_hidden()
        expect(page.locator("#lost")).to_be_hidden()
        page.click("#stop")
        page.locator("#ended").wait_for(state="visible")
        until(lambda: page.inner_text("#ended-title") == "Session stopped", "confirmed")
        code = session.process.wait(20)
        expect(page.locator("#ended-facts")).to_contain_text("Photon to pixel", use_inner_text=True)
    report = session.report
    assert report["frames"]["closed"]
    assert report["frames"]["shown"] > 60
    assert report["latency_ms"]["end"] == "drawn"
    assert report["latency_ms"]["photon_to_pixel"]["p50"] > 0
    assert report["latency_ms"]["muscle_to_pixel"]["p50"] > ENVELOPE_MS
    assert {"restore", "expression", "exp2emg", "emg2exp"} <= set(report["engines"])  # removal and estimates
    assert report["restarts"] == {}
    # A machine with much else to do may start the recorder too slowly for the first pictures; it must say so.
    assert code == (4 if report["lost"] else 0), session.output
    assert all("recorder" in sentence for sentence in report["lost"])
    assert report["latency_ms"]["stages"]["pixel_map"]["max"] > 0.05  # it worked while the practise view was on
    _recorded(tmp_path / "kept", report)


def _numbers_come(page):
    until(lambda: page.inner_text("#photon").endswith(" ms"), "photon-to-pixel")
    until(lambda: page.inner_text("#muscle").endswith(" ms"), "muscle-to-pixel")
    until(lambda: float(page.inner_text("#fps")) > 10, "frame rate")
    until(lambda: "≈" in page.inner_text("#bars"), "muscles as the picture lets them be guessed")
    until(lambda: "Recording" in page.inner_text("#recording-text"), "recording light")
    until(lambda: page.locator(".bar-row").count() > 0, "bars")
    until(lambda: "stages running" in page.inner_text("#stages"), "stages")


def _the_practise_view_is_another_picture(page):
    """Amounts 0 and 1 in turn: the person moves, so what is compared are pictures shortly after each other."""
    page.locator("input[name=view][value=practise]").check()
    page.locator("#practise-box").wait_for(state="visible")
    seen = {"0": [], "100": []}
    for _ in range(11):
        for amount, pictures in seen.items():
            page.locator("#amount").fill(amount)
            page.wait_for_timeout(350)
            pictures.append(picture(page))
    without, with_it = np.array(seen["0"]), np.array(seen["100"])
    assert np.abs(np.diff(without, axis=0)).max() > 2, "the picture does not move"
    # The middle of the face, against the mean of the pictures before and after, so that what drifts cancels out.
    changed = _consistent(with_it[:-1] - (without[:-1] + without[1:]) / 2)
    moved = _consistent(without[1:-1] - (without[:-2] + without[2:]) / 2)
    assert changed > 1.2 * moved, (changed, moved)  # in half the time
    assert changed > 2
    page.locator("input[name=view][value=camera]").check()
    page.locator("#practise-box").wait_for(state="hidden")


def _consistent(differences):
    """How much the middle of the face changes in the same way every time, grey levels."""
    return np.abs(np.median(differences, axis=0))[20:40, 24:40].mean()


def _marker_and_recording(page):
    page.click("#marker")
    until(lambda: page.inner_text("#record") == "End recording", "recording")
    page.click("#record")
    until(lambda: page.inner_text("#recording-text") == "Not recording", "recording is off")
    expect(page.locator("#record")).to_have_text("Record")
    page.wait_for_timeout(500)
    page.keyboard.press("Alt+KeyR")
    until(lambda: page.inner_text("#recording-text").startswith("Recording "), "recording is on again")
    page.keyboard.press("Alt+KeyM")


def _calibration_says_what_to_do(page):
    page.click("#calibrate")
    page.click("#calibrate-rest")
    until(lambda: "rest for 5 s" in page.inner_text("#calibration"), "what to do")
    page.wait_for_timeout(300)
    answers = ("rest is measured", "not calibrated")
    until(lambda: any(answer in page.locator("body").inner_text().lower() for answer in answers), "the outcome", 12.0)


def _recorded(data, report):
    (recording,) = recordings(data)
    folder = SessionFolder.open(recording)
    assert folder.info["synthetic"]
    assert folder.verify() == []
    assert len(folder.videos()) == 2
    signals = recording / "signals.xdf"
    events = recorded_events(signals)
    assert [event.text for event in events if event.kind == "MARKER"] == ["marker", "marker"]
    assert [event.data["on"] for event in events if event.kind == "RECORD"] == [True, False, True, False]
    assert any(event.kind == "CALIBRATION" for event in events)
    rows = list(recorded_rows(signals))
    assert {row.segment for row in rows} == {1, 2}
    chunks = list(recorded_chunks(signals, EMG))
    (gap,) = [chunk for chunk in chunks if chunk.gap_s > 0]  # where it was not recorded
    assert gap.gap_s > 0.4
    assert 4096 < sum(len(chunk.data) for chunk in chunks) < report["emg"]["samples"]
