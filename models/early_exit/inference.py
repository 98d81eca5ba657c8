"""Inference that stops early: each image leaves at the first exit that is sure enough of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...specs import Range, Registry, require
from ..network import MultiExitNetwork

_SHARE = Range(minimum=0, maximum=1)


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """When an image leaves: once its score reaches the exit's threshold."""

    score: Callable[[Tensor, Tensor], Tensor]
    """Of an exit's logits (N, C) and the top classes (N, K) of all exits so far, this one last: the scores (N,)."""
    thresholds: Range = _SHARE
    """Those that make sense."""
    leaves_below: bool = False
    """Whether an image leaves at or below the threshold; otherwise at or above it."""
    whole: bool = False
    """Whether scores are whole numbers, and thresholds too."""

    def reached(self, scores: Tensor, threshold: float | None) -> Tensor:
        """Which of the scores (N,) let an image leave; none do where the threshold is None."""
        if threshold is None:
            return torch.zeros_like(scores, dtype=torch.bool)
        return scores <= threshold if self.leaves_below else scores >= threshold

    def checked(self, thresholds: float | Sequence[float | None], exits: int) -> tuple[float | None, ...]:
        """A threshold for each of so many exits but the last. Raises `SpecError` for what cannot be one."""
        alone = isinstance(thresholds, (int, float))
        each = (thresholds,) * (exits - 1) if alone else tuple(thresholds)
        rule = f"one threshold, or one for each of the {exits - 1} exits before the final one"
        require(len(each) == exits - 1, rule, thresholds=thresholds)
        for threshold in (thresholds,) if alone else each:
            if threshold is not None:
                require(self.thresholds.contains(threshold), self.thresholds.rule("threshold"), threshold=threshold)
                require(not self.whole or threshold == int(threshold), "threshold is whole", threshold=threshold)
        return each


criteria: Registry[Criterion] = Registry("criterion")


def _max_probability(logits: Tensor, _: Tensor) -> Tensor:
    return logits.softmax(1).amax(1)


def _entropy(logits: Tensor, _: Tensor) -> Tensor:
    return (torch.special.entr(logits.softmax(1)).sum(1) / math.log(logits.shape[1])).clamp(max=1)


def _margin(logits: Tensor, _: Tensor) -> Tensor:
    first, second = logits.softmax(1).topk(2, dim=1).values.unbind(1)
    return first - second


def _patience(_: Tensor, top_classes: Tensor) -> Tensor:
    earlier, latest = top_classes[:, :-1], top_classes[:, -1:]
    return (earlier.flip(1) == latest).cumprod(1).sum(1)


criteria.register("max_probability")(Criterion(score=_max_probability))
"""The probability of the top class, at least the threshold (Huang et al., MSDNet, ICLR 2018)."""
criteria.register("entropy")(Criterion(score=_entropy, leaves_below=True))
"""The entropy, at most the threshold (Teerapittayanon et al., BranchyNet, ICPR 2016); ours as a share of log C."""
criteria.register("margin")(Criterion(score=_margin))
"""How far the top class's probability is above the second's, at least the threshold."""
criteria.register("patience")(Criterion(score=_patience, thresholds=Range(minimum=1), whole=True))
"""How many times in a row an exit repeated the top class of the one before (Zhou et al., NeurIPS 2020, 2006.04152).

So a patience of 1 takes two exits that agree, and no image leaves at the first."""


class EarlyExitOutputs(NamedTuple):
    """What N images left with, in the order in which they came."""

    logits: Tensor
    """(N, C), of the exit where the image left."""
    exits: Tensor
    """(N,): that exit, numbered from 1; the last number is the final exit's."""


class EarlyExit(nn.Module):
    """A network in which images leave on the way, so that the rest of it runs on fewer.

    Logits are those that the network itself gives at the exit where an image leaves. It has to be in evaluation
    mode, where batch normalisation treats an image the same in any company; no gradients are recorded.
    """

    def __init__(self, network: MultiExitNetwork, criterion: str, thresholds: float | Sequence[float | None]) -> None:
        """Wraps a network, whose weights stay shared.

        Args:
            network: with exits.
            criterion: a name in `criteria`.
            thresholds: one for all exits or one for each but the final one, where None lets no image leave.

        Raises:
            SpecError: for an unknown criterion, a wrong number of thresholds or one out of range.
        """
        super().__init__()
        self.criterion = criteria[criterion]
        self.thresholds = self.criterion.checked(thresholds, len(network.exit_blocks))
        self.network = network
        self.training = network.training

    @torch.inference_mode()
    def forward(self, images: Tensor) -> EarlyExitOutputs:
        """Classifies images (N, channels, H, W). Raises `SpecError` in training mode."""
        require(not self.network.training, "the network is in evaluation mode", training=self.network.training)
        hidden: Any = images
        positions = torch.arange(len(images), device=images.device)
        top_classes = positions.new_empty((len(images), 0))
        left: list[tuple[Tensor, Tensor, int]] = []
        for number, threshold in enumerate(self.thresholds, start=1):
            hidden, (logits, *_) = self.network.advance(hidden, number)
            top_classes = torch.cat([top_classes, logits.argmax(1, keepdim=True)], dim=1)
            leaves = self.criterion.reached(self.criterion.score(logits.float(), top_classes), threshold)
            leaving = int(leaves.sum())
            if leaving == len(positions):
                left.append((positions, logits, number))
                break
            if leaving > 0:
                left.append((positions[leaves], logits[leaves], number))
                stays = (~leaves).nonzero().squeeze(1)
                hidden, positions, top_classes = _select((hidden, positions, top_classes), stays)
        else:
            number = len(self.thresholds) + 1
            _, (logits, *_) = self.network.advance(hidden, number)
            left.append((positions, logits, number))
        return _in_order(left)


def _select(hidden: Any, images: Tensor) -> Any:
    """Some images of a map, or of each map in a tuple. Indexing keeps channels_last, `index_select` does not."""
    return hidden[images] if isinstance(hidden, Tensor) else tuple(_select(part, images) for part in hidden)


def _in_order(left: list[tuple[Tensor, Tensor, int]]) -> EarlyExitOutputs:
    order = torch.cat([positions for positions, _, _ in left]).argsort()
    exits = torch.cat([torch.full_like(positions, number) for positions, _, number in left])
    return EarlyExitOutputs(torch.cat([logits for _, logits, _ in left])[order], exits[order])
