import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses.face_parameters import confidence_loss, known_distances, known_squares, rigid_loss  # noqa: E402

NAN = float("nan")


def test_what_nobody_knows_costs_nothing():
    found = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    loss = known_squares(found, torch.tensor([[0.0, NAN], [NAN, 2.0]]))
    assert loss.item() == pytest.approx((1 + 9) / 2)
    loss.backward()
    assert torch.isfinite(found.grad).all()
    assert found.grad[0, 1] == found.grad[1, 0] == 0
    assert known_squares(found, torch.full((2, 2), NAN)).item() == 0


def test_rows_can_weigh_less():
    found, wanted = torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.zeros(2, 2)
    assert known_squares(found, wanted, torch.tensor([1.0, 0.5])).item() == pytest.approx((2 + 0.5 * 8) / 3)


def test_beyond_the_bend_errors_count_straight_on():
    wanted = torch.tensor([[0.0, 0.0, NAN], [0.0, 0.0, 0.0]])
    found = torch.tensor([[0.05, -0.3, 7.0], [0.0, 0.1, 1.0]], requires_grad=True)
    twin = [0.05**2, 2 * 0.1 * 0.3 - 0.1**2, 0, 0.1**2, 2 * 0.1 * 1 - 0.1**2]
    loss = known_distances(found, wanted, 0.1)
    assert loss.item() == pytest.approx(np.mean(twin))
    loss.backward()
    assert found.grad[0, 2] == 0
    assert found.grad[1, 2].item() == pytest.approx(0.2 / 5)  # the slope at the bend, and no steeper
    weighed = known_distances(found, wanted, 0.1, torch.tensor([1.0, 0.5]))
    assert weighed.item() == pytest.approx((sum(twin[:2]) + 0.5 * sum(twin[2:])) / 3.5)
    small = torch.tensor([[0.02, -0.01, 0.03]])
    assert known_distances(small, wanted[1:], 0.1) == known_squares(small, wanted[1:])


def test_pose_and_camera_against_numpy():
    rng = np.random.default_rng(0)
    pose, camera, wanted = (rng.normal(size=(4, n)).astype(np.float32) for n in (3, 3, 6))
    units = np.array([1, 1, 1, 0.1, 10, 10])
    twin = np.mean(((np.concatenate([pose, camera], 1) - wanted) * units) ** 2)
    assert rigid_loss(*map(torch.from_numpy, (pose, camera, wanted))).item() == pytest.approx(twin, rel=1e-5)


def test_confidence_learns_the_error_and_the_expression_does_not_learn_from_it():
    found = torch.full((3, 52), 0.2, requires_grad=True)
    wanted = torch.zeros(3, 52)
    raw = torch.zeros(3, 1, requires_grad=True)
    descent = torch.optim.Adam([raw], 0.1)
    for _ in range(200):
        descent.zero_grad()
        confidence_loss(torch.sigmoid(raw), found, wanted).backward()
        descent.step()
    # deviation 0.1 sqrt((1 - c) / c) = 0.2 where c = 1 / 5
    np.testing.assert_allclose(torch.sigmoid(raw).detach().numpy(), 0.2, atol=0.01)
    assert found.grad is None


def test_an_unknown_expression_teaches_no_confidence():
    raw = torch.zeros(1, 1, requires_grad=True)
    confidence_loss(torch.sigmoid(raw), torch.zeros(1, 52), torch.full((1, 52), NAN)).backward()
    assert raw.grad.item() == 0
