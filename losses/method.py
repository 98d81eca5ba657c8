"""What a method is: a frozen spec, and the loss that it builds."""

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
    """What one training step knows. E exits (the last is the network's own classifier), N images, C classes."""

    logits: tuple[Tensor, ...]
    """Of each exit, (N, C), from the shallowest to the final one."""
    features: tuple[Tensor, ...]
    """Of each exit, what its classifier reads: (N, W), after ReLU and pooling, one width W for all exits."""
    labels: Tensor
    """(N,) class numbers, or (N, C) probabilities where images are mixed."""
    progress: float = 0.0
    """The number of this epoch, counted from 1, divided by the number of all: in (0, 1]."""
    feature_maps: tuple[Tensor, ...] = ()
    """Of each exit, what its pooling reads: (N, W, h, w); h and w may differ between exits."""
    stage_maps: tuple[Tensor, ...] = ()
    """What each stage of the trunk puts out, from the first to the last: (N, channels, h, w)."""
    teacher_logits: Tensor | None = None
    """(N, C), without gradient; only for methods that have a teacher."""
    teacher_stage_maps: tuple[Tensor, ...] = ()
    """What each stage of the teacher's trunk puts out, without gradient."""
    previous_epoch_logits: Tensor | None = None
    """(N, C): the final exit's logits for the same images in the epoch before; only for methods that need them."""
    same_class_logits: Tensor | None = None
    """(N, C): the final exit's logits, without gradient, for other images of the same classes."""


Settings = TypeVar("Settings", bound="Method")


class Loss(nn.Module, ABC, Generic[Settings]):
    """The training objective of a method."""

    def __init__(self, settings: Settings, shape: "NetworkShape") -> None:
        """Of a method with these settings, for networks of this shape."""
        super().__init__()
        del shape
        self.settings = settings

    @abstractmethod
    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the named terms, weights included, each a scalar; their sum is what is minimised."""


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """What a loss with weights of its own needs to know of the networks."""

    exits: int
    """The final one included; for a cohort, the number of networks."""
    classes: int
    feature_dim: int
    """Of the features that classifiers read."""
    stage_channels: tuple[int, ...] = ()
    """Of what each stage of the trunk puts out."""
    teacher_stage_channels: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Method(Spec):
    """The settings of one way to train a network."""

    name: ClassVar[str]
    """The one it is registered under."""
    paper: ClassVar[str]
    """Authors, year and where to find it."""
    loss: ClassVar[type[Loss[Any]]]
    """What it minimises."""
    exits: ClassVar[Requirement] = "ignored"
    """Whether the network has exits besides its final one."""
    teacher: ClassVar[TeacherRequirement] = "ignored"
    """Whether a trained network's outputs are part of the loss; `self`: one of the student's own architecture."""

    needs_previous_epoch: ClassVar[bool] = False
    """Whether the loss reads what the network said of each image in the epoch before."""
    needs_same_class_pairs: ClassVar[bool] = False
    """Whether each image comes with another one of its class."""
    cohort: ClassVar[bool] = False
    """Whether several networks are trained at once; a loss input then has one entry for each network."""

    requires_hard_labels: ClassVar[bool] = False
    """Whether each image must be of one class, where it is set apart or paired by it, or met again as it was before."""

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raises a `SpecError` for settings that do not fit the networks.

        Args:
            exits: of the network, the final one included.
            stages: how many stages student and teacher both have; None leaves out what depends on it.
        """
        del exits, stages

    def canonical(self, exits: int | None = None) -> Self:
        """The same settings, however they were written; for a network with so many exits, if the number is known."""
        del exits
        return super().canonical()

    def build(self, shape: NetworkShape) -> Loss[Any]:
        """The loss for networks of this shape. Raises `SpecError` for settings that do not fit them."""
        if self.exits != "optional":
            assert (shape.exits > 1) == (self.cohort or self.exits == "required")
        self.check(shape.exits, stages=min(len(shape.stage_channels), len(shape.teacher_stage_channels)) or None)
        return self.loss(self, shape)


methods: Registry[type[Method]] = Registry("method")

AnyMethod = TypeVar("AnyMethod", bound=Method)


def method(name: str) -> Callable[[type[AnyMethod]], type[AnyMethod]]:
    """Decorator that registers a method's spec under a name.

    Raises:
        SpecError: for a name that is taken, and a class that is no spec of a method.
    """

    def enter(spec: type[AnyMethod]) -> type[AnyMethod]:
        if not (issubclass(spec, Method) and "__dataclass_params__" in vars(spec)):
            rule = "it is a subclass of Method under @dataclass(frozen=True, kw_only=True)"
            raise SpecError(f"the method {name!r}: {rule}, but got {spec.__name__}.", field="method")
        if lacking := [part for part in ("paper", "loss") if not hasattr(spec, part)]:
            raise SpecError(f"the method {name!r}: {spec.__name__} has no `{lacking[0]}`.", field="method")
        spec.name = name
        methods.register(name)(spec)
        return spec

    return enter
