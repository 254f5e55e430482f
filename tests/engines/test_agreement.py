import numpy as np
import pytest

from engines.agreement import TOLERANCES, Distance, check, measure, probes
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
