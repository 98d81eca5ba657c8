"""Calibration of early-exit thresholds on a validation split, for a budget of multiply-adds (MACs) or an accuracy.

In all functions, logits (E, N, C) are those of E exits for N images, labels are (N,), and costs (E,) are the
cumulative multiply-adds of an image that leaves at each exit. Any other positive cost can take their place, such as
measured times. Logits are divided by temperatures beforehand; see `scaled`.

The protocols are those of MSDNet (Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018, section 3). In `anytime` prediction, all images leave at the same exit. In `budgeted` batch
classification, easy images leave early, so that the mean cost stays within the budget. As in the paper and its code
(kalviny/MSDNet-PyTorch, 0b0c543), the share of images that leave at exit k is proportional to q^k, and thresholds are
set exit by exit to give these shares. The candidates also include thresholds that send all images to one exit. For
patience, which has integer thresholds, the candidates have one threshold for all exits. The best candidate on the
validation split is selected.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...specs import SpecError, require
from .inference import criteria

RATIOS = torch.logspace(-3, 3, 301, dtype=torch.float64)
"""Candidate values of q."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Cost and accuracy of thresholds on a set of images."""

    criterion: str
    """Name of the criterion."""
    thresholds: tuple[float | None, ...]
    """Threshold of each exit except the final one, as `EarlyExit` accepts them; None if no image leaves there."""
    cost: float
    """Mean multiply-adds per image."""
    accuracy: float
    """Share of images whose top class is correct, from 0 to 1."""
    shares: tuple[float, ...]
    """Share of the images that leave at each exit."""
    risk: float
    """Share of the images that the final exit classifies correctly and their own exit does not, from 0 to 1.

    The accuracy of the final exit minus that of the early exits is never above it.
    """


@dataclass(frozen=True, kw_only=True)
class AnytimePoint:
    """Cost and accuracy of one exit for all images."""

    cost: float
    """Multiply-adds per image."""
    accuracy: float
    """Share of images whose top class is correct, from 0 to 1."""


def anytime(logits: Tensor, labels: Tensor, costs: Sequence[float]) -> tuple[AnytimePoint, ...]:
    """Return the cost and the accuracy of each exit."""
    _check(logits, labels, costs)
    accuracies = (logits.argmax(2) == labels).double().mean(1).tolist()
    return tuple(
        AnytimePoint(cost=float(cost), accuracy=accuracy) for cost, accuracy in zip(costs, accuracies, strict=True)
    )


def evaluate(
    logits: Tensor, labels: Tensor, costs: Sequence[float], criterion: str, thresholds: float | Sequence[float | None]
) -> OperatingPoint:
    """Evaluate an `EarlyExit` with given thresholds, for example on the test split after calibration."""
    return ExitAnswers(logits, labels, costs, criterion).point(criteria[criterion].checked(thresholds, len(costs)))


def budgeted(
    logits: Tensor, labels: Tensor, costs: Sequence[float], budgets: Sequence[float], criterion: str
) -> tuple[OperatingPoint, ...]:
    """Return the most accurate thresholds within each budget of mean multiply-adds per image.

    Raises:
        SpecError: for a budget below the minimum cost. The message gives the minimum.
    """
    points = ExitAnswers(logits, labels, costs, criterion).family()
    least = min(point.cost for point in points)
    for budget in budgets:
        require(budget >= least, f"budget >= {least}, the minimum cost with criterion {criterion}", budget=budget)
    return tuple(
        max((point for point in points if point.cost <= budget), key=lambda point: (point.accuracy, -point.cost))
        for budget in budgets
    )


def calibrate_to_budget(
    logits: Tensor, labels: Tensor, costs: Sequence[float], budget: float, criterion: str
) -> OperatingPoint:
    """Return the most accurate thresholds within a budget of mean multiply-adds per image; see `budgeted`."""
    return budgeted(logits, labels, costs, (budget,), criterion)[0]


