"""Whatever happens to the network that removes electrodes, nobody sees a face that was not to be seen.

The bundle paints faces green, so one look at the page's canvas says which picture is on it.
"""

import json
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from application import Application, run, station_file, until
from playwright.sync_api import expect

pytestmark = [pytest.mark.integration]

FAULTS = str(Path(__file__).parent / "engine_faults")
BACK_S = 45.0  # on a busy machine; how quick it is on a quiet one: test_faults_page.py
GRAB = """() => { const c = document.createElement("canvas"); c.width = 64; c.height = 48;
    const x = c.getContext("2d"); x.drawImage(document.getElementById("picture"), 0, 0, 64, 48);
    return [...x.getImageData(0, 0, 64, 48).data]; }"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    from painted_bundle import write_painted

    return write_painted(tmp_path_factory.mktemp("bundles") / "painted")


@pytest.fixture
def fault(tmp_path):
    """Set how the network fails: fault("slow"), fault("") for not at all."""
    path = tmp_path / "fault"
    path.write_text("")
    return path.write_text


@pytest.fixture
def session(tmp_path, bundle, fault):
    """Start a session with the painting bundle: session(when_down="bars")."""

    def started(**restore):
        path = station_file(
            tmp_path,
            camera={"kind": "synthetic"},
            emg={"kind": "none"},
            restore={"bundle": str(bundle), "backend": "openvino", "threads": 1, **restore},
        )
        env = {"PYTHONPATH": FAULTS, "ENGINE_FAULT": str(tmp_path / "fault")}
        return Application(tmp_path, "live", path, "--no-browser", env=env)

    return started


@pytest.fixture
def begun_page(browser):
    """The page of a session, which may show nothing yet."""
    contexts = []

    def opened(session):
        found = until(lambda: re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", session.output), "the address", 60.0)
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        page = contexts[-1].new_page()
        page.goto(found[0])
        page.click("#begin")
        return page

    yield opened
    for context in contexts:
        context.close()


def is_green(page):
    """Whether the face on the canvas is painted; what CSS does to the canvas does not count."""
    from painted_bundle import is_painted

    picture = np.array(page.evaluate(GRAB), float).reshape(48, 64, 4)[:, :, :3]
    return is_painted(picture)


def look(page):
    """The page in words: what is on the canvas, whether that is seen, and what is written over it."""
    visible = page.locator("#picture").evaluate("c => getComputedStyle(c).visibility") == "visible"
    says = [page.inner_text(f"#{name}") for name in ("stale", "raw") if page.locator(f"#{name}").is_visible()]
    return is_green(page), visible, " ".join(says)


def until_green_again(session, page):
    """Pictures come, painted, and nothing is written over them."""
    drawn = session.shown
    until(lambda: session.shown > drawn + 3 and look(page) == (True, True, ""), lambda: look(page), BACK_S)


def choose(page, view):
    page.locator(f"input[name=restore][value={view}]").check(force=True)


@pytest.mark.browser
def test_a_network_that_fails_or_is_late_never_shows_the_cameras_own(session, begun_page, fault):
    fault("slow")
    with session() as running:
        page = begun_page(running)
        until(lambda: running.board.node("camera")["frames_out"][0] > 60, "the camera runs", 60.0)
        assert running.shown == 0  # every one is too old when it is done, and the camera's own is nobody's to see
        expect(page.locator("#waiting")).to_be_visible()
        fault("")
        until(lambda: page.locator("#waiting").is_hidden(), "the first picture", BACK_S)
        assert is_green(page)
        until_green_again(running, page)
        for what in ("raise", "slow"):
            _held_and_back(running, page, lambda w=what: fault(w), lambda: fault(""))
        page.keyboard.press("Alt+KeyS")
        assert running.process.wait(20) == 0, running.output
    report = running.report
    assert report["frames"]["closed"]
    assert report["engines"]["restore"] == {"backend": "openvino", "bundle": "painted", "precision": report_precision()}
    assert {"stale", "torn"} & set(report["frames"]["dropped"])  # too old; or its place in the ring was needed again
    assert any("the network has burst" in text for text in report["alarms"])


@pytest.mark.browser
def test_a_process_that_dies_or_hangs_leaves_the_last_good_picture(session, begun_page):
    with session() as running:
        page = begun_page(running)
        until(lambda: page.locator("#waiting").is_hidden() and is_green(page), "the first picture", 60.0)
        until_green_again(running, page)
        _switched_by_the_page(page)
        for number in (signal.SIGKILL, signal.SIGSTOP):
            _held_and_back(running, page, lambda n=number: running.strike("vision", n))
        page.keyboard.press("Alt+KeyS")
        assert running.process.wait(20) == 0, running.output
    assert running.report["frames"]["closed"]
    assert running.report["restarts"]["restore"] >= 2


def _held_and_back(running, page, strike, mend=lambda: None):
    """From the fault to the next live picture: at every look the painted face is on the canvas."""
    strike()
    t_limit = time.monotonic() + BACK_S
    while not (found := look(page))[2]:
        assert found[0], "the camera's own was seen"
        assert time.monotonic() < t_limit, "nothing was said"
    assert found[:2] == (True, True)
    assert re.fullmatch(r"Last good picture, \d+\.\d s old", found[2])
    mend()
    t_limit = time.monotonic() + BACK_S
    while (found := look(page)) != (True, True, ""):
        assert found[0], "the camera's own was seen"
        assert time.monotonic() < t_limit, found
    until_green_again(running, page)


def report_precision():
    """What OpenVINO takes on this processor when nobody chooses."""
    from engines.backends.openvino_backend import native_precisions

    return native_precisions()[0]


def _switched_by_the_page(page):
    choose(page, "raw")
    until(lambda: not is_green(page), "the raw picture")
    expect(page.locator("#raw")).to_be_hidden()  # asked for, so it stands in for nothing
    choose(page, "edit")
    page.locator("#edit").wait_for(state="visible")
    assert not is_green(page)
    choose(page, "restored")
    until(lambda: is_green(page), "restored again")
    expect(page.locator("#engine")).to_contain_text("painted")


@pytest.mark.browser
def test_no_picture_at_all_where_the_station_says_bars(session, begun_page):
    with session(when_down="bars") as running:
        page = begun_page(running)
        until(lambda: page.locator("#waiting").is_hidden() and is_green(page), "the first picture", 60.0)
        running.strike("vision", signal.SIGKILL)
        until(lambda: not look(page)[1], "the picture is taken away", BACK_S)
        until(lambda: page.inner_text("#stale").startswith("No picture for "), "it is said")
        until_green_again(running, page)


@pytest.mark.browser
def test_the_cameras_own_only_where_the_station_says_raw(session, begun_page, fault):
    fault("slow")
    with session(when_down="raw") as running:
        page = begun_page(running)
        until(lambda: page.locator("#waiting").is_hidden(), "a stand-in", 60.0)
        assert not is_green(page)
        expect(page.locator("#raw")).to_be_visible()
        fault("")
        until_green_again(running, page)
        running.strike("vision", signal.SIGSTOP)
        until(lambda: not is_green(page) and page.locator("#raw").is_visible(), "a stand-in", BACK_S)
        until_green_again(running, page)


def test_a_bundle_that_cannot_be_trusted_is_exit_code_2_and_one_sentence(tmp_path, bundle):
    from painted_bundle import altered

    weights = (bundle / "weights.safetensors").read_bytes()
    cut = altered(bundle, tmp_path / "cut", {"weights.safetensors": weights[:-8]}, resealed=False)
    document = json.loads((bundle / "manifest.json").read_text())
    larger = {
        side: [{**spec, "shape": [64, 64, *spec["shape"][2:]]} for spec in document[side]]
        for side in ("inputs", "outputs")
    }
    other = altered(bundle, tmp_path / "other", **larger)
    for wrong, sentence in (
        (cut, "weights.safetensors is altered or cut short"),
        (other, "model.onnx disagrees with its manifest"),
        ("pixel-smile", "is for pixel_rr, not for removing electrodes"),
    ):
        path = station_file(
            tmp_path,
            camera={"kind": "synthetic"},
            emg={"kind": "none"},
            restore={"bundle": str(wrong), "backend": "openvino"},
        )
        found = run("live", path, "--headless", "--seconds", "1")
        assert found.returncode == 2, found.stderr
        assert re.fullmatch(f"myomirror: .*{re.escape(sentence)}.*\n", found.stderr)


def test_headless_too(tmp_path, bundle):
    report = tmp_path / "report.json"
    found = run("demo", "--headless", "--seconds", "4", "--restore", bundle, "--report", report)
    assert found.returncode == 0, found.stderr
    told = json.loads(report.read_text())
    assert told["frames"]["closed"]
    assert told["frames"]["shown"] > 10
    assert told["engines"]["restore"]["bundle"] == "painted"
    assert told["latency_ms"]["stages"]["restore"]["p50"] > 0
