"""Networks between expression and muscle in a whole session: seen, kept as what they are, and missed by nobody else.

The bundles' answers can be worked out (tests/rt/nodes/known_networks.py): muscles are the face's brightness.
"""

import re
import signal
import time

import numpy as np
import pytest
from application import Application, recordings, run, station_file, until
from playwright.sync_api import expect

from rt.board import State
from rt.graphs.demo import demo_calibration
from rt.recording.xdf_reader import read_xdf

pytestmark = [pytest.mark.integration]

BACK_S = 60.0  # on a busy machine
GROUP = "estimate"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    from known_networks import write_known_emg2exp, write_known_encoder, write_known_exp2emg

    folder = tmp_path_factory.mktemp("bundles")
    encoder = write_known_encoder(folder / "encoder")
    exp2emg, emg2exp = write_known_exp2emg(folder / "exp2emg"), write_known_emg2exp(folder / "emg2exp")
    return {
        "expression": {"bundle": str(encoder), "precision": "fp32"},
        "estimate": {"exp2emg": str(exp2emg), "emg2exp": str(emg2exp)},
    }


def live(folder, networks, *options, **sections):
    path = station_file(folder, camera={"kind": "synthetic"}, **networks, **sections)
    return Application(folder, "live", path, *options)


def test_everything_is_kept_as_what_it_is_and_a_death_takes_nothing_along(tmp_path, networks):
    consent = {"emg": True, "video": True}
    kept = {"enabled": True, "folder": str(tmp_path / "recordings"), "consent": consent, "hold_video_s": 30}
    envelope = {"calibration": str(demo_calibration())}
    emg = {"kind": "synthetic"}
    with live(tmp_path, networks, "--headless", emg=emg, recording=kept, envelope=envelope) as session:
        session.wait_until_running(shown=5, limit_s=2 * BACK_S)
        edges = ("exp2emg.estimate->recorder.estimate", "emg2exp.expression->recorder.expression")
        until(lambda: min(map(session.count, edges)) > 10, lambda: session.output, BACK_S)
        pid, shown = session.strike(GROUP, signal.SIGKILL), session.shown
        until(lambda: session.shown > shown + 5, "pictures go on", BACK_S)
        until(lambda: session.replaced(GROUP, pid), "another process", BACK_S)
        before = session.count(edges[0])
        until(lambda: session.count(edges[0]) > before + 10, "estimates again", BACK_S)
        session.stop(limit_s=BACK_S)  # whether a busy disk loses pictures is test_endings.py's matter
    report = session.report
    assert report["frames"]["closed"]
    assert report["restarts"] == {name: 1 for name in ("expression", "exp2emg", "emg2exp")}
    assert {"expression", "exp2emg", "emg2exp"} <= report["engines"].keys()
    (recording,) = recordings(tmp_path / "recordings")
    found, _ = read_xdf(recording / "signals.xdf")
    streams = {stream.spec.name: stream for stream in found}
    _as_worked_out(streams)


def _as_worked_out(streams):
    face, guess = streams["expression_camera"], streams["estimated_muscles"]
    brightness = face.values[:, 0]
    assert ((brightness > 0.05) & (brightness < 0.95)).all()
    np.testing.assert_allclose(face.values, np.broadcast_to(brightness[:, None], face.values.shape), atol=1e-5)
    _, ours, theirs = np.intersect1d(guess.stamps, face.stamps, return_indices=True)
    assert len(ours) > 10
    np.testing.assert_allclose(guess.values[ours, 0], 100 * brightness[theirs], rtol=1e-4)
    np.testing.assert_allclose(guess.values[:, 22:], 10.0, rtol=1e-4)
    assert np.isin(guess.stamps, streams["expression"].stamps).all()  # of the very pictures
    measured = streams["muscles"].values[:, :22]  # every guess is one number for all channels, no measurement is
    active = np.nan_to_num(measured).max(1) > 5  # not before the first values, and not at rest
    assert active.any()
    assert (np.nanstd(measured[active], axis=1) > 0.1).all()
    assert (streams["emg"].values.shape[1], streams["emg"].spec.rate_hz) == (22, 4096)
    driven = streams["expression_emg"].values
    assert (driven >= 0).all()
    assert np.ptp(driven[:, 0]) > 0  # muscles move


@pytest.mark.browser
def test_without_an_amplifier_and_when_the_network_is_gone_for_good(tmp_path, networks, open_page):
    limits = {"frame_ms": 5000.0}
    with live(tmp_path, networks, "--no-browser", emg={"kind": "none"}, limits=limits) as session:
        page = open_page(session)
        until(lambda: re.search(r"≈ \d+ ± 10 %", page.inner_text("#bars")), lambda: page.inner_text("main"), BACK_S)
        expect(page.locator("#bars-key")).to_contain_text("estimated from the picture, relative", use_inner_text=True)
        until(lambda: "encoder, muscles by exp2emg" in page.inner_text("#estimator"), "what estimates", BACK_S)
        t_limit = time.monotonic() + 3 * BACK_S
        while session.state(GROUP) != State.DEGRADED and time.monotonic() < t_limit:
            process = session.workers().get(GROUP)
            if process is not None:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.05)
        shown = session.shown
        until(lambda: "Estimate is" in page.inner_text("#guess-stale"), "that it is old", BACK_S)
        until(lambda: "≈" not in page.inner_text("#bars"), "no number that is not live", BACK_S)
        until(lambda: session.shown > shown + 5, "pictures go on", BACK_S)
        expect(page.locator("#stages")).to_contain_text("exp2emg: failed")
        assert session.stop() == 0, session.output
    assert session.report["frames"]["closed"]


def test_a_bundle_that_does_not_fit_is_exit_code_2_and_one_sentence(tmp_path, networks):
    exp2emg, emg2exp = networks["estimate"]["exp2emg"], networks["estimate"]["emg2exp"]
    for sections, sentence in (
        ({"estimate": {"exp2emg": emg2exp}}, "muscles cannot be estimated: .* goes from muscles to expression"),
        ({"estimate": {"exp2emg": exp2emg}, "envelope": {"preset": "calm"}}, "was made with EMG chain"),
        ({"expression": {"bundle": "restore-cpu"}}, "expressions cannot be read: .* is for mc_cyclegan"),
    ):
        path = station_file(tmp_path, camera={"kind": "synthetic"}, emg={"kind": "none"}, **sections)
        found = run("live", path, "--headless", "--seconds", "1")
        assert found.returncode == 2, found.stderr
        assert re.fullmatch(f"myomirror: .*{sentence}.*\n", found.stderr), found.stderr
