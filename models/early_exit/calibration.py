"""Thresholds for early exits, found on a validation split: for a budget of multiply-adds, or for a floor of accuracy.

Everywhere, logits (E, N, C) are those of all E exits for N images, labels are (N,), and costs (E,) are the
multiply-adds of an image that leaves at each exit, all that it passed included.

The protocols are MSDNet's (Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification",
ICLR 2018, section 3): `anytime` prediction takes every image to the same exit; in `budgeted` batch classification
easy images leave early, so that all together cost no more than the budget. As in the paper and its program
(kalviny/MSDNet-PyTorch, 0b0c543), the share of images that leave at exit k is proportional to q^k; the thresholds
that give these shares follow one exit after the other. Added to that family: all images at one exit. Patience has
only whole thresholds, so there the family is one patience for all exits. Of the family, the validation split decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...specs import SpecError, require
from .inference import criteria

RATIOS = torch.logspace(-3, 3, 301, dtype=torch.float64)
"""The values of q that are tried."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What some thresholds give on a set of images."""

    criterion: str
    thresholds: tuple[float | None, ...]
    """For each exit but the final one; None where no image leaves. `EarlyExit` takes them as they are."""
    cost: float
    """Multiply-adds, mean over the images."""
    accuracy: float
    """Share of images whose top class is right, from 0 to 1."""
    shares: tuple[float, ...]
    """The share of the images that leave at each exit."""


@dataclass(frozen=True, kw_only=True)
class AnytimePoint:
    """What one exit gives for all images."""

    cost: float
    """Multiply-adds of an image."""
    accuracy: float
    """Share of images whose top class is right, from 0 to 1."""


def anytime(logits: Tensor, labels: Tensor, costs: Sequence[float]) -> tuple[AnytimePoint, ...]:
    """The accuracy that each exit has reached when it has cost so much."""
    _check(logits, labels, costs)
    accuracies = (logits.argmax(2) == labels).double().mean(1).tolist()
    return tuple(
        AnytimePoint(cost=float(cost), accuracy=accuracy) for cost, accuracy in zip(costs, accuracies, strict=True)
    )


def evaluate(
    logits: Tensor, labels: Tensor, costs: Sequence[float], criterion: str, thresholds: float | Sequence[float | None]
) -> OperatingPoint:
    """What an `EarlyExit` with these thresholds would give, such as on the test split after calibration."""
    return _Answers(logits, labels, costs, criterion).point(criteria[criterion].checked(thresholds, len(costs)))


def budgeted(
    logits: Tensor, labels: Tensor, costs: Sequence[float], budgets: Sequence[float], criterion: str
) -> tuple[OperatingPoint, ...]:
    """For each budget, in mean multiply-adds per image, the most accurate thresholds that keep within it.

    Raises:
        SpecError: for a budget that no thresholds keep within. The message gives the least that works.
    """
    points = _Answers(logits, labels, costs, criterion).family()
    least = min(point.cost for point in points)
    for budget in budgets:
        require(budget >= least, f"budget >= {least}, the least that {criterion} can cost", budget=budget)
    return tuple(
        max((point for point in points if point.cost <= budget), key=lambda point: (point.accuracy, -point.cost))
        for budget in budgets
    )


def calibrate_to_budget(
    logits: Tensor, labels: Tensor, costs: Sequence[float], budget: float, criterion: str
) -> OperatingPoint:
    """The most accurate thresholds within a budget of mean multiply-adds per image; see `budgeted`."""
    return budgeted(logits, labels, costs, (budget,), criterion)[0]


def calibrate_to_accuracy(
    logits: Tensor, labels: Tensor, costs: Sequence[float], floor: float, criterion: str
) -> OperatingPoint:
    """The cheapest thresholds that keep the accuracy, from 0 to 1, at or above a floor.

    Raises:
        SpecError: for a floor that no thresholds reach. The message gives the highest that works.
    """
    points = _Answers(logits, labels, costs, criterion).family()
    highest = max(point.accuracy for point in points)
    require(floor <= highest, f"floor <= {highest}, the most that {criterion} reaches", floor=floor)
    return min((point for point in points if point.accuracy >= floor), key=lambda point: (point.cost, -point.accuracy))


class _Answers:
    """What all exits say of some images, and what follows for thresholds."""

    def __init__(self, logits: Tensor, labels: Tensor, costs: Sequence[float], criterion: str) -> None:
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
        exits, images = self._right.shape
        reached = [self._criterion.reached(*pair) for pair in zip(self._scores, thresholds, strict=True)]
        at = torch.stack([*reached, torch.ones(images, dtype=torch.bool)]).byte().argmax(0)  # the first of equals
        shares = at.bincount(minlength=exits).double() / images
        return OperatingPoint(
            criterion=self._name,
            thresholds=thresholds,
            cost=self._costs[at].mean().item(),
            accuracy=self._right.gather(0, at[None]).double().mean().item(),
            shares=tuple(shares.tolist()),
        )

    def family(self) -> list[OperatingPoint]:
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
        """Those that let so many images leave at each exit, or more where scores are equal."""
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
    require(len(costs) == len(logits), f"a cost for each of the {len(logits)} exits", costs=costs)
    rising = all(0 < cost < later for cost, later in zip(costs, [*costs[1:], float("inf")], strict=True))
    require(rising, "costs rise from exit to exit", costs=costs)
    if logits.isnan().any():
        raise SpecError("logits hold NaN.", field="logits")
