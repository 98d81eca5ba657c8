"""Base class of methods: a frozen spec with its loss. It imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from ..specs import Registry, Spec, SpecError
from ..specs.lazy import LazyModule
from ._torch import nn, torch

if TYPE_CHECKING:
    from . import module
else:
    module = LazyModule(f"{__package__}.module")

Requirement = Literal["required", "optional", "ignored"]
TeacherRequirement = Literal["required", "self", "ignored"]
Learned: TypeAlias = MutableMapping[str, Any]
"""Modules, parameters and buffers of a method beside those of the network, by the names of `Method.build_learned`.

It lasts for one step: `loss` can add values that `next_buffers` reads, such as random choices.
"""


@dataclass(frozen=True, kw_only=True)
class LossInputs:
    """Inputs of a loss in one training step, for E exits (the last is the final classifier), N images and C classes."""

    logits: tuple[torch.Tensor, ...]
    """Logits (N, C) of each exit, from the shallowest to the final one."""
    features: tuple[torch.Tensor, ...]
    """Input (N, W) of each exit's classifier, after ReLU and pooling; W is equal for all exits."""
    labels: torch.Tensor
    """Class indices (N,), or probabilities (N, C) if images are mixed."""
    progress: float | torch.Tensor = 0.0
    """Number of the epoch, from 1, divided by the number of epochs: in (0, 1]. In training, a float64 scalar tensor."""
    feature_maps: tuple[torch.Tensor, ...] = ()
    """Input (N, W, h, w) of each exit's pooling; h and w can differ between exits."""
    stage_maps: tuple[torch.Tensor, ...] = ()
    """Output (N, channels, h, w) of each stage of the backbone, from the first to the last."""
    teacher_logits: torch.Tensor | None = None
    """Teacher logits (N, C), without gradient; only for methods with a teacher."""
    teacher_stage_maps: tuple[torch.Tensor, ...] = ()
    """Output of each stage of the teacher's backbone, without gradient."""
    teacher_features: torch.Tensor | None = None
    """Input (N, W_t) of the teacher's final classifier, without gradient."""
    previous_epoch_logits: torch.Tensor | None = None
    """Logits (N, C) of the final exit for the same images in the previous epoch; only for methods that need them."""
    same_class_logits: torch.Tensor | None = None
    """Logits (N, C) of the final exit, without gradient, for other images of the same classes."""
    image_numbers: torch.Tensor | None = None
    """Indices (N,) of the images in the training set; None outside a sweep."""
    second_view_logits: tuple[torch.Tensor, ...] = ()
    """Logits (N, C) of each exit for another augmentation of the same images, with gradient."""
    second_view_teacher_logits: torch.Tensor | None = None
    """Teacher logits (N, C) for that augmentation, without gradient."""


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """Sizes of the networks that a loss needs to create its own weights."""

    exits: int
    """Number of exits, the final one included; for a cohort, the number of networks."""
    classes: int
    feature_dim: int
    """Number of features that each classifier reads."""
    stage_channels: tuple[int, ...] = ()
    """Output channels of each stage of the backbone."""
    teacher_stage_channels: tuple[int, ...] = ()
    """Output channels of each stage of the teacher's backbone; empty without a teacher."""
    teacher_feature_dim: int = 0
    """Number of features that the teacher's final classifier reads; 0 without a teacher."""
    exit_costs: tuple[float, ...] = ()
    """Cost of leaving at each exit, as a share of the final exit's; only for methods that need it."""
    image_labels: torch.Tensor | None = None
    """Class indices of all training images; only for methods that need image numbers."""


