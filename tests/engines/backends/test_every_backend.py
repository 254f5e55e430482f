"""What holds for every backend that is present: the engine contract, and PyTorch's result."""

import tracemalloc

import numpy as np
import pytest

pytest.importorskip("torch")

from engines import agreement
from engines.building import reference_engine
from engines.errors import BackendMissing, BadInput
from engines.loading import WAYS, Way, open_engine, survey

PRESENT = {found.way: found for found in survey()}
IDS = [str(way) for way in WAYS]


@pytest.fixture(params=WAYS, ids=IDS)
def way(request):
    if PRESENT[request.param].why_not:
        pytest.skip(PRESENT[request.param].why_not)
    return request.param


@pytest.fixture
def engine(way, small_model):
    engine = open_engine(small_model, way)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reference(small_model):
    return reference_engine(small_model)


def test_every_precision_gives_what_pytorch_gives(way, small_model, reference):
    for precision in PRESENT[way].precisions:
        engine = open_engine(small_model, way, precision)
        assert (engine.backend, engine.device, engine.precision) == (way.backend, way.device, precision)
        found = agreement.measure(engine, reference, agreement.probes(engine.inputs))
        agreement.check(found, precision, str(way))
        engine.close()


def test_the_result_depends_on_the_input(engine):
    one, two = agreement.probes(engine.inputs, 2)
    first = engine.run(one)["face"].copy()
    assert (engine.run(two)["face"] != first).mean() > 0.5
    np.testing.assert_array_equal(engine.run(one)["face"], first)


def test_outputs_are_the_engines_own_and_always_the_same_memory(engine):
    one, two = agreement.probes(engine.inputs, 2)
    first = engine.run(one)
    addresses = {name: array.ctypes.data for name, array in first.items()}
    assert {spec.name for spec in engine.outputs} == set(first)
    for spec in engine.outputs:
        assert first[spec.name].shape == spec.shape
        assert first[spec.name].dtype == spec.dtype
    assert {name: array.ctypes.data for name, array in engine.run(two).items()} == addresses


def test_the_input_may_be_reused_at_once_and_lie_in_any_order(engine):
    given = agreement.probes(engine.inputs, 1)[0]["face"]
    expected = engine.run({"face": given})["face"].copy()
    readonly = np.asfortranarray(given)
    readonly.flags.writeable = False
    found = engine.run({"face": readonly})["face"]
    np.testing.assert_array_equal(found, expected)


def test_python_makes_no_array_per_call(engine):
    if (engine.backend, engine.device) == ("torch", "cpu"):
        pytest.skip("PyTorch on a CPU takes memory for what lies between the layers, and says so")
    given = agreement.probes(engine.inputs, 1)[0]
    for _ in range(5):
        engine.run(given)
    peaks = np.zeros(20)
    tracemalloc.start()
    try:
        for i in range(len(peaks)):
            tracemalloc.reset_peak()
            level = tracemalloc.get_traced_memory()[0]
            engine.run(given)
            peaks[i] = tracemalloc.get_traced_memory()[1] - level
    finally:
        tracemalloc.stop()
    assert np.median(peaks) < given["face"].nbytes  # no copy of a picture comes and goes


def test_what_does_not_fit_is_refused_and_the_engine_lives_on(engine):
    given = agreement.probes(engine.inputs, 1)[0]
    with pytest.raises(BadInput, match=r"'face' is uint8 \(32, 32, 3\), found uint8 \(16, 32, 3\)"):
        engine.run({"face": given["face"][:16]})
    assert engine.run(given)["face"].any()


def test_another_precision_is_refused(way, small_model):
    with pytest.raises(BackendMissing, match="int4"):
        open_engine(small_model, way, "int4")


@pytest.mark.parametrize("gone", [Way("torch", "cuda"), Way("tensorrt", "cuda")], ids=str)
def test_a_way_that_is_missing_is_one_sentence(gone, small_model):
    if PRESENT[gone].why_not is None:
        pytest.skip("it is here")
    with pytest.raises(BackendMissing) as caught:
        open_engine(small_model, gone)
    assert "\n" not in str(caught.value)
    assert str(caught.value) == PRESENT[gone].why_not
