"""What networks guess, on the page: beside what is measured or alone, and never to be taken for it."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from rt import clock
from rt.web.protocol import Flags, Hello

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
PERCENT, SPREAD = np.full(22, 48.0, np.float32), np.full(22, 12.0, np.float32)
ENGINES = {
    "expression": {"backend": "openvino", "bundle": "encoder-cpu", "precision": "bf16", "rate_hz": "14.9"},
    "exp2emg": {"backend": "openvino", "bundle": "exp2emg", "precision": "fp32", "relative_to": "own maximum"},
}
SHARE = """node => { const inner = node.getBoundingClientRect(), outer = node.parentNode.getBoundingClientRect();
    return [(inner.left - outer.left) / outer.width, (inner.right - outer.left) / outer.width]; }"""


def until(happened: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


@pytest.fixture
def guessed(serve, hello):
    """A feed with estimates: guessed(amplifier=..., age_s=..., **blocks of the packet)."""

    def start(amplifier: bool = True, age_s: float = 0.0, **blocks: Any) -> Any:
        told: Hello = replace(
            hello,
            amplifier=amplifier,
            estimated=True,
            emg_limit_ms=60000.0,
            frame_limit_ms=5000.0,
            expressions=("camera",),
        )
        feed = serve(told)
        feed.status = replace(feed.status, engines=ENGINES)
        said = {"estimate_percent": PERCENT, "estimate_spread": SPREAD, **blocks}
        nothing = np.full(22, np.nan, np.float32)
        silent = {} if amplifier else {"percent_mvc": nothing, "t_emg": np.nan}

        def change(packet: Any) -> Any:
            flags = packet.flags if amplifier else packet.flags & ~Flags.EMG
            return replace(packet, flags=flags, t_expression=clock.now() - age_s, **said, **silent)

        feed.change = change
        return feed

    return start


def guess_of(page: Any, name: str = "Zygomaticus right, estimated") -> Any:
    return page.locator(f'[aria-label="{name}"]')


def spans(page: Any, part: str, name: str = "Zygomaticus right, estimated") -> list[float]:
    """Where a part of an estimate begins and ends, as shares of its bar."""
    return [round(share, 2) for share in guess_of(page, name).locator(part).evaluate(SHARE)]


def test_an_estimate_stands_below_the_measured_bar_with_its_uncertainty(guessed, open_page):
    page = open_page(guessed())
    until(lambda: spans(page, ".guess-fill")[1] == 0.4)  # 48 of 120
    until(lambda: spans(page, ".guess-line") == [0.3, 0.5])  # 36 to 60 of 120
    mirrored = "Zygomaticus left, estimated"  # grows to the left
    until(lambda: spans(page, ".guess-fill", mirrored)[0] == 0.6)
    measured = page.locator('[aria-label="Zygomaticus right"]').bounding_box()
    below = guess_of(page).bounding_box()
    assert below["y"] >= measured["y"] + measured["height"]
    assert below["height"] < measured["height"]
    assert (below["x"], below["width"]) == (measured["x"], measured["width"])  # one scale
    row = page.locator(".bar-row").first
    until(lambda: row.inner_text().count("≈ 48 ± 12 %") == 2)
    expect(page.locator("#bars-key")).to_contain_text("estimated from the picture", use_inner_text=True)
    expect(page.locator("#bars-key")).to_contain_text("measured", use_inner_text=True)
    until(lambda: guess_of(page).get_attribute("aria-valuenow") == "48")
    expect(guess_of(page)).to_have_attribute("aria-valuetext", "about 48 ± 12 %, estimated")


def test_an_estimate_is_never_judged_as_right_or_wrong(guessed, open_page):
    page = open_page(guessed(estimate_percent=np.full(22, 110.0, np.float32)))
    until(lambda: "≈ 110 ± 12 %" in page.inner_text("#bars"))
    style = "node => getComputedStyle(node).backgroundImage + getComputedStyle(node).backgroundColor"
    estimate = until(
        lambda: (
            "repeating-linear-gradient" in (found := guess_of(page).locator(".guess-fill").evaluate(style)) and found
        )
    )
    until(lambda: guess_of(page).get_attribute("data-state") is None)
    until(lambda: page.locator('[aria-label="Zygomaticus right"] .bar-fill').evaluate(style) != estimate)


def test_how_the_face_is_read_and_how_often_is_said(guessed, open_page):
    feed = guessed()
    page = open_page(feed)
    words = "Face read 15 times a second, interpolated, by encoder-cpu, muscles by exp2emg"
    until(lambda: words in page.inner_text("#estimator"))
    feed.status = replace(feed.status, fps_shown=15.0)
    until(lambda: "Face read 15 times a second by encoder-cpu" in page.inner_text("#estimator"))


def test_why_the_muscles_drive_no_face_is_said(guessed, open_page):
    feed = guessed()
    driven = {"backend": "openvino", "bundle": "emg2exp", "precision": "fp32", "profile": "arkit52"}
    feed.status = replace(feed.status, engines={"emg2exp": {**driven, "calibrated": "False"}})
    page = open_page(feed)
    until(lambda: page.inner_text("#estimator") == "Face from the muscles by emg2exp, after Calibrate")
    feed.status = replace(feed.status, engines={"emg2exp": {**driven, "calibrated": "True"}})
    until(lambda: page.inner_text("#estimator") == "Face from the muscles by emg2exp")
    feed.status = replace(feed.status, engines={"emg2exp": {**driven, "profile": "flame55"}})
    until(lambda: "(flame55: kept and sent on, not drawn here)" in page.inner_text("#estimator"))


GLIDE = """async () => {
  const { Glide } = await import("/static/glide.js");
  const glide = new Glide(), nothing = new Float32Array(0), found = [];
  const at = (t, value, estimate = nothing) => {
    const expression = Float32Array.of(value, NaN);
    const live = { tSent: t, expression, estimatePercent: estimate, estimateSpread: nothing };
    glide.follow(live);
    found.push(live.expression[0]);
    return live;
  };
  for (const [t, value] of [[0, 0], [0.1, 0], [0.2, 1], [0.23, 1], [0.25, 1], [0.3, 1], [0.4, 1]]) at(t, value);
  const late = at(9, 0.5, Float32Array.of(NaN, 10)), next = at(9.1, 0.5, Float32Array.of(40, 30));
  const mid = at(9.15, 0.5, Float32Array.of(40, 30));
  const fast = [[10, 0], [10.033, 1], [10.066, 0]].map(([t, v]) => at(t, v).expression[0]);
  return { found: found.slice(0, 7), late: late.expression[0], fast, first: [...late.estimatePercent].map(String),
    next: [...next.estimatePercent], mid: [...mid.estimatePercent], empty: late.estimateSpread.length };
}"""


def test_between_two_readings_it_glides_and_never_runs_ahead(guessed, open_page):
    page = open_page(guessed())
    said = page.evaluate(GLIDE)
    # 0.2 s after the reading before: half of the way after 0.1 s, all of it when the next one is due
    assert said["found"] == pytest.approx([0, 0, 0, 0.15, 0.25, 0.5, 1], abs=1e-5)
    assert said["late"] == 0.5  # after a long pause at once
    assert said["fast"] == [0, 1, 0]  # as fast as the pictures: as it is
    assert said["first"] == ["NaN", "10"]
    assert said["next"] == [40, 10]  # what could not be said before counts at once
    assert said["mid"] == [40, 20]
    assert said["empty"] == 0


def test_a_network_that_does_not_say_how_sure_it_is_has_no_line(guessed, open_page):
    page = open_page(guessed(estimate_spread=np.full(22, np.nan, np.float32)))
    until(lambda: "≈ 48 %" in page.inner_text("#bars"))
    expect(guess_of(page).locator(".guess-line")).to_be_hidden()
    shown = "node => getComputedStyle(node).visibility"
    until(lambda: guess_of(page).locator(".guess-fill").evaluate(shown) == "visible")


def test_without_an_amplifier_there_are_estimates_only_and_the_page_says_so(guessed, open_page):
    page = open_page(guessed(amplifier=False))
    until(lambda: "≈ 48 ± 12 %" in page.inner_text("#bars"))
    expect(page.locator(".bar-fill")).to_have_count(0)
    expect(page.get_by_role("meter", name="estimated")).to_have_count(8)
    expect(page.locator("#bars-key")).to_contain_text("estimated from the picture, relative", use_inner_text=True)
    expect(page.locator("#key-measured")).to_be_hidden()
    expect(page.locator("#muscles-unit")).to_have_text("%, relative")
    for measured in (".contacts", ".symmetry", ".envelopes", "#calibrate", "#muscle-metric", "#emg-stale"):
        expect(page.locator(measured)).to_be_hidden()


def test_an_old_estimate_is_greyed_and_said_while_the_rest_goes_on(guessed, open_page):
    feed = guessed()
    page = open_page(feed)
    until(lambda: "≈ 48" in page.inner_text("#bars"))
    expect(page.locator("#guess-stale")).to_be_hidden()
    live = feed.change
    feed.change = lambda packet: replace(live(packet), t_expression=clock.now() - 7.0)
    until(lambda: "Estimate is 7." in page.inner_text("#guess-stale"))
    until(lambda: "≈" not in page.inner_text("#bars"))
    until(lambda: guess_of(page).locator(".guess-fill").evaluate("node => getComputedStyle(node).opacity") == "0.35")
    measured = page.locator('[aria-label="Zygomaticus right"] .bar-fill')
    until(lambda: measured.evaluate("n => getComputedStyle(n).opacity") != "0.35")
    until(lambda: page.locator("#stale").is_hidden())
    feed.change = live
    until(lambda: not page.locator("#guess-stale").is_visible())


def test_before_the_first_estimate_and_without_a_face_the_page_says_so(guessed, open_page):
    nothing = np.zeros(0, np.float32)
    feed = guessed(estimate_percent=nothing, estimate_spread=nothing)
    page = open_page(feed)
    until(lambda: page.inner_text("#guess-stale") == "No estimate yet")
    before = feed.change
    feed.change = lambda packet: replace(before(packet), flags=before(packet).flags | Flags.NO_FACE)
    until(lambda: page.inner_text("#guess-stale") == "No face found. No estimate yet")


def test_a_session_without_estimates_shows_nothing_of_them(serve, open_page):
    page = open_page(serve())
    until(lambda: "%" in page.inner_text("#bars"))
    for part in ("#bars-key", "#guess-stale", "#estimator", ".guess"):
        expect(page.locator(part).first).to_be_hidden()


@pytest.mark.parametrize(("scheme", "amplifier"), [("light", True), ("dark", False)])
def test_axe_finds_nothing(guessed, open_page, scheme, amplifier):
    page = open_page(guessed(amplifier), color_scheme=scheme, bypass_csp=True)
    until(lambda: "≈ 48" in page.inner_text("#bars"))
    page.evaluate(AXE)
    assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in page.evaluate(RULES)["violations"]] == []


@pytest.mark.parametrize("amplifier", [True, False])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_it_fits_the_screen(guessed, open_page, amplifier, width, height):
    page = open_page(guessed(amplifier), viewport={"width": width, "height": height})
    until(lambda: "Face read" in page.inner_text("#estimator"))
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= width
    if width >= 1280:
        assert size[1] <= height
        cards = page.evaluate(
            "Math.max(...[...document.querySelectorAll('.card')].map(c => c.getBoundingClientRect().bottom))"
        )
        assert cards <= page.locator("footer").bounding_box()["y"] + 1  # the safety sentence stays in sight
