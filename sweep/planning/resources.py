"""CPU cores, GPUs and processes of one trial."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from ...specs import Range, Spec, require
from ...store import Price


@dataclass(frozen=True, kw_only=True)
class Resources(Spec):
    """CPU cores, GPUs and processes of one trial, and the number of its restarts."""

    cpu: Annotated[int | None, Range(minimum=1)] = None
    """CPU cores, each with one PyTorch thread. Default: one per process."""
    gpu: Annotated[float | Literal["auto"] | None, pydantic.SkipValidation] = None
    """GPUs, one per process; with a fraction, several trials share a GPU; 0 for the CPU. `auto` trains a few steps of
    each network, and as many trials share a GPU as its memory and time allow. Default: `auto` where there are GPUs, or
    one per process; otherwise 0."""
    processes: Annotated[int | None, Range(minimum=1)] = None
    """Processes that train one network together on one node, each with a share of every batch and of the CPU cores.
    Default: one per GPU, or one."""
    retries: Annotated[int, Range(minimum=0)] = 2
    """Number of restarts of a trial after its worker or node fails; a diverged trial is not restarted."""
    max_epoch_hours: Annotated[float, Range(above=0)] = 24.0
    """Hours within which each epoch has to end; otherwise, the trial is restarted, as after a failure."""

    price: Annotated[float | str | None, pydantic.SkipValidation] = None
    """Price of a device-hour, with or without a currency: `2.5 EUR`. Default: no prices are shown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "price is a number from 0, with or without a currency, such as 2.5 EUR"
        require(self.price is None or self.price_per_hour is not None, rule, price=self.price)
        if self.gpu == "auto":
            require(self.members == 1, "processes == 1 with gpu: auto", processes=self.processes)
        elif self.gpu is not None:
            self._check_accelerators(self.gpu)
        divisible = "cpu is a multiple of processes"
        require(self.cores % self.members == 0, divisible, cpu=self.cores, processes=self.members)

    def _check_accelerators(self, gpu: float) -> None:
        numeric = isinstance(gpu, int | float) and not isinstance(gpu, bool)
        require(numeric and 0 <= gpu < math.inf, "0 <= gpu, or gpu is auto", gpu=gpu)
        require(gpu <= 1 or gpu == int(gpu), "gpu <= 1 or gpu is a whole number", gpu=gpu)
        alone = self.members == 1 and gpu <= 1
        fitting = "gpu == 0 or gpu == processes: each process uses one GPU"
        require(alone or gpu in (0, self.members), fitting, gpu=gpu, processes=self.members)

    @property
    def price_per_hour(self) -> Price | None:
        """Price of a device-hour; None if it is not set, or no price."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?: *([^\W\d]+|[€$£¥]))?", str(self.price))
        return match and Price(amount=float(match[1]), currency=match[2] or "")

    @property
    def members(self) -> int:
        """Number of processes of a trial."""
        return self.processes or (1 if self.gpu in (None, "auto") else max(1, int(self.gpu)))

    @property
    def cores(self) -> int:
        """Number of CPU cores of a trial."""
        return self.cpu or self.members

    def gpu_on(self, gpus: float) -> float | Literal["auto"]:
        """Return the GPUs of a trial, if the largest node has this number of GPUs."""
        if self.gpu is not None:
            return self.gpu
        if gpus < self.members:
            return 0.0
        return "auto" if self.members == 1 else float(self.members)
