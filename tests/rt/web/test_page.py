"""The page in a real headless Chromium, fed over the real server."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from rt.web.protocol import Flags, Wish

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
FOCUS = """() => {
    const node = document.activeElement, shown = (found) => found && getComputedStyle(found).outlineStyle !== "none";
    const visible = node === document.body || shown(node) || shown(node.nextElementSibling);
    return [node.id || node.name || node.tagName, visible];
}"""  # what has the focus, and whether that can be seen (radios and switches show it on what stands beside them)
OUTSIDE = """() => [...document.querySelectorAll("#session button, #session b, #session output")]
    .filter((node) => node.checkVisibility())
    .filter((node) => { const box = node.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; })
    .map((node) => node.id || node.textContent)"""  # what is cut off at the sides
RULES = "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
DESKTOP = {"width": 1280, "height": 800}


def until(happened: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return found


def corner_colours(page: Any) -> tuple[str, str]:
    """'red' or 'blue' in the left and the right quarter of the canvas."""
    pixels = page.evaluate(
        """() => { const c = document.getElementById("picture"), x = c.getContext("2d");
        return [c.width / 4, 3 * c.width / 4].map((at) => [...x.getImageData(at, c.height / 2, 1, 1).data]); }"""
    )
    left, right = ("red" if p[0] > 150 > p[2] else "blue" if p[2] > 150 > p[0] else "?" for p in pixels)
    return left, right


def scale_of(page: Any, name: str) -> float:
    """How far a bar is filled, 0..1."""
    transform = page.locator(f'[aria-label="{name}"] .bar-fill').evaluate("node => node.style.transform")
    return float(transform[len("scaleX(") : -1] or 0)


def with_values(**changed: Any) -> Callable[[Any], Any]:
    return lambda packet: replace(packet, **changed)


def test_frames_are_drawn_and_acknowledged(serve, open_page):
    feed = serve()
    open_page(feed)
    until(lambda: sum(o.reason == "" for o in list(feed.outcomes)) > 10)
    drawn = [o for o in list(feed.outcomes) if o.reason == ""]
    assert all(o.draw_ms > 0 for o in drawn)


def test_mirror_switch_really_flips_the_pixels_and_every_side_label(serve, open_page):
    feed = serve()
    page = open_page(feed)
    until(lambda: corner_colours(page) == ("blue", "red"))  # the JPEG is red on its left: shown as a mirror
    sides = ["#side-left", "#bars-left", "#ends-left", "#side-right", "#bars-right", "#ends-right"]
    words = ["Left", "Left", "Left stronger", "Right", "Right", "Right stronger"]
    until(lambda: [page.inner_text(side) for side in sides] == words)
    first_bar = page.locator(".bar-row").first.locator(".bar")
    until(
        lambda: (
            [bar.get_attribute("aria-label") for bar in first_bar.all()] == ["Zygomaticus left", "Zygomaticus right"]
        )
    )
    page.get_by_role("switch", name="Mirror view").press("Space")
    until(lambda: corner_colours(page) == ("red", "blue"))
    until(lambda: [page.inner_text(side) for side in sides] == words[3:] + words[:3])
    until(
        lambda: (
            [bar.get_attribute("aria-label") for bar in first_bar.all()] == ["Zygomaticus right", "Zygomaticus left"]
        )
    )


def test_bars_follow_the_values(serve, open_page):
    feed = serve()
    percent = np.full(22, 30.0, np.float32)
    percent[18], percent[19] = 60.0, 12.0  # zygomaticus right, left
    feed.change = with_values(percent_mvc=percent)
    page = open_page(feed)
    until(lambda: scale_of(page, "Zygomaticus right") == pytest.approx(60 / 120, abs=0.01))
    until(lambda: scale_of(page, "Zygomaticus left") == pytest.approx(12 / 120, abs=0.01))
    row = page.locator(".bar-row").first
    until(lambda: "60 %" in row.inner_text() and "in zone" in row.inner_text())
    percent = percent.copy()
    percent[18] = 95.0
    feed.change = with_values(percent_mvc=percent)
    until(lambda: "above limit" in row.inner_text())
    meter = page.get_by_role("meter", name="Zygomaticus right", exact=True)
    until(lambda: meter.get_attribute("aria-valuenow") == "95")


def test_what_cannot_be_said_is_said_in_words(serve, open_page):
    feed = serve()
    contact = np.full(22, 3, np.uint8)
    contact[19] = 0
    nothing = {"percent_mvc": np.full(22, np.nan, np.float32), "asymmetry": np.full(11, np.nan, np.float32)}
    feed.change = with_values(contact=contact, **nothing)
    page = open_page(feed)
    until(lambda: "not calibrated" in page.inner_text("#bars") and "µV" in page.inner_text("#bars"))
    until(lambda: page.inner_text("#symmetry").count("not assessable") == 4)
    expect(page.locator("#contact-summary")).to_contain_text("Off: Zygomaticus left (F20)")
    page.get_by_role("button", name="List").click()
    row = page.locator("#contact-rows tr", has_text="F20")
    until(lambda: row.inner_text().split() == ["F20", "Zygomaticus", "left", "off"])


def test_signed_asymmetry_in_the_persons_own_sides(serve, open_page):
    feed = serve()
    asymmetry = np.zeros(11, np.float32)
    asymmetry[9], asymmetry[8] = 42.0, -17.0
    feed.change = with_values(asymmetry=asymmetry)
    page = open_page(feed)
    until(lambda: "+42 R" in page.inner_text("#symmetry") and "\u221217 L" in page.inner_text("#symmetry"))
    gauge = page.get_by_role("meter", name="Asymmetry Zygomaticus")
    expect(gauge).to_have_attribute("data-state", "notable")
    until(lambda: gauge.locator(".gauge-mark").evaluate("node => node.style.transform") == "translateX(21%)")


def test_stale_picture_and_stale_emg_are_greyed_and_say_how_old(serve, open_page, hello):
    feed = serve(replace(hello, removals=()))
    page = open_page(feed)
    t_last = []

    def no_new_data(packet: Any) -> Any:
        t_last.append(packet.t_emg)
        return replace(packet, flags=Flags.EMG, jpeg=b"", t_capture=float("nan"), t_emg=t_last[0])

    feed.change = no_new_data
    until(lambda: page.inner_text("#stale").startswith("Picture is 1."))
    until(lambda: page.inner_text("#emg-stale").startswith("EMG is "))
    until(lambda: "grayscale" in page.locator("#picture").evaluate("node => getComputedStyle(node).filter"))
    expect(page.locator("#bars")).not_to_contain_text("%", use_inner_text=True)
    feed.change = lambda packet: packet
    page.locator("#stale").wait_for(state="hidden")
    page.locator("#emg-stale").wait_for(state="hidden")


def test_server_that_only_says_nothing_is_seen_too(serve, open_page):
    feed = serve()
    page = open_page(feed)
    feed.stop()  # the server lives, the connection is open, nothing comes
    page.get_by_text("Connection lost").first.wait_for()
    feed.start()
    page.locator("#lost").wait_for(state="hidden")


def test_page_comes_back_after_the_server_was_restarted_on_its_port(serve, open_page):
    feed = serve()
    page = open_page(feed)
    feed.stop()
    feed.server.stop()
    page.locator("#lost").wait_for()
    again = serve(port=feed.server.port, token=feed.server.token)
    page.locator("#lost").wait_for(state="hidden")
    until(lambda: sum(o.reason == "" for o in again.outcomes) > 3)
    expect(page.locator("#start")).to_be_hidden()


def test_reload_works_and_the_address_holds_no_token(serve, open_page):
    feed = serve()
    page = open_page(feed)
    page.get_by_role("switch", name="Mirror view").press("Space")
    assert page.url == f"http://127.0.0.1:{feed.server.port}/"
    page.reload()
    page.locator("#waiting").wait_for(state="hidden")
    until(lambda: corner_colours(page) == ("red", "blue"))
    assert page.url == f"http://127.0.0.1:{feed.server.port}/"


def test_without_the_token_there_is_only_a_sentence(serve, browser):
    feed = serve()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{feed.server.port}/")
    expect(page.locator("h1")).to_contain_text("lacks its key")
    expect(page.locator("canvas")).to_have_count(0)
    assert feed.server.viewers == 0
    context.close()


@pytest.mark.parametrize("how", ["click", "keys"])
def test_stop_is_sent_and_the_page_says_what_was(serve, open_page, how):
    feed = serve()
    page = open_page(feed)
    page.get_by_text("29.9").first.wait_for()
    if how == "click":
        page.get_by_role("button", name="Stop").click()
    else:
        page.get_by_role("button", name="Muscles…").click()  # also from within a dialog
        page.keyboard.press("Alt+s")
    page.get_by_role("heading", name="Stopping").wait_for()
    until(lambda: list(feed.wishes) == [Wish("stop", None)])
    feed.server.end({"rows": {"Saved": "yes"}})
    page.get_by_role("heading", name="Session stopped").wait_for()
    expect(page.locator("#ended-facts")).to_contain_text("1204", use_inner_text=True)
    expect(page.locator("#ended-facts")).to_contain_text("Saved", use_inner_text=True)


def test_a_session_that_closes_the_line_after_stop_has_stopped(serve, open_page):
    feed = serve()
    page = open_page(feed)
    page.keyboard.press("Alt+s")
    until(lambda: feed.wishes)
    feed.stop()
    feed.server.stop()
    page.get_by_role("heading", name="Session stopped").wait_for()


def test_session_that_ends_by_itself_says_so(serve, open_page):
    feed = serve()
    page = open_page(feed)
    feed.server.end({"rows": {}})
    page.get_by_role("heading", name="Session ended").wait_for()


def test_controls_follow_the_session(serve, open_page):
    feed = serve()
    feed.status = replace(feed.status, view="practise", amount=0.25)
    page = open_page(feed)
    until(lambda: page.get_by_label("Practise").is_checked())
    expect(page.locator("#amount-text")).to_have_text("25 %")


def test_the_electrodes_switch_follows_the_session_and_sends_wishes(serve, open_page):
    feed = serve()
    feed.change = lambda packet: replace(packet, flags=packet.flags | Flags.RESTORED)
    page = open_page(feed)
    switch = page.get_by_role("group", name="Electrodes in the picture")
    until(lambda: switch.get_by_label("Restored").is_checked())
    expect(page.locator("footer")).to_contain_text("restore-cpu (openvino, bf16)")
    switch.get_by_label("Restored").focus()
    page.keyboard.press("ArrowRight")  # as in any group of radio buttons
    expect(switch.get_by_label("Edit mask")).to_be_checked()
    until(lambda: page.evaluate(FOCUS)[1])
    until(lambda: list(feed.wishes) == [Wish("restore", "edit")])
    expect(page.locator("#edit")).to_be_hidden()
    feed.change = lambda packet: replace(packet, flags=packet.flags | Flags.EDIT)
    page.locator("#edit").wait_for(state="visible")
    switch.get_by_label("Raw").check()
    until(lambda: feed.wishes[-1] == Wish("restore", "raw"))


def test_without_removal_there_is_no_such_switch(serve, open_page, hello):
    expect(open_page(serve(replace(hello, removals=()))).locator("#removals")).to_be_hidden()


@pytest.mark.parametrize(("hidden", "said"), [(False, "Last good picture, "), (True, "No picture for ")])
def test_a_picture_that_is_held_says_so_and_why(serve, open_page, hello, hidden, said):
    """Pictures come, but there is no face to take electrodes from: packets of values only, which say that."""
    feed = serve(replace(hello, hide_when_stale=hidden))
    page = open_page(feed)
    until(lambda: page.locator("#waiting").is_hidden())
    flags = Flags.EMG | Flags.STALE_FRAME | Flags.NO_FACE
    feed.change = lambda packet: replace(packet, flags=flags, jpeg=b"", t_capture=math.nan)
    page.locator("#stale", has_text=f"No face found. {said}").wait_for()
    seen = "hidden" if hidden else "visible"
    visibility = "s => getComputedStyle(s.querySelector('canvas')).visibility"
    until(lambda: page.locator("#stage").evaluate(visibility) == seen)


def test_stop_pressed_without_a_connection_is_delivered_later(serve, open_page):
    feed = serve()
    page = open_page(feed)
    feed.stop()
    feed.server.stop()
    page.locator("#lost").wait_for()
    page.keyboard.press("Alt+s")
    expect(page.locator("#ended-text")).to_contain_text("cannot be reached")
    again = serve(port=feed.server.port, token=feed.server.token)
    until(lambda: list(again.wishes) == [Wish("stop", None)])


def test_buttons_send_their_wishes(serve, open_page):
    feed = serve()
    feed.status = replace(feed.status, recording="off")
    page = open_page(feed)
    until(lambda: page.inner_text("#record") == "Record")
    page.click("#record")
    page.keyboard.press("Alt+m")
    page.get_by_label("Practise").check()
    page.locator("#amount").fill("35")
    page.click("#calibrate")
    page.click("#calibrate-rest")
    page.click("#calibrate")
    page.click("#calibrate-reference")
    until(lambda: len(feed.wishes) == 6)
    assert set(feed.wishes) == {
        Wish("record", True), Wish("marker", "marker"), Wish("view", "practise"), Wish("amount", 0.35),
        Wish("calibrate_rest", None), Wish("calibrate_reference", None),
    }  # fmt: skip


def test_a_movement_is_chosen_with_its_side(serve, open_page):
    feed = serve()
    feed.status = replace(feed.status, target="pixel-smile-open")
    page = open_page(feed)
    expect(page.locator("#practise-box")).to_be_hidden()
    page.get_by_label("Practise", exact=True).check()
    page.locator("#movement").select_option("Snarl")
    page.get_by_role("group", name="Side of the face that moves").get_by_label("Left").check()
    until(lambda: len(feed.wishes) == 3)
    assert list(feed.wishes) == [Wish("view", "practise"), Wish("target", "pixel-snarl"), Wish("side", "left")]


def test_a_stations_own_movement_can_be_seen_in_the_list(serve, open_page):
    feed = serve()
    feed.status = replace(feed.status, view="practise", target="my-smile", side="right")
    page = open_page(feed)
    until(lambda: page.locator("#movement").input_value() == "my-smile")
    expect(page.get_by_role("group", name="Side of the face that moves").get_by_label("Right")).to_be_checked()


def test_the_halves_are_named_where_own_face_and_movement_stand_side_by_side(serve, open_page):
    feed = serve()
    feed.status = replace(feed.status, view="beside")
    feed.change = lambda packet: replace(packet, flags=packet.flags | Flags.PRACTISE)
    page = open_page(feed)
    until(lambda: page.inner_text("#side-left") == "To practise")
    expect(page.locator("#side-right")).to_have_text("You")  # as a mirror: the camera's left half is on the right
    page.get_by_label("Mirror view").uncheck()
    until(lambda: page.inner_text("#side-left") == "You")
    feed.change = lambda packet: replace(packet, flags=packet.flags & ~Flags.PRACTISE)
    until(lambda: page.inner_text("#side-left") == "Right")


def test_second_page_watches_and_can_take_over(serve, open_page):
    feed = serve()
    first = open_page(feed)
    second = open_page(feed)
    second.get_by_text("Another page controls").wait_for()
    until(lambda: second.locator("#record").is_disabled())
    until(lambda: second.get_by_role("button", name="Stop").is_enabled())
    second.get_by_role("button", name="Take control").click()
    first.get_by_text("Another page controls").wait_for()
    until(lambda: second.locator("#record").is_enabled())


def test_damaged_picture_is_counted_and_the_page_goes_on(serve, open_page):
    feed = serve()
    page = open_page(feed)
    good = feed.picture(0)
    feed.picture = lambda n: good[:300] if n % 2 else good
    until(lambda: sum(o.reason == "viewer_busy" for o in list(feed.outcomes)) > 5)
    settled = len(feed.outcomes)
    until(lambda: sum(o.reason == "" for o in list(feed.outcomes)[settled:]) > 5)
    until(lambda: corner_colours(page) == ("blue", "red"))


def test_names_are_text_and_never_markup(serve, open_page):
    feed = serve()
    evil = "<img src=x onerror=document.title='gotcha'>"
    feed.server.set_hello(replace(feed.hello, subject=evil, synthetic=evil, safety=evil))
    page = open_page(feed)
    expect(page.locator("#subject")).to_have_text(evil)
    assert page.title() == "MyoMirror"


def test_nothing_leaves_this_machine(serve, open_page, browser):
    feed = serve()
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    asked, sockets = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda found: sockets.append(found.url))
    page.goto(feed.server.url)
    page.click("#begin")
    until(lambda: sum(o.reason == "" for o in list(feed.outcomes)) > 5)
    origin = f"127.0.0.1:{feed.server.port}/"
    assert len(asked) > 10
    assert all(url.startswith((f"http://{origin}", f"blob:http://{origin}")) for url in asked)
    assert all(url.startswith(f"ws://{origin}") for url in sockets)
    context.close()


# ---- for everybody


def test_all_can_be_done_with_the_keyboard(serve, open_page):
    feed = serve()
    page = open_page(feed, begin=False)
    page.locator("#begin").wait_for()
    page.keyboard.press("Enter")
    page.locator("#start").wait_for(state="hidden")
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        seen.append(found[0])
        assert found[1], f"focus on {found[0]} cannot be seen"
        if found[0] == "BODY":
            break
    for wanted in (
        "stop",
        "restore",
        "view",
        "mirrored",
        "record",
        "marker",
        "calibrate",
        "target",
        "choose",
        "list-contacts",
    ):
        assert wanted in seen
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    page.locator("#chooser").wait_for()
    page.get_by_label("Show Masseter").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.locator("#chooser").wait_for(state="hidden")
    until(lambda: page.evaluate("document.activeElement.id") == "choose")
    expect(page.locator(".bar-row")).to_have_count(5)
    assert list(feed.wishes) == []  # Escape does not stop the session


def test_one_muscle_is_trained_and_one_kept_low(serve, open_page):
    page = open_page(serve())
    page.click("#choose")
    page.get_by_label("Train Mentalis").check()
    expect(page.get_by_label("Show Mentalis")).to_be_checked()
    expect(page.get_by_label("Train Zygomaticus")).not_to_be_checked()
    page.get_by_label("Keep low Mentalis").check()
    expect(page.get_by_label("Train Mentalis")).not_to_be_checked()
    expect(page.get_by_label("Keep low Orbicularis oculi")).not_to_be_checked()
    page.get_by_label("Show Mentalis").uncheck()
    expect(page.get_by_label("Keep low Mentalis")).not_to_be_checked()


def axe(page: Any) -> list[Any]:
    """What the accessibility checker has to say about the page as it is now."""
    return [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in page.evaluate(RULES)["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(serve, open_page, scheme):
    feed = serve()
    feed.status = replace(feed.status, alarms=("The camera has vanished.",), calibration="Relax your face.")
    page = open_page(feed, begin=False, color_scheme=scheme, bypass_csp=True)
    page.get_by_text("The camera has vanished.").wait_for()
    page.evaluate(AXE)
    found = {"start": axe(page)}
    page.click("#begin")
    found["live"] = axe(page)
    for button in ("#choose", "#list-contacts", "#calibrate"):
        page.click(button)
        found[button] = axe(page)
        page.keyboard.press("Escape")
    feed.stop()
    feed.server.stop()
    page.locator("#lost").wait_for()
    found["lost"] = axe(page)
    page.keyboard.press("Alt+s")
    page.get_by_role("heading", name="Not stopped yet").wait_for()
    found["ended"] = axe(page)
    assert {view: broken for view, broken in found.items() if broken} == {}


@pytest.mark.parametrize(("width", "height"), [(390, 844), (800, 1000), (1280, 800), (1920, 1080)])
def test_it_fits_the_screen(serve, open_page, width, height):
    page = open_page(serve(), viewport={"width": width, "height": height})
    page.get_by_text("29.9").first.wait_for()
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= width
    if width >= 1280:
        assert size[1] <= height
    outside = page.evaluate(OUTSIDE)
    assert outside == []
    stop = page.locator("#stop").bounding_box()
    assert stop["height"] >= 40
    assert stop["y"] + stop["height"] <= height
