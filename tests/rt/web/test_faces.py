"""The panel of the 3D faces in a real headless Chromium: values go in, pixels change, and what is missing is said.

The face here is a sheet with a bump, so that nothing needs the face model: its left half moves with mouthSmileLeft and
belongs to channel 19 (zygomaticus left), its right half to channel 18.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from engines.emg.heat_scale import heat_scale
from engines.face.blendshapes import BLENDSHAPE_INDEX
from engines.face.face_bin import MOUTH, SKIN, FaceBin, encode_face
from rt import clock
from rt.errors import MissingDevice
from rt.message import Frontal, Motion, MotionState
from rt.web import frontal
from rt.web.protocol import Flags

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
LEFT, RIGHT = 19, 18
SMILE = BLENDSHAPE_INDEX["mouthSmileLeft"]


def sheet_face() -> bytes:
    """A sheet of 21 x 21 vertices, 16 cm wide and 20 high; one more triangle behind it that is no skin."""
    side = 21
    x, y = np.meshgrid(np.linspace(-8, 8, side), np.linspace(-10, 10, side), indexing="ij")
    points = np.stack([x, y, 4 * np.exp(-(x**2 + y**2) / 30)], -1).reshape(-1, 3)
    k = np.arange(side * side).reshape(side, side)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    skin = len(points)
    points = np.concatenate([points, [[-1, 0, -2], [1, 0, -2], [0, 1, -2]]])
    triangles = np.concatenate([triangles, [[skin, skin + 1, skin + 2]]])
    colours = np.full((len(points), 4), (220, 180, 160, SKIN), np.uint8)
    colours[skin:] = (80, 40, 40, MOUTH)
    moved = np.flatnonzero(points[:skin, 0] > 1)
    shapes = np.zeros((52, 3), np.float32)
    shapes[:, 0] = 1
    shapes[SMILE] = 1e-3, 0, len(moved)
    heat = np.zeros((skin, 22), np.uint8)
    heat[points[:skin, 0] > 1, LEFT] = 255
    heat[points[:skin, 0] < -1, RIGHT] = 255
    return encode_face(
        FaceBin(
            unit_cm=1e-3,
            full_percent=100.0,
            skin=skin,
            positions=np.rint(points * 1000).astype(np.int16),
            colours=colours,
            triangles=triangles.astype(np.uint16),
            eyes=np.zeros((0, 6), np.float32),
            shapes=shapes,
            moved=moved.astype(np.uint16),
            moves=np.tile(np.array([[6000, 0, 0]], np.int16), (len(moved), 1)),  # 6 cm to the left
            heat=heat,
            scale=heat_scale(),
        )
    )


FACE = sheet_face()


async def sheet() -> bytes:
    """What the server awaits."""
    return FACE


def until(happened: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
    return found


def with_values(left: float = np.nan, right: float = np.nan, smile: float = 0.0, **more: Any) -> Callable[[Any], Any]:
    """Packets with these %MVC, and the same expression from camera and muscles."""
    percent = np.full(22, np.nan, np.float32)
    percent[[LEFT, RIGHT]] = left, right
    shown = np.zeros(52, np.float32)
    shown[SMILE] = smile

    def change(packet: Any) -> Any:
        both = {"expression": shown, "expression_emg": shown, "t_expression": packet.t_emg}
        return replace(packet, **{"percent_mvc": percent, **both, "t_expression_emg": packet.t_emg, **more})

    return change


@pytest.fixture
def open_faces(serve, open_page, hello):
    """Open a page with the panel shown: open_faces(change, hello=..., face=...) gives (feed, page)."""

    def opened(change: Callable[[Any], Any], told: Any = hello, face: Any = sheet, **options: Any) -> Any:
        feed = serve(told, face=face)
        feed.change = change
        page = open_page(feed, **options)
        button = page.get_by_role("button", name="3D face")
        button.wait_for()
        if button.get_attribute("aria-pressed") == "false":
            button.click()
        page.locator("#faces").wait_for()
        return feed, page

    return opened


def picture(page: Any, name: str = "face-camera") -> np.ndarray:
    """(height, width, 3) RGB of a canvas as it is on the screen."""
    found = cv2.imdecode(np.frombuffer(page.locator(f"#{name}").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return found[..., ::-1].astype(int)


def colour_at(page: Any, x: float, y: float = 0.5, name: str = "face-camera") -> np.ndarray:
    """Mean RGB around a place, shares of the canvas's size."""
    seen = picture(page, name)
    row, column = int(y * seen.shape[0]), int(x * seen.shape[1])
    return seen[row - 3 : row + 4, column - 3 : column + 4].mean((0, 1))


