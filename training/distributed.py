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
"""Steps between synchronisations of GPU processes, whose kernel queues run empty while they wait for each other."""


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """Rank of this process, and number of processes that train a trial."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "ProcessGroup":
        """Return PyTorch's process group if it is initialised, else this process alone."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(rank=dist.get_rank(), count=dist.get_world_size())

    @property
    def first(self) -> bool:
        """True if this process writes the files, as rank 0 does."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, in each of them."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes, in each of them."""
        return self.sum(values) / self.count

    def shares(self, values: Tensor) -> Tensor:
        """Return the values of every process, `(processes, *shape)`, in each of them."""
        return self.sum(
            torch.stack([values if rank == self.rank else values.new_zeros(values.shape) for rank in range(self.count)])
        )

    def share(self, shares: Tensor) -> Tensor:
        """Return this process's values in `shares`; if the number of processes has changed, rank 0 gets their sum."""
        if len(shares) == self.count:
            return shares[self.rank]
        return shares.sum(dim=0) * self.first

    def is_sync_step(self, step: int, device: torch.device) -> bool:
        """Return True if the processes synchronise after `step` steps, and can then stop together."""
        return self.count == 1 or device.type == "cpu" or step % STEPS_BETWEEN_SYNCS == 0

    def any_rank(self, *wishes: bool, device: torch.device) -> list[bool]:
        """Return, for each flag, True if any process has set it; every process must make this call."""
        if self.count == 1:
            return list(wishes)
        return [number > 0 for number in self.sum(torch.tensor(wishes, dtype=torch.float32, device=device)).tolist()]

    @contextmanager
    def main_process_first(self, device: torch.device) -> Iterator[None]:
        """Run the block in rank 0 before the other processes run it."""
        if not self.first:
            self.any_rank(False, device=device)
        yield
        if self.first:
            self.any_rank(False, device=device)

    def parallel(self, module: nn.Module, *, broadcast_buffers: bool) -> nn.Module:
        """Return a module whose gradients are averaged over the processes; in one process, the module itself.

        With `broadcast_buffers`, all processes get the buffers of rank 0 before each step. Running statistics need it
        only before an evaluation, see `share_buffers`.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=broadcast_buffers, gradient_as_bucket_view=True)

    def no_sync(self, module: nn.Module, *, now: bool) -> AbstractContextManager[None]:
        """Return a context in which a `DistributedDataParallel` averages its gradients over all processes if `now`.

        Otherwise the gradients are accumulated until the next exchange.
        """
        return nullcontext() if now or not isinstance(module, DistributedDataParallel) else module.no_sync()

    def share_buffers(self, network: nn.Module) -> None:
        """Copy the running statistics of rank 0 to every process, so that all evaluate the same network."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return every `count`-th item, from item `rank` on."""
        return items[self.rank :: self.count]
