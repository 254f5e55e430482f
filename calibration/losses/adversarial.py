"""What a critic's judgement is worth: least squares (Mao et al. 2017), as CycleGAN uses it for Eq. 1 of the paper.

Everything is computed in float32, whatever precision the networks run in.
"""

from torch import Tensor

CRITIC_WEIGHT = 0.5  # CycleGAN: critics learn half as fast as generators


def generator_loss(judged: Tensor) -> Tensor:
    """How far a critic is from taking fakes for real: mean (D(fake) - 1)^2.  judged: any shape."""
    return (judged.float() - 1).square().mean()


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """How far a critic is from the truth: 0.5 (mean (D(real) - 1)^2 + mean D(fake)^2).  Judgements of any shape."""
    return CRITIC_WEIGHT * ((real.float() - 1).square().mean() + fake.float().square().mean())
