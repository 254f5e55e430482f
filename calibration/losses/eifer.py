"""What EIFER's generators and its encoder under electrodes answer for: Buechner et al. 2025, section 3.2.

The paper's equations have no numbers; here they are counted from the section's beginning, 1 to 8.  N: a face without
electrodes, S: the same person's under electrodes, another moment.  E^N, E^S: encoders; C^NS(x) = G^NS(E^N(x), M(x))
puts electrodes on, C^SN(x) = G^SN(E^S(x), M(x)) takes them off; I_F^S = C^NS(I^N), I_F^N = C^SN(I^S) are the fakes.

All are squared differences in float32, and means where the paper writes norms: the weights then mean the same for every
picture size, number of parameters and number of landmarks.  Eq. 8, the least squares of the critics, is
calibration/losses/adversarial.py's.
"""

from torch import Tensor

Pair = tuple[Tensor, Tensor]  # of what began as N, of what began as S


def squared(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference: one number."""
    return (found.float() - wanted.float()).square().mean()


def reconstruction_loss(there_and_back: Pair, real: Pair) -> Tensor:
    """Eq. 1, L_Reco.  there_and_back: (C^NSN(I^N), C^SNS(I^S)).  real: (I^N, I^S).  Pictures (B, 3, H, W)."""
    return squared(there_and_back[0], real[0]) + squared(there_and_back[1], real[1])


def identity_loss(same: Pair, real: Pair) -> Tensor:
    """Eq. 2, L_Idt: who is given what it should make changes nothing.  same: (C^SN(I^N), C^NS(I^S))."""
    return squared(same[0], real[0]) + squared(same[1], real[1])


def minimal_change_loss(fake: Pair, real: Pair) -> Tensor:
    """Eq. 3, L_MC: a translation changes as little as it can.  fake: (C^NS(I^N), C^SN(I^S))."""
    return squared(fake[0], real[0]) + squared(fake[1], real[1])


def occlusion_expression_loss(before: Pair, after: Pair) -> Tensor:
    """Eq. 4, L_OccExp: putting electrodes on or taking them off does not change the expression.

    before: (E_phi^N(I^N), E_phi^S(I^S)).  after: (E_phi^S(I_F^S), E_phi^N(I_F^N)).  (B, 52) or (B, 55).
    """
    return squared(before[0], after[0]) + squared(before[1], after[1])


def occlusion_shape_loss(real: Pair, fake: Pair) -> Tensor:
    """Eq. 5, L_OccShp: a person's shape is the same with and without electrodes, whatever the expression.

    real: (E_beta^N(I^N), E_beta^S(I^S)).  fake: (E_beta^N(I_F^N), E_beta^S(I_F^S)).  (B, shapes).
    """
    return squared(real[0], real[1]) + squared(fake[0], fake[1])


def landmark_loss(before: Pair, after: Pair) -> Tensor:
    """Eq. 6, L_Lmk: the geometry stays where it is over a cycle.

    before: landmarks of what I^N and I^S render to.  after: of what is rendered in the second half of their cycles,
    from the fakes.  (B, K, 2) in half sides of the picture; the sum over K is a mean over K here.

    As printed, the second ones are those of I_F^N, the fake that comes from the *other*, unpaired picture; "within a
    full C^NSN cycle", as the text has it, is what is computed.
    """
    distances = [(a.float() - b.float()).square().sum(-1).mean() for a, b in zip(before, after, strict=True)]
    return distances[0] + distances[1]


def rigid_transformation_loss(before: Pair, after: Pair) -> Tensor:
    """Eq. 7, L_RigTra: nor do head pose and camera.  As Eq. 4 with E_theta.  (B, 6)."""
    return squared(before[0], after[0]) + squared(before[1], after[1])
