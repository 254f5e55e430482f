"""liblsl is configured once, before its first call, and its clock is ours."""

import subprocess
import sys
import uuid

import pytest

from rt import clock, lsl
from rt.errors import BadSettings


def test_the_clock_is_the_lsl_clock():
    pylsl = lsl.library()
    differences = []
    for _ in range(50):
        before = clock.now()
        theirs = pylsl.local_clock()
        differences.append(abs((before + clock.now()) / 2 - theirs))
    assert min(differences) < 1e-3


def test_one_process_has_one_configuration(monkeypatch):
    pylsl = lsl.library()
    assert lsl.library() is pylsl
    with pytest.raises(BadSettings, match="already set"):
        lsl.library("lan")
    monkeypatch.setenv(lsl.SESSION_VARIABLE, "another")
    with pytest.raises(BadSettings, match="another"):
        lsl.library()


def test_loopback_is_the_default_and_the_session_is_told():
    text = lsl.config_content("machine", "abc")
    assert "ResolveScope = machine" in text
    assert "ListenAddress = 127.0.0.1" in text
    assert "SessionID = abc" in text
    assert lsl.config_content("lan", "") == ""
    assert "127.0.0.1" not in lsl.config_content("lan", "abc")
    with pytest.raises(BadSettings, match="letters"):
        lsl.config_content("machine", "a\n[lab]")


def test_a_missing_library_is_a_sentence():
    code = (
        "import sys; sys.modules['pylsl'] = None\n"
        "from rt import lsl\n"
        "try: lsl.library()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("MissingDevice LabStreamingLayer is needed")
    assert "pip install pylsl" in said


def test_wanted_and_listed(lsl_id):
    pylsl = lsl.library()
    info = pylsl.StreamInfo("Amp", "EMG", 3, 100.0, "float32", lsl_id)
    assert lsl.Wanted(name="Amp").fits(info)
    assert lsl.Wanted(type="EMG", source_id=lsl_id).fits(info)
    assert not lsl.Wanted(name="Amp", source_id="x").fits(info)
    assert str(lsl.Wanted(type="EMG")) == "type 'EMG'"
    assert f"'Amp' (type 'EMG', 3 channels, 100 Hz, source_id '{lsl_id}')" in lsl.listed([info])
    assert lsl.listed([]) == "there is no LSL stream at all"


def test_descriptions_round_trip_through_an_outlet(lsl_id):
    pylsl = lsl.library()
    info = pylsl.StreamInfo("Amp", "EMG", 2, 100.0, "float32", lsl_id)
    assert lsl.channel_texts(info, "label") == []
    lsl.describe(info, ["F1", "F2"], "microvolts", chain="abc")
    assert lsl.channel_texts(info, "label") == ["F1", "F2"]
    assert lsl.channel_texts(info, "unit") == ["microvolts", "microvolts"]
    assert lsl.channel_texts(info, "type") == ["", ""]
    assert info.desc().child_value("chain") == "abc"


def test_a_watch_sees_streams_come_and_excludes_the_one_that_is_gone(lsl_id, until):
    pylsl = lsl.library()
    wanted = lsl.Wanted(source_id=lsl_id)
    watch = lsl.Watch(pylsl)
    assert watch.fitting(wanted) == []
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("Amp", "EMG", 2, 100.0, "float32", lsl_id))
    until(lambda: watch.fitting(wanted))
    uid = watch.fitting(wanted)[0].uid()
    assert watch.fitting(wanted, {uid}) == []
    assert watch.fitting(lsl.Wanted(source_id=str(uuid.uuid4()))) == []
    del outlet


@pytest.mark.parametrize(
    ("unit", "microvolts"),
    [
        ("microvolts", 1.0),
        ("MicroVolt", 1.0),
        ("uV", 1.0),
        ("\u00b5V", 1.0),
        ("\u03bcV", 1.0),
        ("-6", 1.0),
        ("mV", 1e3),
        ("millivolts", 1e3),
        ("V", 1e6),
        ("volts", 1e6),
        ("nV", 1e-3),
        ("MV", None),
        ("counts", None),
        ("0", None),
        ("", None),
    ],
)
def test_units(unit, microvolts):
    assert lsl.microvolts_per(unit) == microvolts
