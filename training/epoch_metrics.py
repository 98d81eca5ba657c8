"""Training metrics of one epoch, accumulated step by step."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..store import Record
from .distributed import ProcessGroup
from .evaluation import ExitMetrics
from .step import Batch

PENDING_BYTES = 8 * 2**20
"""Size of the outputs that are kept until their metrics are computed at once, for a few kernels in a step."""


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
        self._device = device
        self._metrics = ExitMetrics(exits, device)
        self._pending: list[tuple[Tensor, Tensor]] = []  # logits (exits, N, C) and labels
        self._pending_bytes = 0
        self._sums: dict[tuple[str, ...], Tensor] = {}  # sums over steps of images times mean value, by their names
        self._logits = torch.zeros(images, classes, device=device) if keeps_logits else None

    def add_outputs(self, batch: Batch, logits: tuple[Tensor, ...]) -> None:
        """Add the logits (N, C) of each exit for a batch of this process."""
        kept = torch.stack(logits).detach()  # a copy, since a compiled network writes to the same memory in each step
        self._pending.append((kept, batch.labels))
        self._pending_bytes += kept.nbytes
        if self._pending_bytes >= PENDING_BYTES:
            self._add_pending()
        if self._logits is not None:
            self._logits[batch.numbers] = logits[-1].detach().float()

    def add_step(self, names: tuple[str, ...], values: Tensor, images: int) -> None:
        """Add the values (n,) of a step, each a mean over `images` images and equal in all processes."""
        if names not in self._sums:
            self._sums[names] = torch.zeros(len(names), dtype=torch.float64, device=self._device)
        self._sums[names].add_(values, alpha=images)
        self.step += 1

    def _add_pending(self) -> None:
        if self._pending:
            logits, labels = zip(*self._pending, strict=True)
            self._metrics.add(torch.cat(logits, dim=1).unbind(), torch.cat(labels))
        self._pending, self._pending_bytes = [], 0

    def _totals(self) -> dict[str, float]:
        totals: dict[str, float] = defaultdict(float)
        for names, sums in self._sums.items():
            for name, total in zip(names, sums.tolist(), strict=True):
                totals[name] += total
        return totals

    def logits(self) -> Tensor | None:
        """Return the logits of all images (images, C), in each process; None if they are not kept."""
        return None if self._logits is None else self._processes.sum(self._logits)

    def record(self) -> Record:
        """Return the means over all images, as `train/...`."""
        self._add_pending()
        means = {f"train/{name}": total / self._images for name, total in self._totals().items()}
        return means | self._metrics.summary("train", self._processes)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, equal in every process; every process must make this call."""
        self._add_pending()
        return {
            "step": self.step,
            "seconds": self.seconds,
            "sums": {
                name: torch.tensor(total, dtype=torch.float64, device=self._device)
                for name, total in self._totals().items()
            },
            "metrics": {name: self._processes.shares(total) for name, total in self._metrics.sums.items()},
            "logits": self.logits(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from `state`."""
        self.step = state["step"]
        self.seconds = state["seconds"]
        names, sums = tuple(state["sums"]), list(state["sums"].values())
        self._sums = {names: torch.stack(sums)} if sums else {}
        self._metrics.sums = {name: self._processes.share(shares) for name, shares in state["metrics"].items()}
        if self._processes.first:  # the sum over all processes continues in one of them
            self._logits = state["logits"]