def is_violet(colour: np.ndarray) -> bool:
    """The scale's end, whatever the light: dark, and blue rather than green."""
    return bool(colour.mean() < 110 and colour[2] > 1.15 * colour[1])


def is_clay(colour: np.ndarray) -> bool:
    """The scale's beginning: bright and nearly grey, red before blue."""
    return bool(colour.mean() > 130 and 0 < colour[0] - colour[2] < 60)


def test_the_heat_map_is_on_the_right_side_and_follows_the_mirror(open_faces):
    _, page = open_faces(with_values(left=110, right=0))
    until(lambda: is_violet(colour_at(page, 0.38)) and is_clay(colour_at(page, 0.62)))  # a mirror: left is left
    expect(page.locator("#heat-source")).to_have_text("Measured")
    until(lambda: page.inner_text("#heat-most") == "Most: Zygomaticus left")
    page.get_by_role("switch", name="Mirror view").press("Space")
    until(lambda: is_clay(colour_at(page, 0.38)) and is_violet(colour_at(page, 0.62)))
    expect(page.locator("#face-camera-box .map-side")).to_have_text(["R", "L"])
    page.get_by_role("switch", name="Heat map").press("Space")
    until(lambda: np.ptp(colour_at(page, 0.62)) > 35 and not is_violet(colour_at(page, 0.62)))  # skin
    expect(page.locator("#heat-legend")).to_be_hidden()


def test_both_faces_move(open_faces):
    feed, page = open_faces(with_values(left=0, right=0))
    ground = colour_at(page, 0.04, 0.5)
    until(lambda: np.abs(colour_at(page, 0.5) - ground).max() > 15)  # something is drawn
    before = {name: colour_at(page, 0.17, 0.5, name) for name in ("face-camera", "face-emg")}
    feed.change = with_values(left=0, right=0, smile=1.0)  # the left half reaches further to the left
    for name, colour in before.items():
        until(lambda name=name, colour=colour: np.abs(colour_at(page, 0.17, 0.5, name) - colour).max() > 15)
    expect(page.locator("#faces figcaption")).to_have_text(["From the camera", "From the muscles alone"])


def worn(smile: float) -> bytes:
    """What the page hears of a frontal face that smiles on the left."""
    even, shown = np.zeros(3, np.float32), np.zeros(52, np.float32)
    shown[SMILE] = smile
    said = Motion(clock.now(), MotionState.SHOWN, np.zeros(4, np.float32), 20.0, 0.0, even, even)
    return frontal.encode(Frontal(said, np.zeros(0, np.uint8), shown))


def test_an_avatar_wears_the_movement_without_its_heads_turn(serve, open_page, hello):
    feed = serve(replace(hello, frame_limit_ms=60000.0), face=sheet)
    page = open_page(feed)
    feed.server.publish_aside(worn(0))
    page.locator("#frontal").wait_for()
    page.click("#avatar")
    until(lambda: page.locator("#frontal-avatar").is_visible() and page.locator("#frontal-picture").is_hidden())
    ground = colour_at(page, 0.04, 0.5, "frontal-avatar")
    until(lambda: np.abs(colour_at(page, 0.5, 0.5, "frontal-avatar") - ground).max() > 15)
    before = colour_at(page, 0.14, 0.5, "frontal-avatar")
    feed.server.publish_aside(worn(1.0))
    until(lambda: np.abs(colour_at(page, 0.14, 0.5, "frontal-avatar") - before).max() > 15)
    page.click("#avatar")
    until(lambda: page.locator("#frontal-picture").is_visible() and page.locator("#frontal-avatar").is_hidden())


def test_old_expressions_are_greyed_and_say_so(open_faces):
    feed, page = open_faces(with_values(left=10, right=10))
    feed.change = lambda packet: replace(with_values(left=10, right=10)(packet), t_expression=packet.t_capture - 4)
    until(lambda: " s old" in page.inner_text("#face-camera-box") and " s old" not in page.inner_text("#face-emg-box"))
    until(lambda: page.locator("#face-camera").evaluate("node => getComputedStyle(node).filter") != "none")


