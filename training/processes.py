"""The processes that train one network together, each on its share of every batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Item = TypeVar("Item")

STEPS_BETWEEN_AGREEMENTS = 20


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Who this process is among those that train a trial."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "Processes":
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

    def agree(self, wish: bool, *, step: int, device: torch.device) -> bool:
        """Whether something is to be done at this step: for several processes, if one of them wishes.

        Since they have to wait for each other to answer, several ask only now and then.
        """
        if self.count == 1:
            return wish
        return step % STEPS_BETWEEN_AGREEMENTS == 0 and bool(self.sum(torch.tensor(float(wish), device=device)))

    def share_buffers(self, network: nn.Module) -> None:
        """Gives every process the first one's running statistics, so that all test the same network."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every `count`-th item, from the `rank`-th on."""
        return items[self.rank :: self.count]
