"""`myomirror calibrate` in a real browser, the demo's person before the camera and under the electrodes of a made-up
amplifier: from the welcome to an own map and an own calibration of the muscles.
"""

import json

import pytest
from application import Application, station_file, until
from playwright.sync_api import expect

from engines.emg.montage import FRIDLUND
from engines.face.pixel_mesh import load_pixel_mesh
from engines.shipped import bundle_folder
from rt.person_files import EMG_CALIBRATION

pytestmark = [pytest.mark.integration, pytest.mark.browser]

LOOP_S = 120.0  # the person smiles twice in 54 s, and a busy machine may miss it once


def test_a_person_is_led_from_the_welcome_to_an_own_map(tmp_path, open_page):
    path = station_file(tmp_path, camera={"kind": "synthetic"}, emg={"kind": "synthetic"})
    with Application(tmp_path, "calibrate", path, "--subject", "P07", "--no-browser", "--countdown", "0.5") as session:
        page = open_page(session)
        expect(page.locator("#subject")).to_have_text("P07")
        until(lambda: "P07" in page.inner_text("#guide-privacy"), "the welcome")
        page.click("#guide-start")
        until(lambda: "Smile so that your teeth show" in page.inner_text("#guide-words"), "neutral is done", LOOP_S)
        until(lambda: page.locator("#guide-tiles canvas").count() == 4, "before and after", LOOP_S)
        own = tmp_path / "people" / "P07"
        assert not (own / "pixel-smile-open").exists()  # no map is kept before it is accepted
        review = page.inner_text("#guide")
        page.click("#guide-keep")
        until(lambda: "Fitted to you: Smile open" in page.inner_text("#guide"), "it is kept")
        until(lambda: "To practise" in page.inner_text("#stage"), "the own movement beside the person")
        page.click("#guide-finish")
        page.locator("#ended").wait_for(state="visible")
        code = session.process.wait(30)
    assert code == 0, session.output
    assert session.report["frames"]["closed"]
    # A person in a loop moves also where rest is measured: then it is said that nothing could be measured, and why
    muscles = own / EMG_CALIBRATION
    assert muscles.is_file() or "not calibrated" in review
    if muscles.is_file():
        assert muscles.stat().st_mode & 0o777 == 0o600
        found = json.loads(muscles.read_text())
        assert tuple(found["labels"]) == FRIDLUND.labels
        assert max(found["reference_uv"]) > 5  # a smile, microvolt
    own /= "pixel-smile-open"
    assert {each.stat().st_mode & 0o777 for each in own.iterdir()} == {0o600}
    manifest = json.loads((own / "manifest.json").read_text())
    assert manifest["training"]["synthetic"]
    assert manifest["metrics"]["psnr"]["value"] > manifest["metrics"]["psnr_population"]["value"]
    assert (load_pixel_mesh(own).way != load_pixel_mesh(bundle_folder("pixel-smile-open")).way).any()
    assert f"P07 has own maps in {own.parent}: pixel-smile-open" in session.output