def test_estimated_muscles_are_called_so(open_faces, hello):
    estimate = np.full(22, 20.0, np.float32)
    estimate[RIGHT] = 90
    change = with_values(
        estimate_percent=estimate, estimate_spread=estimate / 5, expression_emg=np.zeros(0, np.float32),
        flags=Flags.FRAME,
    )  # fmt: skip
    told = replace(hello, amplifier=False, estimated=True)
    _, page = open_faces(change, told)
    until(lambda: page.inner_text("#heat-source") == "Estimated from the picture, relative")
    expect(page.locator("#heat-legend")).to_have_attribute("data-source", "estimated")
    expect(page.locator("#heat-end")).to_have_text("100 %")
    until(lambda: page.inner_text("#heat-most") == "Most: Zygomaticus right")
    expect(page.locator("#face-emg-box")).to_be_hidden()
    until(lambda: picture(page).std() > 20)
    until(lambda: picture(page)[100:160, int(0.6 * picture(page).shape[1])].mean(1).std() > 4)  # hatched


def test_without_values_the_page_is_as_it_was(serve, open_page):
    feed = serve(face=sheet)
    nothing = {"percent_mvc": np.full(22, np.nan, np.float32)}
    feed.change = lambda packet: replace(packet, **nothing)
    page = open_page(feed)
    until(lambda: "not calibrated" in page.inner_text("#bars"))
    expect(page.locator("#show-faces")).to_be_hidden()
    expect(page.locator("#faces")).to_be_hidden()
    until(lambda: page.locator("main").first.get_attribute("class") in (None, "", "wide"))


def test_the_panel_opens_and_closes_and_is_remembered(open_faces):
    feed, page = open_faces(with_values(left=10, right=10))
    expect(page.locator(".envelopes")).to_be_hidden()
    page.get_by_role("button", name="3D face").press("Enter")
    page.locator("#faces").wait_for(state="hidden")
    expect(page.locator(".envelopes")).to_be_visible()
    page.get_by_role("button", name="3D face").press("Enter")
    page.locator("#faces").wait_for()
    page.goto(feed.server.url)
    page.locator("#faces").wait_for()


async def no_model() -> bytes:
    raise MissingDevice("There is no 3D face, as the model is not installed: get it.")


def test_why_there_is_no_face_is_one_sentence(open_faces):
    _, page = open_faces(with_values(left=10, right=10), face=no_model)
    until(lambda: page.inner_text("#faces-note") == "There is no 3D face, as the model is not installed: get it.")


def test_a_browser_without_webgl_is_told_so(open_faces, browser, monkeypatch):
    new_context = browser.new_context

    def without(**options: Any) -> Any:
        context = new_context(**options)
        context.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = "
            "function (kind, ...more) { return kind === 'webgl2' ? null : get.call(this, kind, ...more); };"
        )
        return context

    monkeypatch.setattr(browser, "new_context", without)
    _, page = open_faces(with_values(left=10, right=10))
    until(lambda: "WebGL 2 is switched off or missing" in page.inner_text("#faces-note"))


def test_graphics_that_were_lost_come_back(open_faces):
    _, page = open_faces(with_values(left=100, right=0))
    until(lambda: is_violet(colour_at(page, 0.38)))
    page.evaluate(
        """() => { const gl = document.getElementById("face-camera").getContext("webgl2");
        window.graphics = gl.getExtension("WEBGL_lose_context"); window.graphics.loseContext(); }"""
    )
    until(lambda: not is_violet(colour_at(page, 0.38)))
    page.evaluate("window.graphics.restoreContext()")
    until(lambda: is_violet(colour_at(page, 0.38)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_faces, scheme):
    _, page = open_faces(with_values(left=40, right=10), color_scheme=scheme, bypass_csp=True)
    until(lambda: page.inner_text("#heat-source") == "Measured")
    page.evaluate(AXE)
    found = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in page.evaluate(RULES)["violations"]]
    assert found == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1920, 1080)])
def test_it_fits_the_screen(open_faces, width, height):
    _, page = open_faces(with_values(left=40, right=10), viewport={"width": width, "height": height})
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= width
    if width >= 1280:
        assert size[1] <= height
    box = page.locator("#face-camera").bounding_box()
    assert box["width"] > 120
    assert box["height"] > 150
