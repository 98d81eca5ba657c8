"""Base classes of methods: a frozen spec, and the loss that it builds."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from torch import Tensor, nn

from ..specs import Registry, Spec, SpecError

Requirement = Literal["required", "optional", "ignored"]
TeacherRequirement = Literal["required", "self", "ignored"]


@dataclass(frozen=True, kw_only=True)
class LossInputs:
    """Inputs of a loss in one training step, for E exits (the last is the final classifier), N images and C classes."""

    logits: tuple[Tensor, ...]
    """Logits (N, C) of each exit, from the shallowest to the final one."""
    features: tuple[Tensor, ...]
    """Input (N, W) of each exit's classifier, after ReLU and pooling; W is equal for all exits."""
    labels: Tensor
    """Class indices (N,), or probabilities (N, C) if images are mixed."""
    progress: float = 0.0
    """Number of the epoch, from 1, divided by the number of epochs: in (0, 1]."""
    feature_maps: tuple[Tensor, ...] = ()
    """Input (N, W, h, w) of each exit's pooling; h and w can differ between exits."""
    stage_maps: tuple[Tensor, ...] = ()
    """Output (N, channels, h, w) of each stage of the backbone, from the first to the last."""
    teacher_logits: Tensor | None = None
    """Teacher logits (N, C), without gradient; only for methods with a teacher."""
    teacher_stage_maps: tuple[Tensor, ...] = ()
    """Output of each stage of the teacher's backbone, without gradient."""
    previous_epoch_logits: Tensor | None = None
    """Logits (N, C) of the final exit for the same images in the previous epoch; only for methods that need them."""
    same_class_logits: Tensor | None = None
    """Logits (N, C) of the final exit, without gradient, for other images of the same classes."""


Settings = TypeVar("Settings", bound="Method")


class Loss(nn.Module, ABC, Generic[Settings]):
    """Training objective of a method."""

    def __init__(self, settings: Settings, shape: "NetworkShape") -> None:
        """Store the settings of the method; subclasses add the modules that depend on the shape."""
        super().__init__()
        del shape
        self.settings = settings

    @abstractmethod
    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the weighted loss terms by name, each a scalar; the trainer minimises their sum."""


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


@dataclass(frozen=True, kw_only=True)
class Method(Spec):
    """Settings of one training method."""

    name: ClassVar[str]
    """Name in the registry."""
    paper: ClassVar[str]
    """Authors, year and source of the paper."""
    loss: ClassVar[type[Loss[Any]]]
    """Loss class that the settings build."""
    exits: ClassVar[Requirement] = "ignored"
    """Use of exits besides the final one."""
    teacher: ClassVar[TeacherRequirement] = "ignored"
    """Use of a trained teacher; `self` means a teacher of the student's own architecture."""

    needs_previous_epoch: ClassVar[bool] = False
    """True if the loss reads the network's logits of the previous epoch."""
    needs_same_class_pairs: ClassVar[bool] = False
    """True if each image is paired with another image of its class."""
    cohort: ClassVar[bool] = False
    """True if several networks are trained together; each loss input then has one entry per network."""

    requires_hard_labels: ClassVar[bool] = False
    """True if each label must be a single class, so that mixup and cutmix are not allowed."""

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise a `SpecError` if the settings do not fit the networks.

        Args:
            exits: Number of exits, the final one included.
            stages: Smaller number of stages of student and teacher; None skips the checks that depend on it.
        """
        del exits, stages

    def canonical(self, exits: int | None = None) -> Self:
        """Return the canonical form of the settings, given the number of exits if it is known."""
        del exits
        return super().canonical()

    def build(self, shape: NetworkShape) -> Loss[Any]:
        """Build the loss for networks of this shape, or raise `SpecError` if the settings do not fit them."""
        if self.exits != "optional":
            assert (shape.exits > 1) == (self.cohort or self.exits == "required")
        self.check(shape.exits, stages=min(len(shape.stage_channels), len(shape.teacher_stage_channels)) or None)
        return self.loss(self, shape)


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
        if lacking := [part for part in ("paper", "loss") if not hasattr(spec, part)]:
            message = f"the method {name!r}: {spec.__name__} has no `{lacking[0]}`; add this class variable."
            raise SpecError(message, field="method")
        spec.name = name
        methods.register(name)(spec)
        return spec

    return enter
