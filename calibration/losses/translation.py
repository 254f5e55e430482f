"""What keeps a translation between two domains honest: Eq. 2-4 of MC-CycleGAN (Buechner et al. 2023).

A: faces under electrodes.  B: faces without.  G_A: A -> B removes them, G_B: B -> A attaches them.  All tensors are
(picture, 3, height, width) in [-1, 1]; L1 is the mean over everything, in float32.
"""

from torch import Tensor

Pair = tuple[Tensor, Tensor]  # of domain A, of domain B


def l1(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (found.float() - wanted.float()).abs().mean()


def cycle_loss(there_and_back: Pair, real: Pair, lambda_a: float, lambda_b: float) -> Tensor:
    """Eq. 2.  there_and_back: (G_B(G_A(A)), G_A(G_B(B))).  real: (A, B)."""
    return lambda_a * l1(there_and_back[0], real[0]) + lambda_b * l1(there_and_back[1], real[1])


def identity_loss(same: Pair, real: Pair, lambda_idt: float) -> Tensor:
    """Eq. 3: who is given what it should make changes nothing.  same: (G_B(A), G_A(B)).  real: (A, B)."""
    return lambda_idt * (l1(same[0], real[0]) + l1(same[1], real[1]))


def minimal_change_loss(fake: Pair, real: Pair, lambda_mc_a: float, lambda_mc_b: float) -> Tensor:
    """Eq. 4: a translation changes as little as it can.  fake: (G_B(B), G_A(A)).  real: (A, B).

    As printed, lambda_MC_A weighs what G_B does to B, and lambda_MC_B what G_A does to A.
    """
    return lambda_mc_a * l1(fake[0], real[1]) + lambda_mc_b * l1(fake[1], real[0])
