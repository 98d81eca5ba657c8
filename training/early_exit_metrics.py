"""Metrics of early-exit inference: accuracy and cost at one threshold for all exits."""

import torch
from torch import Tensor

from ..models.early_exit.inference import criteria
from .distributed import ProcessGroup

CRITERION = "max_probability"
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)


class EarlyExitMetrics:
    """Exit counts and correct predictions at each threshold, summed over batches on the device."""

    def __init__(self, costs: Tensor) -> None:
        """Start with empty sums; `costs` (exits,) are the multiply-adds (MACs) of an image that leaves at each exit."""
        self._costs = costs.double()
        self._thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64, device=costs.device)
        self._left = torch.zeros(len(THRESHOLDS), len(costs), dtype=torch.float64, device=costs.device)
        self._right = torch.zeros(len(THRESHOLDS), dtype=torch.float64, device=costs.device)

    @torch.no_grad()
    def add(self, exit_logits: tuple[Tensor, ...], labels: Tensor, exit_scores: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            exit_logits: Logits (N, C) of each exit.
            labels: Class indices (N,).
            exit_scores: Scores (exits - 1, N) that are compared with the thresholds. Default: top-class probabilities.
        """
        tops = torch.stack([logits.argmax(1) for logits in exit_logits])
        scores = torch.stack([criteria[CRITERION].score(logits.float(), tops[:0]) for logits in exit_logits]).double()
        if exit_scores is not None:
            scores[:-1] = exit_scores
        leaves = scores >= self._thresholds[:, None, None]
        leaves[:, -1] = True
        first = leaves & (leaves.cumsum(1) == 1)  # (thresholds, exits, N): True at the exit where an image leaves
        self._left += first.sum(2)
        self._right += (first & (tops == labels)).sum((1, 2))

    def points(self, processes: ProcessGroup) -> list[list[float]]:
        """Return each threshold with multiply-adds per image and accuracy in %, over the images of all processes."""
        left, right = processes.sum(self._left), processes.sum(self._right)
        images = left.sum(1)
        costs, accuracy = left @ self._costs / images, 100 * right / images
        return torch.stack([self._thresholds, costs, accuracy], dim=1).tolist()
