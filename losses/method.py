"""What a method is: a frozen spec, and the loss that it builds."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from ..specs import Registry, Spec

Need = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, kw_only=True)
class LossInputs:
    """What one training step knows. E exits (the last is the network's own classifier), N images, C classes."""

    logits: tuple[Tensor, ...]
    """Of each exit, (N, C), from the shallowest to the final one."""
    features: tuple[Tensor, ...]
    """Of each exit, what its classifier reads: (N, W), after ReLU and pooling, one width W for all exits."""
    labels: Tensor
    """(N,) class numbers."""
    teacher_logits: Tensor | None = None
    """(N, C), without gradient; only for methods that need a teacher."""


class Loss(nn.Module, ABC):
    """The training objective of a method."""

    @abstractmethod
    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the named terms, weights included, each a scalar; their sum is what is minimised."""


@dataclass(frozen=True, kw_only=True)
class Method(Spec, ABC):
    """The settings of one way to train a network."""

    name: ClassVar[str]
    """The one it is registered under."""
    paper: ClassVar[str]
    """Authors, year and where to find it."""
    exits: ClassVar[Need] = "ignored"
    """Whether the network has exits besides its final one."""
    teacher: ClassVar[Need] = "ignored"
    """Whether a trained network's outputs are part of the loss."""

    @abstractmethod
    def build(self, exits: int) -> Loss:
        """The loss for a network with this many exits, the final one included."""


methods: Registry[type[Method]] = Registry("method")


def method(name: str) -> Callable[[type[Method]], type[Method]]:
    """Decorator that registers a method's spec under a name. Raises `ValueError` for a name that is taken."""

    def enter(spec: type[Method]) -> type[Method]:
        spec.name = name
        return methods.register(name)(spec)

    return enter
