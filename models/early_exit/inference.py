"""Early-exit inference: each image leaves at the first exit whose confidence reaches a threshold."""

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
    """Exit criterion: an image leaves once its score reaches the exit's threshold."""

    score: Callable[[Tensor, Tensor], Tensor]
    """Function from an exit's logits (N, C) and the top classes (N, K) of the exits up to it to the scores (N,)."""
    thresholds: Range = _SHARE
    """Range of the thresholds."""
    leaves_below: bool = False
    """True if an image leaves at or below the threshold; False if at or above it."""
    whole: bool = False
    """True if scores and thresholds are integers."""

    def reached(self, scores: Tensor, threshold: float | None) -> Tensor:
        """Return a mask (N,) of the scores that reach the threshold; with None, no image leaves."""
        if threshold is None:
            return torch.zeros_like(scores, dtype=torch.bool)
        return scores <= threshold if self.leaves_below else scores >= threshold

    def checked(self, thresholds: float | Sequence[float | None], exits: int) -> tuple[float | None, ...]:
        """Return one threshold for each exit except the final one.

        Raises:
            SpecError: for a wrong number of thresholds, or for a threshold outside its range.
        """
        alone = isinstance(thresholds, (int, float))
        each = (thresholds,) * (exits - 1) if alone else tuple(thresholds)
        rule = f"thresholds has one value, or one for each of the {exits - 1} exits before the final exit"
        require(len(each) == exits - 1, rule, thresholds=thresholds)
        for threshold in (thresholds,) if alone else each:
            if threshold is not None:
                require(self.thresholds.contains(threshold), self.thresholds.rule("threshold"), threshold=threshold)
                require(
                    not self.whole or threshold == int(threshold), "threshold is a whole number", threshold=threshold
                )
        return each


criteria: Registry[Criterion] = Registry("criterion")


def checked_temperatures(temperatures: Sequence[float] | None, exits: int) -> tuple[float, ...]:
    """Return one softmax temperature for each exit; all are 1 without temperatures.

    Raises:
        SpecError: for a wrong number of temperatures, or for one that is not positive and finite.
    """
    each = (1.0,) * exits if temperatures is None else tuple(temperatures)
    require(len(each) == exits, f"temperatures has one value for each of the {exits} exits", temperatures=each)
    for temperature in each:
        require(0 < temperature < math.inf, "0 < temperature < infinity", temperature=temperature)
    return each


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
"""Criterion: the probability of the top class is at least the threshold (Huang et al., MSDNet, ICLR 2018)."""
criteria.register("entropy")(Criterion(score=_entropy, leaves_below=True))
"""Criterion: the entropy divided by log C is at most the threshold (Teerapittayanon et al., BranchyNet, ICPR 2016)."""
criteria.register("margin")(Criterion(score=_margin))
"""Criterion: the difference of the two largest probabilities is at least the threshold."""
criteria.register("patience")(Criterion(score=_patience, thresholds=Range(minimum=1), whole=True))
"""Criterion: consecutive exits have repeated the top class as often as the threshold (Zhou et al., NeurIPS 2020,
arXiv 2006.04152). A patience of 1 needs two exits that agree, so no image leaves at the first exit."""


class EarlyExitOutputs(NamedTuple):
    """Outputs for N images, in the order of the inputs."""

    logits: Tensor
    """Logits (N, C) of the exit at which each image left."""
    exits: Tensor
    """Number (N,) of the exit at which each image left, from 1; the last number is the final exit."""


class EarlyExit(nn.Module):
    """Network in which images leave at exits, so that later parts run on fewer images.

    The logits are those of the network at the exit where an image leaves, divided by the temperature of this exit. The
    network must be in evaluation mode, in which batch normalisation does not depend on the other images of a batch. No
    gradients are recorded.
    """

    def __init__(
        self,
        network: MultiExitNetwork,
        criterion: str,
        thresholds: float | Sequence[float | None],
        temperatures: Sequence[float] | None = None,
    ) -> None:
        """Wrap a network without copying its weights.

        Args:
            network: Network with exits.
            criterion: Name in `criteria`.
            thresholds: One value for all exits, or one for each exit except the final one; with None, no image leaves.
            temperatures: Softmax temperature of each exit, the final one included. Default: 1.

        Raises:
            SpecError: for an unknown criterion, or for a wrong number or a wrong value of thresholds or temperatures.
        """
        super().__init__()
        self.criterion = criteria[criterion]
        self.thresholds = self.criterion.checked(thresholds, len(network.exit_blocks))
        self.temperatures = checked_temperatures(temperatures, len(network.exit_blocks))
        self.network = network
        self.training = network.training

    @torch.inference_mode()
    def forward(self, images: Tensor) -> EarlyExitOutputs:
        """Classify images (N, channels, H, W), or raise `SpecError` in training mode."""
        require(
            not self.network.training, "network is in evaluation mode, network.eval()", training=self.network.training
        )
        hidden: Any = images
        positions = torch.arange(len(images), device=images.device)
        top_classes = positions.new_empty((len(images), 0))
        left: list[tuple[Tensor, Tensor, int]] = []
        for number, threshold in enumerate(self.thresholds, start=1):
            hidden, logits = self._advance(hidden, number)
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
            left.append((positions, self._advance(hidden, number)[1], number))
        return _in_order(left)

    def _advance(self, hidden: Any, number: int) -> tuple[Any, Tensor]:
        """Return the hidden state at an exit, and the logits of this exit divided by its temperature."""
        hidden, (logits, *_) = self.network.advance(hidden, number)
        return hidden, logits / self.temperatures[number - 1]


def _select(hidden: Any, images: Tensor) -> Any:
    """Select images of a map, or of each map in a tuple. Indexing keeps channels_last, `index_select` does not."""
    return hidden[images] if isinstance(hidden, Tensor) else tuple(_select(part, images) for part in hidden)


def _in_order(left: list[tuple[Tensor, Tensor, int]]) -> EarlyExitOutputs:
    order = torch.cat([positions for positions, _, _ in left]).argsort()
    exits = torch.cat([torch.full_like(positions, number) for positions, _, number in left])
    return EarlyExitOutputs(torch.cat([logits for _, logits, _ in left])[order], exits[order])
