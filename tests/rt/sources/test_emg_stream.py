"""What a stream says of itself becomes the montage, by name, or is refused with what was found."""

import numpy as np
import pytest

from engines.emg.montage import FRIDLUND
from rt import lsl
from rt.errors import BadSettings, MissingDevice
from rt.sources.emg_stream import LslEmgSettings, find, fit
from rt.stage import Context

LABELS = list(FRIDLUND.labels)
MMM = [
    f"{muscle}_{side}"
    for muscle in (
        "Corrugator Supercilii",
        "Depressor Ang. Oris",
        "Depressor Supercilii Procerus",
        "Lateraler Frontalis",
        "Levator Labii Superioris",
        "Masseter",
        "Medialer Frontalis",
        "Mentalis",
        "Orbicularis Oculi",
        "Orbicularis Oris",
        "Zygomaticus",
    )
    for side in "lr"
]


def stream(labels=LABELS, unit="microvolts", rate_hz=4096.0, form="float32", count=None, name="Amp"):
    info = lsl.library().StreamInfo(name, "EMG", count or len(labels), rate_hz, form, "some-id")
    lsl.describe(info, labels, unit)
    return info


def test_the_montage_s_own_order():
    found = fit(stream(), LslEmgSettings())
    assert found.columns.tolist() == list(range(22))
    assert found.scale.tolist() == [1.0] * 22
    assert found.rate_hz == 4096.0


def test_other_orders_are_mapped_by_name():
    assert [LABELS[::-1][i] for i in fit(stream(LABELS[::-1]), LslEmgSettings()).columns] == LABELS
    picked = [MMM[i] for i in fit(stream(MMM), LslEmgSettings()).columns]
    assert picked[FRIDLUND.column("zygomaticus_right")] == "Zygomaticus_r"
    assert picked[FRIDLUND.column("F2")] == "Medialer Frontalis_l"


def test_a_mapping_names_the_channels_and_ignores_the_rest():
    labels = ["Trigger", *(f"EXG{i}" for i in range(22))]
    channels = {f"EXG{i}": label for i, label in enumerate(LABELS)}
    found = fit(stream(labels), LslEmgSettings(channels=channels))
    assert found.columns.tolist() == list(range(1, 23))


def test_units_are_per_channel():
    info = stream(unit="mV")
    info.desc().child("channels").child("channel").child("unit").first_child().set_value("volts")
    scale = fit(info, LslEmgSettings()).scale
    assert scale[0] == 1e6
    assert (scale[1:] == 1e3).all()


def test_an_outlet_that_says_nothing_is_described_in_the_station_file():
    info = lsl.library().StreamInfo("Amp", "EMG", 22, 2048.0, "int16", "some-id")
    found = fit(info, LslEmgSettings(labels=tuple(LABELS), unit="uV"))
    assert found.columns.tolist() == list(range(22))
    assert (found.scale == 1).all()


@pytest.mark.parametrize(
    ("info", "settings", "words"),
    [
        (dict(form="string"), {}, "carries text"),
        (dict(rate_hz=0.0), {}, "no regular rate"),
        (dict(rate_hz=2000.0), dict(rate_hz=2048.0), "2000 Hz where 2048 Hz are expected"),
        (dict(labels=LABELS[:-1]), {}, "missing F22.*found F1, F2"),
        (dict(labels=[*LABELS[:-1], "Battery"]), {}, "missing F22; not understood Battery"),
        (dict(labels=[*LABELS[:-1], "F1"]), {}, "comes twice"),
        (dict(labels=LABELS, count=24), {}, "24 channels but 22 labels"),
        (dict(labels=[], count=22), {}, "22 channels without names"),
        (dict(labels=[], count=22), dict(labels=("F1", "F2")), "22 channels but 2 labels"),
        ({}, dict(labels=tuple(LABELS)), "names its channels itself"),
        ({}, dict(channels={"EXG1": "F1"}), "has no channel EXG1; it has F1"),
        (dict(unit="counts"), {}, "the unit 'counts', which is not known"),
        (dict(unit=""), {}, "no unit.*give unit in the station file"),
    ],
)
def test_refusals_say_what_was_found(info, settings, words):
    with pytest.raises(BadSettings, match=words) as caught:
        fit(stream(**info), LslEmgSettings(**settings))
    assert "'Amp'" in str(caught.value)


def test_a_stream_that_is_not_there_lists_what_is(lsl_id, until):
    pylsl = lsl.library()
    outlet = pylsl.StreamOutlet(stream(name=f"Other-{lsl_id}"))
    context = Context()
    beats = []
    context.beat = lambda: beats.append(1)
    with pytest.raises(MissingDevice) as caught:
        find(pylsl, lsl.Wanted(name="Absent"), 1.2, context)
    text = str(caught.value)
    assert "name 'Absent'" in text
    assert f"'Other-{lsl_id}' (type 'EMG', 22 channels, 4096 Hz, source_id 'some-id')" in text
    assert len(beats) > 5
    del outlet


def test_two_that_fit_are_refused(lsl_id):
    pylsl = lsl.library()
    infos = [pylsl.StreamInfo(lsl_id, "EMG", 2, 100.0, "float32", f"{lsl_id}-{i}") for i in range(2)]
    outlets = [pylsl.StreamOutlet(info) for info in infos]
    with pytest.raises(BadSettings, match="2 EMG streams fit") as caught:
        find(pylsl, lsl.Wanted(name=lsl_id), 5.0, Context())
    assert f"{lsl_id}-0" in str(caught.value)
    assert f"{lsl_id}-1" in str(caught.value)
    assert find(pylsl, lsl.Wanted(source_id=f"{lsl_id}-1"), 5.0, Context()).source_id() == f"{lsl_id}-1"
    del outlets


def test_without_wishes_any_emg_is_meant():
    assert LslEmgSettings().wanted() == lsl.Wanted(type="EMG")
    assert LslEmgSettings(name="Amp").wanted() == lsl.Wanted(name="Amp")
    assert np.isfinite(LslEmgSettings().wait_s)
