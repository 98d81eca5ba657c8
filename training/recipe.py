"""How a network is optimised: everything that is not the dataset, the network or the method."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from ..specs import Count, Fraction, NonNegative, Positive, Range, Registry, require
from .augmentation import Augmentation


@dataclass(frozen=True, kw_only=True)
class Recipe(Augmentation):
    """Optimiser, schedule, augmentation and precision. The defaults are those of EED's authors (arXiv 2104.00299).

    The learning rate changes with every step, except under `multistep`.
    """

    epochs: Count = 200
    """Passes over the training set."""
    batch_size: Annotated[int, Range(minimum=2)] = 128
    """Images per update; the last batch of an epoch may be smaller, and one image left over joins the batch before."""
    accumulation: Count = 1
    """A batch passes the network in so many parts whose gradients are added; normalisation sees one part at a time."""

    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.1
    """Of the first step, after warm-up if there is one; under `one_cycle` the highest."""
    momentum: Fraction = 0.9
    """Only of SGD; AdamW has the betas 0.9 and 0.999."""
    nesterov: bool = False
    """Only of SGD."""
    weight_decay: NonNegative = 5e-4
    """An L2 penalty under SGD, decoupled (arXiv 1711.05101) under AdamW."""
    decay_norms: bool = True
    """Whether weight decay reaches biases and the weights of normalisation too."""
    gradient_clip: NonNegative = 0.0
    """The largest norm that the gradient of all weights may have; 0 does not clip."""
    ema_decay: Annotated[float, Range(minimum=0, maximum=0.999999)] = 0.0
    """Share of the old value in the moving average of the weights, which is then what is tested and kept; 0 is off."""

    schedule: Literal["multistep", "cosine", "one_cycle"] = "multistep"
    """`one_cycle` rises linearly over the first 30% of the steps and falls linearly to zero over the rest."""
    milestones: tuple[int, ...] = (75, 130, 180)
    """After so many epochs the learning rate is multiplied by `decay`; only under `multistep`."""
    decay: Positive = 0.1
    """Only under `multistep`."""
    warmup_epochs: NonNegative = 0.0
    """The learning rate rises linearly from zero over so many epochs, which count as part of the schedule."""

    crop: Literal["none", "pad", "resized"] = "pad"
    """`pad`: a crop of the image padded by 4 black pixels; `resized`: of 8% to 100% of its area, resized."""
    flip: bool = True
    """Each image is mirrored with probability one half."""

    sync_batch_norm: bool = False
    """Whether batch normalisation sees the batches of all processes that train a network together, or only its own
    process's; needs accelerators. One process alone sees the same either way."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` is bf16 where the processor computes with it, else fp32; the result records which it was."""
    compile: Literal["off", "on", "cuda_graphs"] = "off"
    """Whether `torch.compile` translates the network, and whether an accelerator replays each step as one graph."""

    def __post_init__(self) -> None:
        """Checks what one field's annotation cannot say."""
        super().__post_init__()
        whole = all(isinstance(epoch, int) and not isinstance(epoch, bool) for epoch in self.milestones)
        ascending = list(self.milestones) == sorted(set(self.milestones)) and min(self.milestones, default=1) > 0
        require(whole and ascending, "0 < milestones, whole numbers, ascending", milestones=self.milestones)
        momentous = not self.nesterov or self.momentum > 0 or self.optimizer != "sgd"
        require(momentous, "momentum > 0 with nesterov", momentum=self.momentum)
        several = "batch_size >= 2 * accumulation, since normalisation cannot train on a lone image"
        fits = self.batch_size >= 2 * self.accumulation
        require(fits, several, accumulation=self.accumulation, batch_size=self.batch_size)

    def inactive_fields(self) -> frozenset[str]:
        """What only another optimiser or schedule reads."""
        unread: set[str] = set()
        if self.optimizer != "sgd":
            unread |= {"momentum", "nesterov"}
        if self.schedule != "multistep":
            unread |= {"milestones", "decay"}
        if self.schedule == "one_cycle":
            unread |= {"warmup_epochs"}
        if self.weight_decay == 0:
            unread |= {"decay_norms"}
        return frozenset(unread)

    @property
    def mixes_labels(self) -> bool:
        """Whether the network is shown mixtures of images, with probabilities for labels."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def unreached_milestones(self) -> tuple[int, ...]:
        """Those that come after the last epoch, where the learning rate changes no more."""
        multistep = self.schedule == "multistep"
        return tuple(milestone for milestone in self.milestones if multistep and milestone >= self.epochs)

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over the whole training."""
        steps = self.epochs * steps_per_epoch
        progress = step / steps
        if self.schedule == "one_cycle":
            return self.learning_rate * min((progress + 1 / steps) / 0.3, (1 - progress) / 0.7, 1.0)
        warm = min(1.0, (step + 1) / (self.warmup_epochs * steps_per_epoch)) if self.warmup_epochs else 1.0
        if self.schedule == "cosine":
            return warm * self.learning_rate * (1 + math.cos(math.pi * progress)) / 2
        epoch = step // steps_per_epoch
        return warm * self.learning_rate * self.decay ** sum(epoch >= milestone for milestone in self.milestones)


recipes: Registry[Recipe] = Registry("recipe")
recipes.register("paper")(Recipe())
# Tian, Krishnan, Isola 2020, arXiv 1910.10699, and most distillation papers since.
recipes.register("crd")(Recipe(epochs=240, batch_size=64, learning_rate=0.05, milestones=(150, 180, 210)))
recipes.register("fast")(Recipe(epochs=30, schedule="one_cycle", learning_rate=0.2, nesterov=True))
# He et al., arXiv 1512.03385, in the 100 epochs that distillation papers train for.
recipes.register("imagenet")(
    Recipe(epochs=100, batch_size=256, weight_decay=1e-4, milestones=(30, 60, 90), crop="resized")
)
