"""One training in several processes, one per GPU: `torchrun --nproc-per-node N --no-python myomirror train ...`

Every process holds all networks and computes on its share of each batch; gradients are averaged by hand before each
step.  That is less machinery than a wrapper per network, and a GAN step calls networks that must not be trained at that
moment.  As every loss is a mean over pictures and every norm stays within one picture, N processes with equal shares
take the steps of one process with the whole batch, up to rounding.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from rt.errors import BadSettings, MissingDevice


@dataclass(frozen=True)
class Ranks:
    """The processes of this training, seen from one of them."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks to people."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of a batch's `count` items are this process'.  Raises BadSettings when they cannot be shared evenly."""
        if count % self.size:
            raise BadSettings(
                f"a batch of {count} cannot be shared by {self.size} processes: "
                f"--set batch={-(-count // self.size) * self.size}"
            )
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; parameters without one are left out."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        means = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def gather(self, items: Tensor) -> Tensor:
        """The whole batch from every process' share, joined along the first axis in the processes' order; detached."""
        items = items.detach()
        if self.size == 1:
            return items
        parts = [torch.empty_like(items, memory_format=torch.contiguous_format) for _ in range(self.size)]
        distributed.all_gather(parts, items.contiguous())
        return torch.cat(parts)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether it is up in any process: what one decides, all do."""
        if self.size == 1:
            return flags
        raised = torch.tensor([int(flag) for flag in flags], device=self.device)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised.tolist())

    def mean(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Each loss' mean over the processes."""
        if self.size == 1:
            return dict(losses)
        values = torch.tensor([losses[name] for name in sorted(losses)], dtype=torch.float64).to(self.device)
        distributed.all_reduce(values)
        return dict(zip(sorted(losses), (values / self.size).tolist(), strict=True))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that torchrun started, or be the only one.

    device: "auto" takes a GPU where there is one; "cpu"; "cuda".
    Raises MissingDevice when there is no GPU, or fewer than processes.
    """
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if kind == "cuda" and local >= torch.cuda.device_count():
        raise MissingDevice(
            f"PyTorch finds {torch.cuda.device_count()} GPUs, this is process {local + 1}: "
            f"start fewer processes, or train with --device cpu"
        )
    place = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(place)
        return
    if kind == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Ranks(place, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
