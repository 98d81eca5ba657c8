"""How a network is optimised: everything that is not the dataset, the network or the method."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from ..specs import Count, Fraction, NonNegative, Positive, Range, Registry, Spec, require


@dataclass(frozen=True, kw_only=True)
class Recipe(Spec):
    """Optimiser, schedule, augmentation and precision. The defaults are those of EED's authors (arXiv 2104.00299).

    SGD minimises; the learning rate changes with every step except under `multistep`.
    """

    epochs: Count = 200
    """Passes over the training set."""
    batch_size: Annotated[int, Range(minimum=2)] = 128
    """Images per step; the last batch of an epoch may be smaller, and one image left over joins the batch before."""
    learning_rate: Positive = 0.1
    """Of the first step, and under `one_cycle` the highest."""
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NonNegative = 5e-4
    """L2 penalty on all weights, normalisation and biases included."""
    schedule: Literal["multistep", "cosine", "one_cycle"] = "multistep"
    """`one_cycle` rises linearly over the first 30% of the steps and falls linearly to zero over the rest."""
    milestones: tuple[int, ...] = (75, 130, 180)
    """After so many epochs the learning rate is multiplied by `decay`; only under `multistep`."""
    decay: Positive = 0.1
    """Only under `multistep`."""
    augmentation: Literal["none", "crop_flip"] = "crop_flip"
    """`crop_flip`: a crop of the image padded by 4 pixels, mirrored with probability one half."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` is bf16 where the processor computes with it, else fp32; the result records which it was."""

    def __post_init__(self) -> None:
        """Checks what one field's annotation cannot say."""
        super().__post_init__()
        ascending = list(self.milestones) == sorted(set(self.milestones)) and min(self.milestones, default=1) > 0
        require(ascending, "0 < milestones, ascending", milestones=self.milestones)
        require(not self.nesterov or self.momentum > 0, "momentum > 0 with nesterov", momentum=self.momentum)

    def irrelevant_fields(self) -> frozenset[str]:
        """What only the multistep schedule reads, under another."""
        return frozenset(() if self.schedule == "multistep" else ("milestones", "decay"))

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over the whole training."""
        steps = self.epochs * steps_per_epoch
        progress = step / steps
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2
        if self.schedule == "one_cycle":
            return self.learning_rate * min((progress + 1 / steps) / 0.3, (1 - progress) / 0.7, 1.0)
        epoch = step // steps_per_epoch
        return self.learning_rate * self.decay ** sum(epoch >= milestone for milestone in self.milestones)


recipes: Registry[Recipe] = Registry("recipe")
recipes.register("paper")(Recipe())
recipes.register("fast")(Recipe(epochs=30, schedule="one_cycle", learning_rate=0.2, nesterov=True))
