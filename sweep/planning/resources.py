"""Machines, CPU cores, GPUs, memory and processes of one trial."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from ...specs import Range, Spec, SpecError, require
from ...store import Price

OWN_KEYS = {"CPU": "cpu", "GPU": "gpu", "memory": "memory", "object_store_memory": "memory"}
"""Names of Ray's resources that are no custom ones, and the key for each."""


@dataclass(frozen=True, kw_only=True)
class Resources(Spec):
    """Machines, CPU cores, GPUs, memory and processes of one trial, and the number of its restarts."""

    nodes: Annotated[int, Range(minimum=1)] = 1
    """Machines that train one network together, each with an equal part of `cpu`, `gpu` and `processes`."""
    cpu: Annotated[int | None, Range(minimum=1)] = None
    """CPU cores, each with one PyTorch thread. Default: one per process."""
    gpu: Annotated[float | Literal["auto"] | None, pydantic.SkipValidation] = None
    """GPUs, one per process; with a fraction, several trials share a GPU; 0 for the CPU. `auto` trains a few steps of
    each network, and as many trials share a GPU as its memory and time allow. Default: `auto` where there are GPUs, or
    one per process; otherwise 0."""
    processes: Annotated[int | None, Range(minimum=1)] = None
    """Processes that train one network together, each with a share of every batch and of the CPU cores. Default: one
    per GPU, or one per machine."""
    accelerator: str | None = None
    """Model of GPU that a machine needs, by its name in Ray, such as `A100`. Default: any."""
    memory: Annotated[pydantic.ByteSize | None, Range(minimum=1)] = None
    """Memory that a trial reserves on each of its machines, such as `16 GB`. Default: none is reserved."""
    custom: dict[str, float] | None = None
    """Custom resources of Ray that a trial needs on each of its machines, such as `{fast_disk: 1}`."""
    retries: Annotated[int, Range(minimum=0)] = 2
    """Number of restarts of a trial after its worker fails. A trial that diverged is not restarted; a restart after the
    failure of a machine does not count."""
    max_epoch_hours: Annotated[float, Range(above=0)] = 24.0
    """Hours within which each epoch has to end; otherwise, the trial is restarted, as after a failure."""

    price: Annotated[float | str | None, pydantic.SkipValidation] = None
    """Price of a device-hour, with or without a currency: `2.5 EUR`. Default: no prices are shown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "price is a number from 0, with or without a currency, such as 2.5 EUR"
        require(self.price is None or self.price_per_hour is not None, rule, price=self.price)
        if self.gpu == "auto":
            require(self.nodes == 1, "nodes == 1 with gpu: auto", nodes=self.nodes)
            require(self.members == 1, "processes == 1 with gpu: auto", processes=self.processes)
        elif self.gpu is not None:
            self._check_accelerators(self.gpu)
        for name, number in (("processes", self.members), ("cpu", self.cores)):
            divisible = f"{name} is a multiple of nodes"
            require(number % self.nodes == 0, divisible, **{name: number, "nodes": self.nodes})
        divisible = "cpu is a multiple of processes"
        require(self.cores % self.members == 0, divisible, cpu=self.cores, processes=self.members)
        if self.accelerator is not None:
            require(self.gpu != 0, "gpu > 0 with accelerator", accelerator=self.accelerator, gpu=self.gpu)
        self._check_custom(self.custom or {})

    def _check_accelerators(self, gpu: float) -> None:
        numeric = isinstance(gpu, int | float) and not isinstance(gpu, bool)
        require(numeric and 0 <= gpu < math.inf, "0 <= gpu, or gpu is auto", gpu=gpu)
        require(gpu <= 1 or gpu == int(gpu), "gpu <= 1 or gpu is a whole number", gpu=gpu)
        alone = self.members == 1 and gpu <= 1
        fitting = "gpu == 0 or gpu == processes: each process uses one GPU"
        require(alone or gpu in (0, self.members), fitting, gpu=gpu, processes=self.members)

    def _check_custom(self, custom: dict[str, float]) -> None:
        for name, number in custom.items():
            if name in OWN_KEYS or not name:
                advice = f"set `{OWN_KEYS[name]}` instead" if name else "give its name in Ray"
                raise SpecError(f"custom: {name!r} is no custom resource; {advice}.", field="custom")
            whole = 0 < number <= 1 or (1 < number < math.inf and number == int(number))
            if not whole:
                rule = f"`0 < {name} <= 1 or {name} is a whole number` must hold, but got {name}={number:g}"
                raise SpecError(f"custom: {rule}.", field="custom")

    @property
    def price_per_hour(self) -> Price | None:
        """Price of a device-hour; None if it is not set, or no price."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?: *([^\W\d]+|[€$£¥]))?", str(self.price))
        return match and Price(amount=float(match[1]), currency=match[2] or "")

    @property
    def members(self) -> int:
        """Number of processes of a trial."""
        return self.processes or (self.nodes if self.gpu in (None, "auto") else max(self.nodes, int(self.gpu)))

    @property
    def cores(self) -> int:
        """Number of CPU cores of a trial."""
        return self.cpu or self.members

    @property
    def threads(self) -> int:
        """Number of PyTorch threads of each process."""
        return self.cores // self.members

    def gpu_on(self, gpus: float) -> float | Literal["auto"]:
        """Return the GPUs of a trial, if each of its machines has at least this number of GPUs."""
        if self.gpu is not None:
            return self.gpu if self.gpu == "auto" else float(self.gpu)
        if gpus * self.nodes < self.members:
            return 0.0
        return "auto" if self.members == 1 else float(self.members)

    def bundles(self, gpu: float) -> list[dict[str, float]]:
        """Return what Ray reserves on each machine, by Ray's names of the resources.

        Args:
            gpu: number of GPUs of the trial, or its share of one.
        """
        bundle: dict[str, float] = {"CPU": self.cores // self.nodes, "GPU": gpu / self.nodes}
        if self.memory is not None:
            bundle["memory"] = int(self.memory)
        if self.accelerator is not None:
            bundle[f"accelerator_type:{self.accelerator}"] = 0.001
        return [{**bundle, **(self.custom or {})} for _ in range(self.nodes)]
