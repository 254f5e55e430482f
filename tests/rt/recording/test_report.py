import re
import stat
from html.parser import HTMLParser

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from rt.errors import BadRecording
from rt.message import Chunk, Estimate, Frame, Motion, MotionState
from rt.recording.report import write_report
from rt.recording.report_curves import draw_asymmetry, read_curves
from rt.recording.session_folder import SessionFolder
from rt.sinks.recorder import RecorderSettings, RecorderSink
from rt.stage import Context

RATE = 256.0
LATENCY = {"p50": 40.0, "p95": 61.4, "p99": 80.0, "max": None}


@pytest.fixture
def folder(tmp_path):
    """20 s at 256 Hz: one spike of a single sample, 5 s missing, hostile texts."""
    folder = SessionFolder.create(tmp_path / "data", "P01", ("emg", "video"), synthetic=True)
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    for step in range(20):
        data = np.full((256, 22), 3.0, np.float32)
        if step == 4:
            data[100, 19] = 180.0  # F20, zygomaticus left
        t0, gap_s = 50.0 + step + (5 if step >= 10 else 0), 5.0 if step == 10 else 0.0
        node.process("envelope", Chunk(data, RATE, t0, step * 256, "envelope", gap_s, "chain1"))
        node.process("frame", Frame(step, t0, "host", np.zeros((48, 64, 3), np.uint8)))
    text = '</td><script>alert("x")</script><img src=http://example.org/a.png>'
    node.command("event", {"t": 60.0, "kind": "ALARM", "node": "vision", "text": text, "data": {}})
    node.finish()
    node.close()
    report = {"latency_ms": {"photon_to_pixel": LATENCY, "muscle_to_pixel": LATENCY, "end": "drawn", "stages": {}}}
    ledger = {"captured": 20, "shown": 18, "dropped": {"superseded": 2}, "closed": True}
    folder.close(ledger=ledger, report=report)
    return folder


class Page(HTMLParser):
    """Tags and attributes of a page; complains about tags that are not closed in order."""

    VOID = ("meta", "br", "path", "rect")

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(folder, tmp_path):
    return write_report(folder.path, tmp_path / "report.html").read_text()


def test_page_needs_nothing_else_and_escapes_everything(folder, tmp_path):
    text = page(folder, tmp_path)
    found = Page(text)
    assert found.addresses == []
    assert not {"script", "img", "link", "iframe", "object"} & set(found.tags)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert "&lt;script&gt;" in text


def test_page_says_what_matters(folder, tmp_path):
    text = page(folder, tmp_path)
    for words in (
        "Research software, not a medical device",
        "synthetic: not a real person",
        "61 ms",
        "closed: every frame is accounted for",
        "Every file agrees with the manifest",
        "superseded",
        "25.0 s",
        "5.000 s are missing",
    ):
        assert words in text
    assert Page(text).tags.count("figure") == 11  # one chart per muscle, right and left together


def test_curves_keep_the_shortest_peak_and_leave_the_gap_open(folder):
    curves = read_curves(folder.signals)
    column = curves.layout.labels.index("F20")
    assert np.nanmax(curves.values[:, column]) == 180.0
    assert np.nanmax(np.delete(curves.values, column, 1)) == 3.0
    seconds = (np.arange(len(curves.values)) + 0.5) / len(curves.values) * curves.axis.seconds
    empty = seconds[np.isnan(curves.values[:, 0])]
    assert curves.axis.seconds == 25.0
    assert (empty.min(), empty.max()) == pytest.approx((10.0, 15.0), abs=0.06)
    assert len(empty) == 120


@pytest.fixture
def said(tmp_path):
    """20 s of pictures: muscles guessed 10 times a second, the mouth's symmetry read in the first half only."""
    folder = SessionFolder.create(tmp_path / "data", "P01", ("emg", "video"), synthetic=True)
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    labels = FRIDLUND.labels
    for step in range(20):
        node.process("envelope", Chunk(np.full((256, 22), 3.0, np.float32), RATE, 50.0 + step, step * 256, "envelope"))
    for step in range(200):
        t, nan = 50.0 + step / 10, np.float32(np.nan)
        percent = np.full(22, 20.0, np.float32)
        percent[labels.index("F20")] = 90.0 if step == 50 else 20.0
        node.process("estimate", Estimate(t, percent, np.full(22, 5.0, np.float32), step))
        asymmetry = np.array([nan, -100 / 3, 40.0 if step < 100 else nan], np.float32)
        pose = np.zeros(4, np.float32)
        node.process("motion", Motion(t, MotionState.SHOWN, pose, 20.0, 0.0, asymmetry, np.ones(3, np.float32), step))
    node.finish()
    node.close()
    folder.close(ledger={}, report={})
    return folder


def test_guesses_and_asymmetry_stand_apart_from_what_was_measured(said, tmp_path):
    text = page(said, tmp_path)
    found = Page(text)
    assert "Guessed by a network from the picture; relative, and never measured." in text
    assert found.tags.count("figure") == 11 + 3 + 11
    assert "Mouth: from the picture from 40 to 40 points" in text
    assert "Brows: no data" in text
    assert "zygomaticus: right up to 20 per cent, left up to 90 per cent" in text


def test_what_was_said_last_holds_until_the_next_picture_and_no_longer(said):
    curves = read_curves(said.signals)
    svg = draw_asymmetry(said.signals, curves)
    [mouth] = re.findall(r'Mouth</figcaption>.*?<path class="picture" d="([^"]*)"', svg)
    assert mouth.count("M") == 1  # one stroke, though only every third bin has a picture
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", mouth)]
    middle = 44 + (560 - 44 - 6) / 2
    assert places[-1] == pytest.approx(middle, abs=3)
    assert len(places) > 290


def test_without_guesses_nothing_is_said_of_them(folder, tmp_path):
    text = page(folder, tmp_path)
    assert "Estimated muscles" not in text
    assert "Asymmetry" not in text


def test_report_in_the_folder_leaves_the_manifest_valid_and_is_private(folder):
    out = write_report(folder.path, folder.path / "report.html")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert folder.verify() == []
    write_report(folder.path, out)  # again


def test_an_unfinished_session_without_anything_still_gets_a_page(tmp_path):
    folder = SessionFolder.create(tmp_path / "data", "P01", ())
    node = RecorderSink(RecorderSettings(), Context("recorder", folder.path))
    node.open()
    node.finish()
    text = page(folder, tmp_path)
    Page(text)
    assert "not closed: run repair" in text
    assert "left no latencies" in text


def test_nothing_to_report_is_one_sentence(tmp_path):
    with pytest.raises(BadRecording, match="no folder"):
        write_report(tmp_path / "nowhere", tmp_path / "r.html")
    folder = SessionFolder.create(tmp_path / "data", "P01", ())
    with pytest.raises(BadRecording, match="nothing to report"):
        write_report(folder.path, tmp_path / "r.html")


@pytest.mark.browser
def test_page_draws_in_a_browser_without_a_complaint(folder, tmp_path, browser):
    page(folder, tmp_path)
    view = browser.new_page(viewport={"width": 420, "height": 800})
    complaints, requests = [], []
    view.on("console", lambda message: complaints.append(message.text))
    view.on("request", lambda request: requests.append(request.url))
    view.goto((tmp_path / "report.html").as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= 420
    drawn = view.evaluate("[...document.querySelectorAll('figure path.left')].map(p => p.getBBox().width)")
    assert len(drawn) == 11
    assert min(drawn) > 400
    view.close()
    assert complaints == []
    assert [re.sub(r".*/", "", url) for url in requests] == ["report.html"]
