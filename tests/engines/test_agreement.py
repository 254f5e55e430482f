import numpy as np
import pytest

from engines.agreement import READING, TOLERANCES, Distance, check, measure, probes, reads
from engines.errors import BuildError
from engines.spec import ArraySpec

FACE = ArraySpec("face", "height, width, colour", "uint8", (0, 255), "grey level", "BGR", (24, 30, 3))
VECTOR = ArraySpec("emg", "channel", "float32", (-2, 2), "1", None, (22,))


class Adds:
    """An engine that adds a constant."""

    inputs = outputs = (FACE, VECTOR)

    def __init__(self, grey=0, number=0.0):
        self.grey, self.number = grey, number

    def run(self, arrays):
        face = (arrays["face"].astype(int) + self.grey).clip(0, 255).astype(np.uint8)
        return {"face": face, "emg": arrays["emg"] + np.float32(self.number)}


def test_probes_are_the_same_in_every_run_and_fit_the_specs():
    one, two = probes((FACE, VECTOR)), probes((FACE, VECTOR))
    assert len(one) == 4
    for a, b in zip(one, two, strict=True):
        for spec in (FACE, VECTOR):
            np.testing.assert_array_equal(a[spec.name], b[spec.name])
            assert a[spec.name].shape == spec.shape
            assert a[spec.name].dtype == spec.dtype
            assert spec.range[0] <= a[spec.name].min() <= a[spec.name].max() <= spec.range[1]
    assert not np.array_equal(one[0]["face"], one[1]["face"])


def test_a_picture_probe_is_smooth_where_it_is_no_block():
    face = probes((FACE,))[0]["face"].astype(float)
    steps = np.abs(np.diff(face, axis=1))
    assert np.median(steps) < 12
    assert steps.max() > 60  # the blocks' edges


def test_the_distance_is_in_grey_levels_of_the_outputs_range():
    found = measure(Adds(3, 0.5), Adds(), [{"face": np.full(FACE.shape, 9, np.uint8), "emg": np.zeros(22, np.float32)}])
    assert found["face"] == Distance(3.0, 3.0)
    assert found["emg"].rms == pytest.approx(0.5 / 4 * 255)


def test_an_engine_that_reuses_its_outputs_is_not_compared_with_itself():
    class Reuses(Adds):
        shared = {"face": np.zeros(FACE.shape, np.uint8), "emg": np.zeros(22, np.float32)}

        def run(self, arrays):
            for name, value in super().run(arrays).items():
                self.shared[name][...] = value
            return self.shared

    given = [{"face": np.full(FACE.shape, 9, np.uint8), "emg": np.zeros(22, np.float32)}]
    assert measure(Reuses(5), Reuses(), given)["face"].largest == 5


@pytest.mark.parametrize("precision", TOLERANCES)
def test_what_is_allowed_passes_and_more_does_not(precision):
    allowed = TOLERANCES[precision]
    check({"face": allowed}, precision, "x")
    for rms, largest in [(allowed.rms * 1.1, 0), (0, allowed.largest * 1.1), (float("nan"), float("nan"))]:
        with pytest.raises(BuildError, match=r"engine-x does not compute what PyTorch does: its 'face'"):
            check({"face": Distance(rms, largest)}, precision, "engine-x")


def test_every_other_vector_probe_is_a_face_at_work_most_muscles_rest():
    history = ArraySpec("emg", "tap, channel", "float32", (0, 1), "1", None, (7, 22))
    muscles = ArraySpec("emg", "channel", "float32", (0, 1), "1", None, (22,))
    for spec in (history, muscles):
        working, noise = (probe["emg"] for probe in probes((spec,), 2))
        assert np.median(working) < 0.1 < 0.5 < working.max()
        assert 0.3 < np.median(noise) < 0.7


CAMERA = ArraySpec("camera", "parameter", "float32", (-20, 20), "1", None, (3,))


class Reads:
    """Reads three numbers off a picture: one lively, one hardly moving, one that stands still; `off` beside them."""

    inputs, outputs = (FACE,), (CAMERA,)

    def __init__(self, *off):
        self.off = np.array(off or (0, 0, 0), np.float32)

    def run(self, arrays):
        mean = arrays["face"].mean() / 255
        return {"camera": np.array([7 + 4 * mean, 0.4 * mean, 1], np.float32) + self.off}


def test_a_reading_is_measured_by_how_much_it_differs_from_probe_to_probe():
    given = [{"face": np.full(FACE.shape, level, np.uint8)} for level in (0, 51, 102, 153, 204, 255)]
    spread = np.std([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    for place, unit in ((0, 4 * spread), (1, 0.4 * spread), (2, 0.05 * 4 * spread)):
        off = [0.0] * 3
        off[place] = 0.3 * unit
        found = measure(Reads(*off), Reads(), given)["camera"]
        assert found.largest == pytest.approx(0.3 / READING, rel=1e-3)
        assert found.rms == pytest.approx(0.3 / READING / np.sqrt(3), rel=1e-3)
    assert reads((FACE,), CAMERA)
    assert not reads((VECTOR,), CAMERA)
    assert not reads((FACE,), FACE)


def test_a_reading_that_has_nothing_to_do_with_the_reference_is_refused():
    rng = np.random.default_rng(0)

    class Another(Reads):
        def run(self, arrays):
            return {"camera": rng.normal([9, 0.2, 1], [1.2, 0.12, 0]).astype(np.float32)}

    given = probes((FACE,), 12)
    check(measure(Reads(), Reads(), given), "fp32", "itself")
    with pytest.raises(BuildError, match="camera"):
        check(measure(Another(), Reads(), given), "bf16", "another")
