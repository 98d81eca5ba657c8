"""The processes that train one network together, each on its share of every batch."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Item = TypeVar("Item")

STEPS_BETWEEN_SYNCS = 20
"""Of processes with accelerators, whose queues run dry when the processes wait for each other."""


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """Who this process is among those that train a trial."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "ProcessGroup":
        """Those of PyTorch's process group if there is one, else this process alone."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(rank=dist.get_rank(), count=dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, in each of them."""
        return self.sum(values) / self.count

    def shares(self, values: Tensor) -> Tensor:
        """What each process has, (processes, *shape), in each of them."""
        return self.sum(
            torch.stack([values if rank == self.rank else values.new_zeros(values.shape) for rank in range(self.count)])
        )

    def share(self, shares: Tensor) -> Tensor:
        """Of `shares` those that this process had; those of another number of processes go to the first one."""
        if len(shares) == self.count:
            return shares[self.rank]
        return shares.sum(dim=0) * self.first

    def is_sync_step(self, step: int, device: torch.device) -> bool:
        """Whether the processes wait for each other after so many steps, so that they can go on differently."""
        return self.count == 1 or device.type == "cpu" or step % STEPS_BETWEEN_SYNCS == 0

    def any_rank(self, *wishes: bool, device: torch.device) -> list[bool]:
        """For each wish whether some process has it; all have to ask."""
        if self.count == 1:
            return list(wishes)
        return [number > 0 for number in self.sum(torch.tensor(wishes, dtype=torch.float32, device=device)).tolist()]

    @contextmanager
    def main_process_first(self, device: torch.device) -> Iterator[None]:
        """What is done inside, the first process does before all others."""
        if not self.first:
            self.any_rank(False, device=device)
        yield
        if self.first:
            self.any_rank(False, device=device)

    def no_sync(self, module: nn.Module, *, now: bool) -> AbstractContextManager[None]:
        """Where a `DistributedDataParallel` is used inside, its gradients become the mean over all processes.

        Not now, they are added to what is exchanged the next time.
        """
        return nullcontext() if now or not isinstance(module, DistributedDataParallel) else module.no_sync()

    def share_buffers(self, network: nn.Module) -> None:
        """Gives every process the first one's running statistics, so that all test the same network."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every `count`-th item, from the `rank`-th on."""
        return items[self.rank :: self.count]
