"""The muscle map over the picture in a real headless Chromium: where it is, what it says, and when there is none.

The picture is plain grey, so that every other colour is the map's; the landmarks are those of the demo's person.
"""

import base64
import functools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from engines.emg.heat_landmarks import LandmarkHeat, heat_file
from engines.emg.heat_scale import heat_colours
from engines.emg.montage import FRIDLUND
from engines.face.demo_clip import DemoClip
from rt import clock
from rt.web.protocol import Flags

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
RIGHT, LEFT = FRIDLUND.labels.index("F19"), FRIDLUND.labels.index("F20")  # zygomaticus
GREY = cv2.imencode(".jpg", np.full((240, 320, 3), 200, np.uint8))[1].tobytes()
MAP = functools.partial(heat_file, FRIDLUND)
NOWHERE = np.zeros((0, 2), np.float32)


@pytest.fixture(scope="module")
def landmarks():
    return DemoClip.load().landmarks_px(30)[:468] / 2


def until(happened: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
    return found


@pytest.fixture
def open_map(serve, open_page, hello, landmarks):
    """Open a page whose map is switched on: open_map(left=..., right=..., **more of the packet) gives (feed, page)."""

    def changed(left: float = 0.0, right: float = 0.0, marks: Any = landmarks, **more: Any) -> Callable[[Any], Any]:
        percent = np.zeros(22, np.float32)
        percent[[LEFT, RIGHT]] = left, right
        return lambda packet: replace(packet, **{"percent_mvc": percent, "landmarks_px": marks, **more})

    def opened(told: Any = hello, heat: Any = MAP, on: bool = True, **more: Any) -> tuple[Any, Any]:
        options = {name: more.pop(name) for name in ("viewport", "color_scheme", "bypass_csp") if name in more}
        patient = replace(told, emg_limit_ms=60000.0, frame_limit_ms=60000.0)  # also on a machine that is busy
        feed = serve(patient, picture=lambda _: GREY, heat=heat)
        feed.change = changed(**more)
        page = open_page(feed, **options)
        switch = page.get_by_role("switch", name="Muscle map")
        switch.wait_for()
        if on:
            switch.press("Space")
        return feed, page

    opened.changed = changed
    return opened


def canvas(page: Any) -> np.ndarray:
    """(240, 320, 3) RGB of the picture as it was drawn, as the person's camera saw it (not mirrored)."""
    url = page.evaluate("document.getElementById('picture').toDataURL()")
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return seen[:, ::-1] if page.is_checked("#mirrored") else seen


def coloured(page: Any) -> np.ndarray:
    """(240, 320): where anything but the grey picture is."""
    return np.ptp(canvas(page).astype(int), axis=2) > 12


def faults(page: Any) -> list[Any]:
    """What axe finds."""
    page.evaluate(AXE)
    return [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in page.evaluate(RULES)["violations"]]


def middle_of(channel: int, landmarks: np.ndarray) -> np.ndarray:
    """(x, y) px where a channel shows most."""
    heat = LandmarkHeat.load(FRIDLUND)
    return heat.points(landmarks)[heat.heat[:, channel].argmax()]


def test_it_is_off_until_somebody_asks_for_it_and_then_remembered(open_map):
    feed, page = open_map(left=100, on=False)
    expect(page.locator("#heat-over")).to_be_hidden()
    assert not coloured(page).any()
    switch = page.get_by_role("switch", name="Muscle map")
    switch.press("Space")
    until(lambda: coloured(page).any())
    page.goto(feed.server.url)  # the same tab
    until(lambda: coloured(page).any())
    switch.press("Space")
    until(lambda: not coloured(page).any())
    expect(page.locator("#heat-over")).to_be_hidden()


def test_an_active_muscle_glows_where_it_is(open_map, landmarks):
    feed, page = open_map(left=100)
    until(lambda: page.inner_text("#heat-over-most") == "Most: Zygomaticus left")
    expect(page.locator("#heat-over-source")).to_have_text("Measured")
    x, y = middle_of(LEFT, landmarks).astype(int)
    until(lambda: coloured(page)[y, x])
    until(lambda: canvas(page)[y, x].mean() < 110)  # the scale's dark end
    nose = int(landmarks[1, 0])
    assert x > nose  # the person's left is on the right of the camera's picture
    assert not coloured(page)[:, : nose - 5].any()
    feed.rate_hz = 1.0  # the next picture is far away: the one that is there turns
    page.get_by_role("switch", name="Mirror view").press("Space")
    until(lambda: coloured(page)[y, x])
    feed.rate_hz = 30.0
    feed.change = open_map.changed(right=100)
    until(lambda: page.inner_text("#heat-over-most") == "Most: Zygomaticus right")
    until(lambda: coloured(page)[:, : nose - 5].any() and not coloured(page)[:, nose + 5 :].any())


def test_the_map_is_the_matrix_times_the_values(open_map, landmarks):
    """Every point's colour beside the slow way: the shares of its channels, the scale's colour, laid over the grey."""
    _, page = open_map(left=80, right=40)
    heat = LandmarkHeat.load(FRIDLUND)
    warm = heat.heat[:, [LEFT, RIGHT]] @ np.array([0.80, 0.40]) / 255
    points = heat.points(landmarks)
    cover = np.clip((warm - 0.06) / 0.06, 0, 1) * (0.3 + 0.5 * np.clip((warm - 0.06) / 0.34, 0, 1))
    meant = cover[:, None] * heat_colours(100 * warm) + (1 - cover[:, None]) * 200
    places = tuple(np.rint(points[:, ::-1] - 0.5).astype(int).T)
    clear = np.abs(warm - 0.5) > 0.2  # away from the line at half of the scale

    def away() -> np.ndarray:
        return np.abs(canvas(page).astype(float)[places] - meant)

    until(lambda: away()[clear].mean() < 3)
    until(lambda: np.median(away()[clear & (warm > 0.2)]) < 12)


def test_estimated_muscles_are_hatched_and_called_so(open_map, hello):
    estimate = np.zeros(22, np.float32)
    estimate[RIGHT] = 100
    nothing = np.full(22, np.nan, np.float32)
    _, page = open_map(
        replace(hello, amplifier=False, estimated=True), percent_mvc=nothing,
        estimate_percent=estimate, estimate_spread=estimate / 5, flags=Flags.FRAME, t_expression=clock.now(),
        color_scheme="dark", bypass_csp=True,
    )  # fmt: skip
    until(lambda: page.inner_text("#heat-over-source") == "Estimated from the picture, relative")
    expect(page.locator("#heat-over-end")).to_have_text("100 %")
    expect(page.locator("#heat-over")).to_have_attribute("data-source", "estimated")

    def strong() -> np.ndarray:
        until(lambda: coloured(page).any())
        return np.abs(canvas(page).astype(int) - 200).sum(2)[coloured(page)]

    until(lambda: np.percentile(strong(), 90) > 1.5 * np.percentile(strong(), 30))  # dense lines, pale between them
    assert faults(page) == []


def test_where_nothing_may_glow_nothing_does_and_the_legend_says_why(open_map, landmarks):
    feed, page = open_map(left=100)
    changed, most, words = open_map.changed, "#heat-over-most", "#heat-over-source"
    practise = Flags.FRAME | Flags.EMG | Flags.PRACTISE

    def dark(**more: Any) -> None:
        feed.change = changed(left=100)
        until(lambda: coloured(page).any() and page.inner_text(words) == "Measured")
        feed.change = changed(**{"left": 100, **more})
        until(lambda: not coloured(page).any())

    dark(left=4, right=4)
    until(lambda: page.inner_text(most) == "All at rest")
    dark(contact=np.zeros(22, np.uint8))  # no electrode sits
    until(lambda: page.inner_text(most) == "All at rest")
    dark(flags=Flags.FRAME | Flags.EMG | Flags.STALE_EMG)
    until(lambda: page.inner_text(words) == "No muscle values")
    dark(marks=NOWHERE)
    until(lambda: page.inner_text(words) == "No face found")
    until(lambda: page.inner_text(most) == "")
    dark(marks=NOWHERE, flags=practise)
    until(lambda: "Only over your own face" in page.inner_text(words))
    beside = landmarks + np.float32([160 - middle_of(LEFT, landmarks)[0], 0])  # the muscle is where the halves meet
    feed.change = changed(left=100, flags=practise, marks=beside)
    until(lambda: coloured(page)[:, :158].any())
    assert not coloured(page)[:, 162:].any()  # that half shows the movement


@pytest.mark.parametrize(
    ("heat", "sentence"),
    [
        (None, "This session has no muscle map."),
        (functools.partial(heat_file, FRIDLUND.subset(["F19"])), "for other channels"),
    ],
)
def test_why_there_is_no_map_is_one_sentence(open_map, heat, sentence):
    _, page = open_map(left=100, heat=heat)
    until(lambda: sentence in page.inner_text("#heat-over-source"))
    assert not coloured(page).any()


def test_its_legend_stays_in_the_picture_on_a_small_screen(open_map):
    width = 360
    _, page = open_map(left=60, viewport={"width": width, "height": 780})
    until(lambda: page.inner_text("#heat-over-source") == "Measured")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inner, outer = page.locator("#heat-over").bounding_box(), page.locator("#stage").bounding_box()
    assert inner["x"] >= outer["x"]
    assert inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 0.5
    assert inner["height"] < 0.2 * outer["height"]  # the face stays in sight
