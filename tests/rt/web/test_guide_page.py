"""A person who is being calibrated, at the page: what to do, why not, before and after, and the buttons."""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from rt.errors import BadMessage
from rt.message import Guidance
from rt.web.protocol import parse_incoming

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
STATE = {
    "phase": "welcome", "title": "Relaxed face", "words": "Look into the camera.", "count": 0, "progress": 0.0,
    "steps": [{"title": "Relaxed face", "state": "todo"}, {"title": "Smile open", "state": "todo"}], "reason": "",
    "note": "", "tiles": [], "closer_db": None, "kept": [], "can_skip": False, "emg": False, "subject": "P01",
    "folder": "/home/x/people/P01",
}  # fmt: skip
SMILING = {"title": "Smile open", "words": "Smile so that your teeth show.", "can_skip": True}
TILES = ["You, relaxed", "Before: as on most people", "After: your own", "You, doing it"]
COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]


def until(happened, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


def strip():
    """Four tiles of one colour each, as a JPEG."""
    tiles = [np.full((64, 64, 3), colour, np.uint8) for colour in COLOURS]
    return cv2.imencode(".jpg", np.concatenate(tiles, axis=1))[1].ravel()


@pytest.fixture
def guided(serve, hello):
    """say(**what differs from STATE, still=...) on a page that guides: (feed, say)."""
    feed = serve(replace(hello, guided=True, emg_limit_ms=60000.0, frame_limit_ms=5000.0))

    def say(still=None, **changes):
        picture = np.zeros(0, np.uint8) if still is None else still
        feed.server.publish_guide(Guidance(0.0, {**STATE, **changes}, picture))

    say()
    return feed, say


def visible(page):
    return [button.inner_text() for button in page.locator(".guide-buttons button").all() if button.is_visible()]


def wished(feed):
    until(lambda: feed.wishes)
    return tuple(feed.wishes.popleft())


@pytest.mark.browser
def test_from_the_welcome_to_the_own_map(guided, open_page):
    feed, say = guided
    page = open_page(feed)
    until(lambda: visible(page) == ["I agree: start"])
    expect(page.locator("#guide-privacy")).to_be_visible()
    expect(page.locator("#guide-privacy")).to_contain_text("/home/x/people/P01")
    for hidden in (".muscles", ".symmetry", ".contacts", ".envelopes", "#views", "#record"):
        expect(page.locator(hidden).first).to_be_hidden()
    page.click("#guide-start")
    assert wished(feed) == ("guide", "start")
    say(phase="ready", count=3, reason="No face found")
    until(lambda: page.inner_text("#guide-inside") == "3")
    expect(page.locator("#guide-reason")).to_be_visible()
    expect(page.locator("#guide-reason")).to_have_text("No face found")
    say(phase="taking", progress=0.4, **SMILING)
    until(lambda: page.inner_text("#guide-inside") == "40 %")
    expect(page.locator("#guide-reason")).to_be_hidden()
    until(lambda: visible(page) == ["Again", "Skip this movement"])
    expect(page.locator("#spoken")).to_contain_text("Smile so that your teeth show")
    for word in ("again", "skip"):
        page.click(f"#guide-{word}")
        assert wished(feed) == ("guide", word)
    say(strip(), phase="review", tiles=TILES, closer_db=4.2, **SMILING)
    until(lambda: page.locator("#guide-tiles canvas").count() == 4)
    until(lambda: [caption.inner_text() for caption in page.locator("figcaption:visible").all()] == TILES)
    expect(page.locator("#guide-closer")).to_be_visible()
    expect(page.locator("#guide-closer")).to_contain_text("4.2 dB closer")
    seen = page.locator("#guide-tiles canvas").evaluate_all(
        "all => all.map(c => [...c.getContext('2d').getImageData(32, 32, 1, 1).data].slice(0, 3))"
    )
    np.testing.assert_allclose(np.array(seen)[:, ::-1], COLOURS, atol=12)
    page.click("#guide-keep")
    assert wished(feed) == ("guide", "keep")
    say(phase="done", kept=["Smile open"], words="That is all.")
    until(lambda: "Fitted to you: Smile open" in page.inner_text("#guide"))
    expect(page.locator("#guide-tiles")).to_be_hidden()
    page.click("#guide-finish")
    assert wished(feed) == ("stop", None)
    feed.server.set_hello(replace(feed.hello, guided=False))
    page.locator("#guide").wait_for(state="hidden")
    expect(page.locator(".muscles")).to_have_count(1)


@pytest.mark.browser
def test_who_comes_later_is_told_too_in_words_that_everybody_can_read(guided, open_page):
    """One page for light, dark, wide and narrow: opening one is what costs."""
    feed, say = guided
    say(phase="taking", progress=0.4, reason="Your eyes are closed: open them", **SMILING)
    page = open_page(feed)
    until(lambda: page.inner_text("#guide-title") == "Smile open")
    page.evaluate(AXE)
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = page.evaluate(RULES)["violations"]
        assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found] == []


def test_only_words_that_a_guide_knows_are_taken():
    assert parse_incoming('{"command": "guide", "value": "again"}') == ("guide", "again")
    for value in ("sudo", None, 1, ["again"]):
        with pytest.raises(BadMessage):
            parse_incoming(f'{{"command": "guide", "value": {str(value).replace("None", "null")!r}}}'.replace("'", '"'))
