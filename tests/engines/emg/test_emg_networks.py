"""EMG2Exp and Exp2EMG live: history, units and refusals, with an engine that can be looked into."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from engines.bundle import Bundle, Manifest, Training
from engines.emg.emg_bundle import EmgBundle
from engines.emg.emg_networks import Emg2Exp, Exp2Emg, check_mediapipe, fitting
from engines.errors import BadInput, BundleError, ChainMismatch, EngineError

SIZES = {
    "direction": "exp2emg", "profile": "arkit52", "normalisation": "calibration", "taps_ms": [0, 33, 100],
    "widths": [4], "end": "open", "scaling": "root", "uncertainty": True, "rest": False,
}  # fmt: skip


class Recalls:
    """An engine that keeps what it was given and answers with fixed numbers."""

    def __init__(self, sizes, **answers):
        self.bundle = EmgBundle.of(sizes)
        self.inputs, self.outputs = self.bundle.specs(sizes["uncertainty"])
        self.answers = {spec.name: np.zeros(spec.shape, np.float32) for spec in self.outputs} | answers
        self.given, self.closed = [], False

    def run(self, arrays):
        (array,) = arrays.values()
        assert {spec.name: spec.shape for spec in self.inputs} == {name: a.shape for name, a in arrays.items()}
        self.given.append(array.copy())
        return self.answers

    def close(self):
        self.closed = True


def bundle_of(sizes=SIZES, method="Truth", network="emg_mlp", system="eifer_emg", chain="c", **changes):
    known = EmgBundle.of(sizes)
    inputs, outputs = known.specs(sizes["uncertainty"])
    said = {"inputs": inputs, "outputs": outputs, **changes}
    manifest = Manifest(
        system, network, dict(sizes), training=Training("", 0, True, "", 1), emg_chain=chain, montage="fridlund", **said
    )
    return Bundle(manifest, {}, {"people.json": json.dumps({"method": method}).encode()} if method else {})


def test_an_estimate_is_in_per_cent_with_its_spread_and_sees_the_past():
    emg, sd = np.linspace(0, 1.05, 22, dtype=np.float32), np.full(22, 0.07, np.float32)
    engine = Recalls(SIZES, emg=emg, emg_sd=sd)
    network = Exp2Emg(engine, engine.bundle)
    assert len(engine.given) == 1  # warm
    for step in range(5):
        guess = network.run(100 + step / 30, np.full(52, step / 10, np.float32))
    np.testing.assert_allclose(guess.percent, 100 * emg, rtol=1e-6)
    np.testing.assert_allclose(guess.spread, 7.0, rtol=1e-6)
    np.testing.assert_allclose(engine.given[-1][:, 0], [0.4, 0.3, 0.1])  # now, 33 and 100 ms ago
    before = guess.percent.copy()
    emg += 1
    np.testing.assert_array_equal(guess.percent, before)  # not the engine's own memory
    network.close()
    assert engine.closed


def test_without_a_second_head_nothing_is_said_about_how_sure_it_is():
    sizes = {**SIZES, "uncertainty": False, "taps_ms": [0]}
    engine = Recalls(sizes)
    guess = Exp2Emg(engine, engine.bundle).run(1.0, np.zeros(52, np.float32))
    assert (guess.percent == 0).all()
    assert np.isnan(guess.spread).all()


def test_an_expression_stays_within_its_profile():
    engine = Recalls({**SIZES, "taps_ms": [0]})
    Exp2Emg(engine, engine.bundle).run(1.0, np.linspace(-1, 2, 52))
    assert (engine.given[-1].min(), engine.given[-1].max()) == (0.0, 1.0)


def test_a_face_from_muscles_alone_and_none_before_they_are_calibrated():
    sizes = {**SIZES, "direction": "emg2exp"}
    face = np.linspace(0, 1, 52, dtype=np.float32)
    engine = Recalls(sizes, expression=face)
    network = Emg2Exp(engine, engine.bundle)
    envelope, nothing = np.ones(22, np.float32), np.full(22, np.nan, np.float32)
    assert network.run(1.0, nothing, envelope) is None
    found = network.run(1.03, np.full(22, 50, np.float32), envelope)
    np.testing.assert_array_equal(found, face)
    np.testing.assert_allclose(engine.given[-1], 0.5)
    assert found is not face


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_never_gets_through(broken):
    engine = Recalls(SIZES, emg=np.full(22, broken, np.float32))
    with pytest.raises(BundleError, match="no number"):
        Exp2Emg(engine, engine.bundle).run(1.0, np.zeros(52, np.float32))
    back = Recalls({**SIZES, "direction": "emg2exp"}, expression=np.full(52, broken, np.float32))
    with pytest.raises(BundleError, match="no number"):
        Emg2Exp(back, back.bundle).run(1.0, np.ones(22, np.float32), np.ones(22, np.float32))


def test_another_length_is_refused():
    engine = Recalls(SIZES)
    with pytest.raises((BadInput, ValueError)):
        Exp2Emg(engine, engine.bundle).run(1.0, np.zeros(55, np.float32))


def test_a_bundle_that_fits():
    found = fitting(bundle_of(), "mine", "exp2emg", "c", "fridlund", "arkit52")
    assert (found.direction, found.taps_ms) == ("exp2emg", (0, 33, 100))


@pytest.mark.parametrize(
    ("bundle", "asked", "kind", "sentence"),
    [
        (bundle_of(), ("exp2emg", "other", "fridlund", None), ChainMismatch, "EMG chain c, this station runs other"),
        (bundle_of(), ("exp2emg", "c", "kuramoto", None), BundleError, "montage fridlund, this station has kuramoto"),
        (bundle_of(), ("exp2emg", "c", "fridlund", "flame55"), BundleError, "in arkit52, this station's encoder gives"),
        (bundle_of(), ("emg2exp", "c", "fridlund", None), BundleError, "mine goes from expression to muscles, emg2exp"),
        (bundle_of(system="mc_cyclegan"), ("exp2emg", "c", "fridlund", None), BundleError, "mine is for mc_cyclegan"),
        (bundle_of(outputs=()), ("exp2emg", "c", "fridlund", None), BundleError, "other inputs or outputs than"),
        (
            bundle_of({**SIZES, "taps_ms": [5]} | {"taps_ms": [0]}, inputs=bundle_of().manifest.inputs),
            ("exp2emg", "c", "fridlund", None), BundleError, "other inputs or outputs than",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(bundle, asked, kind, sentence):
    direction, chain, montage, profile = asked
    with pytest.raises(kind, match=sentence) as found:
        fitting(bundle, "mine", direction, chain, montage, profile)
    assert "\n" not in str(found.value)


def test_sizes_that_are_missing_are_named():
    bundle = bundle_of()
    del bundle.manifest.sizes["taps_ms"], bundle.manifest.sizes["end"]
    with pytest.raises(BundleError, match="mine does not say its taps_ms, end"):
        fitting(bundle, "mine", "exp2emg", "c", "fridlund")


def test_blendshapes_may_feed_what_learned_from_them():
    check_mediapipe(bundle_of(method="MediaPipe"), "mine")


@pytest.mark.parametrize(
    ("bundle", "sentence"),
    [
        (bundle_of({**SIZES, "profile": "flame55"}, "EIFER"), "wants expressions in flame55"),
        (bundle_of(method="EIFER"), "learned from expressions of EIFER"),
        (bundle_of(method="Truth"), "learned from expressions of Truth"),
        (bundle_of(method=""), "learned from expressions of an unknown origin"),
    ],
)
def test_blendshapes_may_not_feed_what_learned_from_something_else(bundle, sentence):
    with pytest.raises(EngineError, match=sentence) as found:
        check_mediapipe(bundle, "mine")
    assert "name an encoder bundle" in str(found.value)


def test_people_that_are_no_json_say_nothing():
    broken = SimpleNamespace(manifest=bundle_of().manifest, files={"people.json": b"{"})
    with pytest.raises(BundleError, match="an unknown origin"):
        check_mediapipe(broken, "mine")
