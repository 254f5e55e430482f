"""A bundle of other muscles than the station's is refused, in one sentence."""

import pytest

from engines.bundle import Manifest, Training
from engines.emg.chain import chain_id, preset
from engines.emg.emg_bundle import EmgBundle, check_station
from engines.emg.expression_profile import expression_profile
from engines.errors import BadInput, BundleError, ChainMismatch

STANDARD, FAST = (chain_id(preset(name), 4096.0) for name in ("standard", "fast"))
SIZES = {"direction": "exp2emg", "profile": "arkit52", "normalisation": "maximum", "taps_ms": [0]}


def manifest(network="emg_mlp", chain=STANDARD, montage="fridlund"):
    inputs, outputs = EmgBundle.of(SIZES).specs(uncertainty=False)
    training = Training("nobody", 0, True, "CC0", 1)
    return Manifest("eifer_emg", network, SIZES, inputs, outputs, training, {}, chain, montage)


def test_what_fits_is_taken():
    check_station(manifest(), STANDARD, "fridlund")
    check_station(manifest(), STANDARD, "fridlund", "arkit52")


@pytest.mark.parametrize(
    ("made", "station", "error", "sentence"),
    [
        (manifest(), (FAST, "fridlund"), ChainMismatch, f"EMG chain {STANDARD}, this station runs {FAST}"),
        (manifest(), (STANDARD, "kuramoto"), BundleError, "montage fridlund, this station has kuramoto"),
        (manifest(), (STANDARD, "fridlund", "flame55"), BundleError, "expressions in arkit52, .* gives flame55"),
        (manifest("resnet_generator"), (STANDARD, "fridlund"), BundleError, "knows no muscles"),
        (
            manifest(chain=FAST),
            (STANDARD, "fridlund"),
            ChainMismatch,
            "choose envelope.preset fast with mains_hz 50, or",
        ),
        (manifest(chain="0123"), (STANDARD, "fridlund"), ChainMismatch, "choose the preset of the bundle, or"),
        (manifest(chain=None), (STANDARD, "fridlund"), BundleError, "knows no muscles"),
    ],
)
def test_what_does_not_fit_is_refused(made, station, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        check_station(made, *station)
    assert "\n" not in str(caught.value)


def test_units_say_what_one_is():
    for normalisation, unit, loudest in (("maximum", "participant's maximum", 1.0), ("calibration", "%MVC / 100", 2.0)):
        (_,), (emg,) = EmgBundle.of({**SIZES, "normalisation": normalisation}).specs(uncertainty=False)
        assert (emg.unit, emg.range) == (unit, (0.0, loudest))


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(BadInput, match="nearest one is 'flame55'"):
        expression_profile("flame50")
