"""Evaluation of each exit and of their ensemble."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .distributed import ProcessGroup

MEASURES = ("top1", "top5", "nll", "ece")
BINS = 15
"""Number of confidence bins of equal width, as in Guo et al. 2017, arXiv 1706.04599."""
EXACT = {"confidence": 2.0**30, "nll": 2.0**24}
"""Confidences and likelihoods are rounded to 1 / EXACT. Their sums in float64 are then exact, in any order."""


def exit_names(exits: int) -> list[str]:
    """Return the names of the exits in every record, shallowest first: exit1, exit2, ..., final."""
    return [f"exit{number}" for number in range(1, exits)] + ["final"]


def ensemble(logits: tuple[Tensor, ...]) -> Tensor:
    """Return the output of the ensemble of exits: the mean of their logits (N, C)."""
    return torch.stack(logits).mean(dim=0)


class ExitMetrics:
    """Accuracy, likelihood and calibration of each exit and the ensemble, summed over batches on the device.

    The sums do not depend on how the images are divided into batches.
    """

    def __init__(self, exits: int, device: torch.device) -> None:
        """Start with empty sums for `exits` exits, including the final one."""
        self.names = exit_names(exits) + (["ensemble"] if exits > 1 else [])
        shapes = dict.fromkeys(("images", "top1", "top5", "nll"), ())
        shapes |= dict.fromkeys(("count", "confidence", "correct"), (BINS,))
        rows = len(self.names)
        self.sums = {name: torch.zeros(rows, *s, dtype=torch.float64, device=device) for name, s in shapes.items()}
        """Sums by name, which a checkpoint stores for an unfinished epoch."""
        self._bins = torch.arange(BINS, device=device)

    @torch.no_grad()
    def add(self, exit_logits: tuple[Tensor, ...], labels: Tensor) -> None:
        """Add a batch: the logits (N, C) of each exit and the labels, (N,) class indices or (N, C) probabilities.

        For mixed images, the class with the larger probability is the correct one.
        """
        each = [logits.float() for logits in exit_logits]
        logits = torch.stack(each if len(each) == 1 else [*each, ensemble(tuple(each))])
        log_shares = F.log_softmax(logits, dim=2)
        classes = labels.argmax(dim=1) if labels.dim() == 2 else labels
        answers = logits.topk(min(5, logits.shape[2]), dim=2).indices
        hits = (answers == classes[:, None]).double()
        confidence = _rounded(logits.softmax(dim=2).amax(dim=2), "confidence")
        bins = ((confidence * BINS).long().clamp(0, BINS - 1)[:, :, None] == self._bins).double()
        if labels.dim() == 2:
            log_likelihood = (log_shares * labels).sum(dim=2)
        else:
            log_likelihood = log_shares.gather(2, classes.expand(len(logits), -1)[:, :, None]).squeeze(2)
        self.sums["images"] += len(labels)
        self.sums["top1"] += hits[:, :, 0].sum(dim=1)
        self.sums["top5"] += hits.sum(dim=(1, 2))
        self.sums["nll"] -= _rounded(log_likelihood, "nll").sum(dim=1)
        self.sums["count"] += bins.sum(dim=1)
        self.sums["confidence"] += (bins * confidence[:, :, None]).sum(dim=1)
        self.sums["correct"] += (bins * hits[:, :, :1]).sum(dim=1)

    def summary(self, split: str, processes: ProcessGroup) -> dict[str, float]:
        """Return the metrics `<split>/<exit>/<measure>` over the images of all processes.

        `top1` and `top5` are in percent, `nll` is in nats per image, and `ece`, the expected calibration error, is in
        [0, 1].
        """
        sums = {name: processes.sum(values) for name, values in self.sums.items()}
        images = sums["images"]
        measured = {
            "top1": 100 * sums["top1"] / images,
            "top5": 100 * sums["top5"] / images,
            "nll": sums["nll"] / images,
            "ece": (sums["confidence"] - sums["correct"]).abs().sum(dim=1) / images,
        }
        return {
            f"{split}/{name}/{measure}": value
            for measure, values in measured.items()
            for name, value in zip(self.names, values.tolist(), strict=True)
        }

    def reliability(self, processes: ProcessGroup) -> dict[str, list[list[float]]]:
        """Return the bins of a reliability diagram for each exit, over the images of all processes.

        The bins divide the confidences [0, 1] into equal parts. Each has the number of its images, their mean
        confidence and their accuracy, both in [0, 1]; all are 0 in an empty bin.
        """
        count, confidence, correct = (processes.sum(self.sums[name]) for name in ("count", "confidence", "correct"))
        some = count.clamp(min=1)
        bins = torch.stack([count, confidence / some, correct / some], dim=2)
        return dict(zip(self.names, bins.tolist(), strict=True))


def _rounded(values: Tensor, name: str) -> Tensor:
    return (values.double() * EXACT[name]).round() / EXACT[name]
