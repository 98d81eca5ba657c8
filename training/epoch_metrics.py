"""What is measured of an epoch while it is under way."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .directory import Record
from .distributed import ProcessGroup
from .evaluation import ExitMetrics
from .step import Batch


class EpochMetrics:
    """Sums over the steps of one epoch, kept on the device; a checkpoint has them, so a restart loses none."""

    def __init__(
        self,
        exits: int,
        images: int,
        classes: int,
        *,
        keeps_logits: bool,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        """Of a network with this many exits, before the first step over this many images.

        keeps_logits: whether the next epoch needs what the final exit says of each image in this one.
        """
        self.step = 0
        """How many steps are done."""
        self.seconds = 0.0
        self._images = images
        self._processes = processes
        self._metrics = ExitMetrics(exits, device)
        self._sums: dict[str, Tensor] = {}  # over steps, of their images times what was measured of them all
        self._logits = torch.zeros(images, classes, device=device) if keeps_logits else None

    def add_outputs(self, batch: Batch, logits: tuple[Tensor, ...]) -> None:
        """Takes in what this process's network said of a batch: the logits (N, C) of each exit."""
        self._metrics.add(logits, batch.labels)
        if self._logits is not None:
            self._logits[batch.numbers] = logits[-1].detach().float()

    def add_step(self, values: Mapping[str, Tensor], images: int) -> None:
        """Takes in a step's scalars, each a mean over so many images, the same in all processes."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + images * value.double()
        self.step += 1

    def logits(self) -> Tensor | None:
        """Of all images (images, C), in each process; None if they are not kept."""
        return None if self._logits is None else self._processes.sum(self._logits)

    def record(self) -> Record:
        """Means over all images, as `train/...`."""
        means = {f"train/{name}": float(total) / self._images for name, total in self._sums.items()}
        return means | self._metrics.summary("train", self._processes)

    def state(self) -> dict[str, Any]:
        """For a checkpoint, the same in every process; all have to ask."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "sums": self._sums,
            "metrics": {name: self._processes.shares(total) for name, total in self._metrics.sums.items()},
            "logits": self.logits(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        self._sums = state["sums"]
        self._metrics.sums = {name: self._processes.share(shares) for name, shares in state["metrics"].items()}
        if self._processes.first:  # what was summed over all processes goes on in one of them
            self._logits = state["logits"]
