"""Recipe: the training settings other than the dataset, the network and the method."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..specs import Count, Fraction, NonNegative, Positive, Range, Registry, SpecError, require
from .augmentation import Augmentation
from .optimizers import optimizers
from .schedules import schedules


@dataclass(frozen=True, kw_only=True)
class Recipe(Augmentation):
    """Optimiser, schedule, augmentation and precision. The defaults are those of EED's authors (arXiv 2104.00299).

    The learning rate changes with every step, except with `multistep`.
    """

    later_fields: ClassVar[frozenset[str]] = frozenset({"deterministic", "evaluate_every"})

    epochs: Count = 200
    """Number of passes over the training set, at least 1."""
    batch_size: Annotated[int, Range(minimum=2)] = 128
    """Number of images per weight update, at least 2; the last batch of an epoch may be smaller.

    A last batch that is too small for batch normalisation is merged into the previous one.
    """
    accumulation: Count = 1
    """Number of parts of a batch whose gradients are accumulated, at least 1; batch normalisation sees single parts."""

    optimizer: str = "sgd"
    """Optimiser: `sgd`, `adamw` with the betas 0.9 and 0.999, or one of a plugin."""
    learning_rate: Positive = 0.1
    """Learning rate of the first step after warm-up, above 0; with `one_cycle`, the maximum learning rate."""
    momentum: Fraction = 0.9
    """Momentum of SGD, from 0 to 1; unused by AdamW."""
    nesterov: bool = False
    """True if SGD uses Nesterov momentum; unused by AdamW."""
    weight_decay: NonNegative = 5e-4
    """Weight decay, at least 0: an L2 penalty with SGD, decoupled (arXiv 1711.05101) with AdamW."""
    decay_norms: bool = True
    """True if weight decay also applies to biases and to the weights of normalisation layers."""
    gradient_clip: NonNegative = 0.0
    """Maximum norm of the gradient of all weights, at least 0; 0 disables clipping."""
    ema_decay: Annotated[float, Range(minimum=0, maximum=0.999999)] = 0.0
    """Decay of the exponential moving average of the weights, from 0 to 0.999999; 0 disables it.

    If it is above 0, the averaged weights are evaluated and saved.
    """

    schedule: str = "multistep"
    """Learning-rate schedule: `multistep`, `cosine`, `one_cycle`, or one of a plugin.

    `one_cycle` rises linearly over the first 30% of the steps and falls linearly to 0 over the rest.
    """
    milestones: tuple[int, ...] = (75, 130, 180)
    """Epochs after which the learning rate is multiplied by `decay`, ascending, from 1 on; only for `multistep`."""
    decay: Positive = 0.1
    """Factor of the learning rate at each milestone, above 0; only for `multistep`."""
    warmup_epochs: NonNegative = 0.0
    """Duration of the linear warm-up of the learning rate from 0, in epochs, at least 0; not for `one_cycle`.

    The warm-up is part of the schedule.
    """

    crop: Literal["none", "pad", "resized"] = "pad"
    """Random crop: `none`, `pad` (after padding by 4 black pixels) or `resized` (8% to 100% of the area, resized)."""
    flip: bool = True
    """True if each image is mirrored horizontally with probability 0.5."""

    sync_batch_norm: bool = False
    """True if batch normalisation uses the images of all processes that train a network together; requires GPUs.

    It has no effect with one process.
    """
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """Number format of the computation: `fp32`, `tf32`, `bf16` or `auto` (bf16 if the hardware supports it, else fp32).

    `tf32` computes convolutions with 10-bit mantissas, on GPUs only. The result records the format that was used.
    """
    deterministic: bool = False
    """True if only deterministic algorithms are used: two runs on one model of GPU then give the same weights.

    Runs on CPUs are repeatable in any case.
    """
    compile: Literal["off", "on", "cuda_graphs"] = "off"
    """Compilation of the network: `off`, `on` (`torch.compile`) or `cuda_graphs` (also replayed as CUDA graphs)."""
    evaluate_every: Count = 1
    """Number of epochs between two evaluations of the images that are evaluated during training, at least 1.

    The last epoch is always evaluated.
    """

    def __post_init__(self) -> None:
        """Check the rules that an annotation of one field cannot express."""
        super().__post_init__()
        optimizers.check(self.optimizer)
        schedules.check(self.schedule)
        whole = all(isinstance(epoch, int) and not isinstance(epoch, bool) for epoch in self.milestones)
        ascending = list(self.milestones) == sorted(set(self.milestones)) and min(self.milestones, default=1) > 0
        require(whole and ascending, "0 < milestones, whole numbers, ascending", milestones=self.milestones)
        momentous = not self.nesterov or self.momentum > 0 or self.optimizer != "sgd"
        require(momentous, "momentum > 0 with nesterov", momentum=self.momentum)
        several = "batch_size >= 2 * accumulation, since normalisation needs at least 2 images per part"
        fits = self.batch_size >= 2 * self.accumulation
        require(fits, several, accumulation=self.accumulation, batch_size=self.batch_size)
        if self.compile == "cuda_graphs" and self.accumulation > 1:
            rule = f"`compile: cuda_graphs` needs accumulation 1, but got accumulation={self.accumulation}"
            reason = "a replayed graph would overwrite the accumulated gradients"
            raise SpecError(f"{rule}; {reason}. Set `compile: on`, or `accumulation: 1`.", field="compile")

    def inactive_fields(self) -> frozenset[str]:
        """Return the fields that only another optimiser or schedule reads."""
        norms = {"decay_norms"} if self.weight_decay == 0 else set()
        return optimizers[self.optimizer].unread | schedules[self.schedule].unread | norms

    @property
    def mixes_labels(self) -> bool:
        """True if the network is trained on mixed images, whose labels are probabilities."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def unreached_milestones(self) -> tuple[int, ...]:
        """Milestones at or after the last epoch, which have no effect."""
        multistep = self.schedule == "multistep"
        return tuple(milestone for milestone in self.milestones if multistep and milestone >= self.epochs)

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over the whole training."""
        return schedules[self.schedule].rate(self, step, steps_per_epoch)


recipes: Registry[Recipe] = Registry("recipe")
recipes.register("paper")(Recipe())
# Tian, Krishnan, Isola 2020, arXiv 1910.10699, and most distillation papers since.
recipes.register("crd")(Recipe(epochs=240, batch_size=64, learning_rate=0.05, milestones=(150, 180, 210)))
recipes.register("fast")(Recipe(epochs=30, schedule="one_cycle", learning_rate=0.2, nesterov=True))
# He et al., arXiv 1512.03385, with the 100 epochs of distillation papers.
recipes.register("imagenet")(
    Recipe(epochs=100, batch_size=256, weight_decay=1e-4, milestones=(30, 60, 90), crop="resized")
)
