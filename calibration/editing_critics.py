"""All critics of Cascade EF-GAN together: of faces, of eyes, nose and mouth, and of the expressions between.

Each region's critic judges what that region's branch made and reads the labels that show there; the face's judges the
result and the global branch's picture, and reads all.  Which labels a region's critic reads is our choice: eyes do not
say how far lips are apart.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from calibration.expression_critics import FaceCritic, Judged, LabelCritic, initialise_critic
from calibration.losses.cascade import adversarial_loss, conditional_loss, gradient_penalty, wasserstein_loss
from engines.face.action_units import PROFILES, labels_in
from engines.networks.cascade_editor import REGIONS, EditorSizes, Step

FACE, LABELS = "face", "labels"  # names beside the regions'


class EditingCritics:
    """What they lower, and what they think of an edit."""

    def __init__(self, sizes: EditorSizes, ndf: int, seed: int) -> None:
        """sizes: of the editor that is judged.  ndf: features."""
        self._places = dict(zip(REGIONS, sizes.patches, strict=False))
        self._read = {FACE: list(range(PROFILES[sizes.profile]))}
        self._read |= {name: list(labels_in(name, sizes.profile)) for name in self._places}
        self.networks: dict[str, nn.Module] = {FACE: FaceCritic(sizes.size, sizes.size, sizes.labels, ndf)}
        for name, (_, _, height, width) in self._places.items():
            self.networks[name] = FaceCritic(height, width, len(self._read[name]), ndf)
        self.networks[LABELS] = LabelCritic(sizes.labels, sizes.between)
        for place, critic in enumerate(self.networks.values()):
            initialise_critic(critic, seed + place)

    def losses(self, step: Step, face: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """How far they are from telling real faces from made ones, and from reading real ones.

        step: what a module made, detached.  face: (N, 3, S, S), real ones.  labels: (N, labels), what those show.
        """
        away, misread = [], []
        for name, fake in self._made(step):
            real = self._judge(name, self._cut(name, face))
            away.append(wasserstein_loss(real.real, self._judge(name, fake).real))
            misread.append(conditional_loss(real.labels, labels[:, self._read[name]]))
        return {"critic": total(away), "critic_cond": total(misread)}

    def penalty(self, step: Step, face: Tensor, share: Tensor) -> Tensor:
        """How far their slopes are from 1, summed.  share: (N,) in [0, 1].  To be called in full precision."""
        return total(
            [
                gradient_penalty(
                    lambda x, name=name: self._judge(name, x).real,  # type: ignore[misc]
                    self._cut(name, face),
                    fake[: len(share)],
                    share,
                )
                for name, fake in self._made(step)
            ]
        )

    def label_losses(self, real: Tensor, between: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """The same of expressions: distance and penalty.  real, between: (N, labels)."""
        critic = self.networks[LABELS]
        return wasserstein_loss(critic(real), critic(between)), gradient_penalty(critic, real, between, share)

    def believed(self, between: Tensor) -> Tensor:
        """L_interp's second part: how little interpolated expressions are taken for real."""
        return adversarial_loss(self.networks[LABELS](between))

    def opinion(self, step: Step, told: Tensor) -> tuple[Tensor, Tensor]:
        """L_adv and L_cond of what a module made.  told: (N, labels), the expression that was wanted."""
        adversarial, conditional = [], []
        for name, fake in self._made(step):
            said = self._judge(name, fake)
            adversarial.append(adversarial_loss(said.real))
            wanted = told[:, self._read[name]].repeat(len(fake) // len(told), 1)
            conditional.append(conditional_loss(said.labels, wanted))
        return total(adversarial), total(conditional)

    def _made(self, step: Step) -> list[tuple[str, Tensor]]:
        """(critic, what it judges): (2 N or N, 3, S, S), then a (N, 3, h, w) for each region."""
        if not step.patches:
            return [(FACE, step.face)]
        return [(FACE, torch.cat((step.face, step.whole))), *zip(REGIONS, step.patches, strict=True)]

    def _cut(self, name: str, face: Tensor) -> Tensor:
        if name == FACE:
            return face
        top, left, height, width = self._places[name]
        return face[:, :, top : top + height, left : left + width]

    def _judge(self, name: str, picture: Tensor) -> Judged:
        found: Judged = self.networks[name](picture)
        return found


def total(values: Sequence[Tensor]) -> Tensor:
    """Their sum."""
    return torch.stack(list(values)).sum()


def summed(each: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The sum of each name's values."""
    return {name: total([one[name] for one in each]) for name in each[0]}
