"""Batches of movements: the same number gives the same batch, and a mirrored movement goes the other way."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.data.motion_set import MotionSet  # noqa: E402
from calibration.distributed import Ranks  # noqa: E402
from calibration.motion_batches import MotionBatches  # noqa: E402
from rt.errors import BadSettings  # noqa: E402

HERE = Ranks(torch.device("cpu"))


@pytest.fixture
def motion(drawn_motion):
    return MotionSet.open(drawn_motion)


def test_the_same_number_gives_the_same_batch(motion):
    one, other = (MotionBatches(motion, 32, "posed", 4, 7, HERE, frontal=0.3) for _ in range(2))
    other.batch(30)
    for name, values in one.batch(3)._asdict().items():
        assert torch.equal(torch.as_tensor(values), torch.as_tensor(getattr(other.batch(3), name))), name
    assert not torch.equal(one.batch(3).given, one.batch(4).given)


def test_every_epoch_sees_everything_once(motion):
    batches = MotionBatches(motion, 32, "posed", 4, 7, HERE, mirror=False)
    assert batches.steps_per_epoch == 12
    seen = torch.cat([batches.batch(i).given for i in range(12)]).sum((1, 2, 3))
    wanted = motion.array("flow_posed").astype(np.float32).sum((1, 2, 3))
    np.testing.assert_allclose(np.sort(seen.numpy()), np.sort(wanted), rtol=1e-3, atol=1e-2)


def test_a_mirrored_movement(motion):
    batches = MotionBatches(motion, 32, "posed", 4, 7, HERE)
    plain, mirrored = batches.read([5]), batches.read([5], mirrored=[True])
    turned = mirrored.given.flip(3) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(turned, plain.given)
    torch.testing.assert_close(mirrored.after.flip(3), plain.after)
    torch.testing.assert_close(mirrored.face.flip(3), plain.face)
    assert mirrored.emotion.tolist() == plain.emotion.tolist()


def test_what_is_given(motion):
    found = {given: MotionBatches(motion, 32, given, 4, 7, HERE).read([2]) for given in ("posed", "still", "front")}
    assert torch.equal(found["front"].given, found["front"].front)
    away = {given: (batch.given - batch.front).abs().mean() for given, batch in found.items()}
    assert away["posed"] > away["still"] > away["front"]
    frontal = MotionBatches(motion, 32, "posed", 4, 7, HERE).read([2], frontal=[True])
    assert torch.equal(frontal.given, frontal.front)


def test_smaller_flows_have_smaller_vectors(motion):
    whole, half = (MotionBatches(motion, size, "posed", 4, 7, HERE).read([0]) for size in (32, 16))
    assert half.given.shape == (1, 2, 16, 16)
    assert half.before.shape == (1, 3, 16, 16)
    assert float(half.given.mean()) == pytest.approx(float(whole.given.mean()) / 2, rel=1e-3)


def test_what_does_not_fit(motion):
    with pytest.raises(BadSettings, match="posed, still, front"):
        MotionBatches(motion, 32, "else", 4, 7, HERE)
    with pytest.raises(BadSettings, match="64 px are asked"):
        MotionBatches(motion, 64, "posed", 4, 7, HERE)
