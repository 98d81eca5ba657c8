"""What one trial occupies while it trains."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from ...specs import Range, Spec, require


@dataclass(frozen=True, kw_only=True)
class Resources(Spec):
    """What one trial occupies while it trains, and how often it is started again."""

    cpu: Annotated[int | None, Range(minimum=1)] = None
    """Processor cores, each with a thread of PyTorch's; if not said, one for each process."""
    gpu: Annotated[float | Literal["auto"], pydantic.SkipValidation] = 0.0
    """Accelerators, one for each process; a fraction lets several trials share one. `auto`: as many trials share one as
    fit into its memory, which is found by measuring what a trial needs."""
    processes: Annotated[int | None, Range(minimum=1)] = None
    """How many train the network together, on one machine, each on its share of every batch and of the cores; if not
    said, one for each accelerator, or one."""
    retries: Annotated[int, Range(minimum=0)] = 2
    """How often a trial is started again after its worker or its machine died; one that diverged never is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gpu == "auto":
            require(self.members == 1, "processes == 1 with gpu: auto", processes=self.processes)
        else:
            self._check_accelerators(self.gpu)
        divisible = "cpu is a multiple of processes"
        require(self.cores % self.members == 0, divisible, cpu=self.cores, processes=self.members)

    def _check_accelerators(self, gpu: float) -> None:
        numeric = isinstance(gpu, int | float) and not isinstance(gpu, bool)
        require(numeric and 0 <= gpu < math.inf, "0 <= gpu, or gpu is auto", gpu=gpu)
        require(gpu <= 1 or gpu == int(gpu), "gpu <= 1 or gpu is a whole number", gpu=gpu)
        alone = self.members == 1 and gpu <= 1
        fitting = "gpu == 0 or gpu == processes: each process uses one accelerator"
        require(alone or gpu in (0, self.members), fitting, gpu=gpu, processes=self.members)

    @property
    def members(self) -> int:
        """How many processes a trial has."""
        return self.processes or (1 if self.gpu == "auto" else max(1, int(self.gpu)))

    @property
    def cores(self) -> int:
        """How many cores a trial has."""
        return self.cpu or self.members