def calibrate_to_accuracy(
    logits: Tensor, labels: Tensor, costs: Sequence[float], floor: float, criterion: str
) -> OperatingPoint:
    """Return the cheapest thresholds with an accuracy, from 0 to 1, of at least `floor`.

    Raises:
        SpecError: for a floor above the maximum accuracy. The message gives the maximum.
    """
    points = ExitAnswers(logits, labels, costs, criterion).family()
    highest = max(point.accuracy for point in points)
    require(floor <= highest, f"accuracy <= {highest}, the maximum with criterion {criterion}", accuracy=floor)
    return min((point for point in points if point.accuracy >= floor), key=lambda point: (point.cost, -point.accuracy))


class ExitAnswers:
    """Scores and correctness of all exits on a set of images, from which operating points are computed."""

    def __init__(self, logits: Tensor, labels: Tensor, costs: Sequence[float], criterion: str) -> None:
        """Compute the scores; raise `SpecError` for wrong shapes, NaN or costs that decrease."""
        _check(logits, labels, costs)
        self._name, self._criterion = criterion, criteria[criterion]
        self._costs = torch.as_tensor(costs, dtype=torch.float64)
        top_classes = logits.argmax(2).cpu()
        self._right = top_classes == labels.cpu()
        before_final = range(len(logits) - 1)
        self._scores = [
            self._criterion.score(logits[exit_index].float().cpu(), top_classes[: exit_index + 1].T)
            for exit_index in before_final
        ]

    def point(self, thresholds: tuple[float | None, ...]) -> OperatingPoint:
        """Return the cost and the accuracy of thresholds."""
        exits, images = self._right.shape
        reached = [self._criterion.reached(*pair) for pair in zip(self._scores, thresholds, strict=True)]
        at = torch.stack([*reached, torch.ones(images, dtype=torch.bool)]).byte().argmax(0)  # the first True
        shares = at.bincount(minlength=exits).double() / images
        right = self._right.gather(0, at[None])[0]
        return OperatingPoint(
            criterion=self._name,
            thresholds=thresholds,
            cost=self._costs[at].mean().item(),
            accuracy=right.double().mean().item(),
            shares=tuple(shares.tolist()),
            risk=(self._right[-1] & ~right).double().mean().item(),
        )

    def family(self) -> list[OperatingPoint]:
        """Return all candidates."""
        return [self.point(thresholds) for thresholds in dict.fromkeys(self._candidates())]

    def _candidates(self) -> Iterator[tuple[float | None, ...]]:
        exits, images = self._right.shape
        if self._criterion.whole:
            for threshold in range(1, max(exits, 2)):
                yield (threshold,) * (exits - 1)
            return
        order = [scores.argsort(descending=not self._criterion.leaves_below) for scores in self._scores]
        powers = RATIOS[:, None] ** torch.arange(exits)
        for shares in torch.cat([torch.eye(exits), powers / powers.sum(1, keepdim=True)]):
            yield self._thresholds(order, (shares * images).int().tolist())

    def _thresholds(self, order: list[Tensor], leaving: list[int]) -> tuple[float | None, ...]:
        """Return thresholds with which `leaving` images leave at each exit, or more if scores are equal."""
        criterion, thresholds = self._criterion, []
        here = torch.ones(self._right.shape[1], dtype=torch.bool)
        for scores, ordered, count in zip(self._scores, order, leaving[:-1], strict=True):
            candidates = ordered[here[ordered]]
            if count == 0:
                threshold = None
            elif count >= len(candidates):
                threshold = criterion.thresholds.maximum if criterion.leaves_below else criterion.thresholds.minimum
            else:
                threshold = scores[candidates[count - 1]].item()
            thresholds.append(threshold)
            here = here & ~criterion.reached(scores, threshold)
        return tuple(thresholds)


def _check(logits: Tensor, labels: Tensor, costs: Sequence[float]) -> None:
    require(logits.ndim == 3 and logits.shape[1] > 0, "logits are (exits, images, classes)", logits=logits.shape)
    require(labels.shape == logits.shape[1:2], f"labels are ({logits.shape[1]},)", labels=labels.shape)
    require(len(costs) == len(logits), f"costs has one value for each of the {len(logits)} exits", costs=costs)
    rising = all(0 < cost <= later for cost, later in zip(costs, [*costs[1:], float("inf")], strict=True))
    require(rising, "costs are positive and do not decrease from exit to exit", costs=costs)
    if logits.isnan().any():
        raise SpecError("logits contain NaN; check the training of the network.", field="logits")