@dataclass(frozen=True, kw_only=True)
class Method(Spec, ABC):
    """Settings of one training method."""

    name: ClassVar[str]
    """Name in the registry."""
    paper: ClassVar[str]
    """Authors, year and source of the paper."""
    exits: ClassVar[Requirement] = "ignored"
    """Use of exits besides the final one."""
    teacher: ClassVar[TeacherRequirement] = "ignored"
    """Use of a trained teacher; `self` means a teacher of the student's own architecture."""

    needs_previous_epoch: ClassVar[bool] = False
    """True if the loss reads the network's logits of the previous epoch."""
    needs_same_class_pairs: ClassVar[bool] = False
    """True if each image is paired with another image of its class."""
    needs_image_numbers: ClassVar[bool] = False
    """True if the loss reads the indices of images, and the labels of all training images when it is built."""
    second_view: ClassVar[str | None] = None
    """Augmentation policy of a second view of each image; None if the loss reads one view only."""
    needs_exit_costs: ClassVar[bool] = False
    """True if the loss depends on the multiply-adds of the exits."""
    cohort: ClassVar[bool] = False
    """True if several networks are trained together; each loss input then has one entry per network."""

    requires_hard_labels: ClassVar[bool] = False
    """True if each label must be a single class, so that mixup and cutmix are not allowed."""

    @classmethod
    def student_passes(cls) -> int:
        """Return the cost of a step in forward passes of the student, of which a backward pass counts as two."""
        return 3 + cls.needs_same_class_pairs + 3 * (cls.second_view is not None)

    @classmethod
    def teacher_passes(cls) -> int:
        """Return the number of forward passes of the teacher in a step."""
        return 0 if cls.teacher == "ignored" else 1 + (cls.second_view is not None)

    @classmethod
    def needs_more_than_outputs(cls) -> bool:
        """Return True if the loss reads more than the outputs of one network and its teacher for a batch of images."""
        needs = cls.needs_previous_epoch, cls.needs_same_class_pairs, cls.needs_image_numbers, cls.needs_exit_costs
        return any(needs) or cls.second_view is not None or cls.cohort

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise a `SpecError` if the settings do not fit the networks.

        Args:
            exits: Number of exits, the final one included.
            stages: Smaller number of stages of student and teacher; None skips the checks that depend on it.
        """

    def canonical(self, exits: int | None = None) -> Self:
        """Return the canonical form of the settings, given the number of exits if it is known."""
        return super().canonical()

    def build_learned(self, shape: NetworkShape) -> Mapping[str, nn.Module | nn.Parameter | torch.Tensor]:
        """Build what `loss` needs besides its inputs and the settings: modules, parameters, and tensors as buffers.

        They are trained with the network, and saved in checkpoints under these names.
        """
        return {}

    @abstractmethod
    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the weighted loss terms by name, each a scalar; the trainer minimises their sum.

        A method can define a subclass of `Loss` instead: `loss: ClassVar[type[MyLoss]] = MyLoss`.
        """

    def next_buffers(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the buffers that change after a training step, with their new values."""
        return {}

    def exit_scores(self, logits: list[torch.Tensor], learned: Learned) -> torch.Tensor | None:
        """Return scores (E - 1, N) from 0 to 1 by which images leave at exits; None to use the top-class probability.

        Args:
            logits: Logits (N, C) of each exit.
            learned: What `build_learned` built.
        """
        return None

    def build(self, shape: NetworkShape) -> module.Loss[Any]:
        """Build the loss for networks of this shape, or raise `SpecError` if the settings do not fit them."""
        if self.exits != "optional":
            assert (shape.exits > 1) == (self.cohort or self.exits == "required")
        self.check(shape.exits, stages=min(len(shape.stage_channels), len(shape.teacher_stage_channels)) or None)
        own = type(self).loss
        return own(self, shape) if isinstance(own, type) else module.MethodLoss(self, shape)

    def build_for(self, network: nn.Module, *, teacher: nn.Module | None = None) -> module.NetworkLoss:
        """Build the loss for a training loop in your program.

        Args:
            network: `MultiExitNetwork` that is trained, such as one of `attach_exits`.
            teacher: `MultiExitNetwork` of the teacher, for methods with a teacher; it is called without gradients.

        Raises:
            SpecError: if the settings do not fit the network, or for a method with inputs that only `exeunt sweep` has.
        """
        return module.network_loss(self, network, teacher)


methods: Registry[type[Method]] = Registry("method")

AnyMethod = TypeVar("AnyMethod", bound=Method)


def method(name: str) -> Callable[[type[AnyMethod]], type[AnyMethod]]:
    """Return a decorator that registers the settings class of a method under a name.

    Raises:
        SpecError: if the name is already registered, or if the class is not a complete method.
    """

    def enter(spec: type[AnyMethod]) -> type[AnyMethod]:
        if not (issubclass(spec, Method) and "__dataclass_params__" in vars(spec)):
            rule = "must be a subclass of Method with the decorator @dataclass(frozen=True, kw_only=True)"
            raise SpecError(f"the method {name!r} {rule}, but got {spec.__name__}.", field="method")
        if lacking := [part for part in ("paper", "loss") if getattr(spec, part, None) is getattr(Method, part, None)]:
            message = f"the method {name!r}: {spec.__name__} has no `{lacking[0]}`; add it to the class."
            raise SpecError(message, field="method")
        spec.name = name
        methods.register(name)(spec)
        return spec

    return enter
