"""Training metrics of one epoch, accumulated step by step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..store import Record
from .distributed import ProcessGroup
from .evaluation import ExitMetrics
from .step import Batch


class EpochMetrics:
    """Sums over the steps of one epoch, on the device; checkpoints include them, so a restart loses none."""

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
        """Start with empty sums.

        Args:
            exits: number of exits, including the final one.
            images: number of training images.
            classes: number of classes.
            keeps_logits: True if the next epoch needs the final exit's logits of each image in this epoch.
            device: device of the sums.
            processes: processes that train the network.
        """
        self.step = 0
        """Number of completed steps."""
        self.seconds = 0.0
        """Training time of the completed steps, in seconds."""
        self._images = images
        self._processes = processes
        self._metrics = ExitMetrics(exits, device)
        self._sums: dict[str, Tensor] = {}  # sums over steps of images times mean value
        self._logits = torch.zeros(images, classes, device=device) if keeps_logits else None

    def add_outputs(self, batch: Batch, logits: tuple[Tensor, ...]) -> None:
        """Add the logits (N, C) of each exit for a batch of this process."""
        self._metrics.add(logits, batch.labels)
        if self._logits is not None:
            self._logits[batch.numbers] = logits[-1].detach().float()

    def add_step(self, values: Mapping[str, Tensor], images: int) -> None:
        """Add the scalars of a step, each a mean over `images` images and equal in all processes."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + images * value.double()
        self.step += 1

    def logits(self) -> Tensor | None:
        """Return the logits of all images (images, C), in each process; None if they are not kept."""
        return None if self._logits is None else self._processes.sum(self._logits)

    def record(self) -> Record:
        """Return the means over all images, as `train/...`."""
        means = {f"train/{name}": float(total) / self._images for name, total in self._sums.items()}
        return means | self._metrics.summary("train", self._processes)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, equal in every process; every process must make this call."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "sums": self._sums,
            "metrics": {name: self._processes.shares(total) for name, total in self._metrics.sums.items()},
            "logits": self.logits(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from `state`."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        self._sums = state["sums"]
        self._metrics.sums = {name: self._processes.share(shares) for name, shares in state["metrics"].items()}
        if self._processes.first:  # the sum over all processes continues in one of them
            self._logits = state["logits"]
