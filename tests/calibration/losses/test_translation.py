import numpy as np
import pytest

torch = pytest.importorskip("torch")

from calibration.losses.translation import cycle_loss, identity_loss, l1, minimal_change_loss  # noqa: E402

rng = np.random.default_rng(1)
A, B, AT_A, AT_B = rng.uniform(-1, 1, (4, 2, 3, 5, 7)).astype(np.float32)
TENSORS = {name: torch.from_numpy(value) for name, value in {"a": A, "b": B, "at_a": AT_A, "at_b": AT_B}.items()}
REAL = (TENSORS["a"], TENSORS["b"])


def test_l1_is_a_mean():
    assert l1(TENSORS["at_a"], TENSORS["a"]).item() == pytest.approx(np.abs(AT_A - A).mean(), rel=1e-6)


def test_eq_2():
    twin = 10 * np.abs(AT_A - A).mean() + 7 * np.abs(AT_B - B).mean()
    assert cycle_loss((TENSORS["at_a"], TENSORS["at_b"]), REAL, 10, 7).item() == pytest.approx(twin, rel=1e-6)


def test_eq_3():
    twin = 5 * (np.abs(AT_A - A).mean() + np.abs(AT_B - B).mean())
    assert identity_loss((TENSORS["at_a"], TENSORS["at_b"]), REAL, 5).item() == pytest.approx(twin, rel=1e-6)


def test_eq_4_weighs_what_g_b_does_to_b_with_lambda_mc_a():
    g_b_of_b, g_a_of_a = AT_A, AT_B
    twin = 0.2 * np.abs(g_b_of_b - B).mean() + 0.5 * np.abs(g_a_of_a - A).mean()
    found = minimal_change_loss((TENSORS["at_a"], TENSORS["at_b"]), REAL, 0.2, 0.5)
    assert found.item() == pytest.approx(twin, rel=1e-6)


def test_nothing_changed_costs_nothing():
    assert cycle_loss(REAL, REAL, 10, 10).item() == identity_loss(REAL, REAL, 5).item() == 0
    assert minimal_change_loss((REAL[1], REAL[0]), REAL, 0.5, 0.5).item() == 0
