from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative, Positive
from .method import Loss, LossInputs, Method, NetworkShape, method
from .terms import label_loss, softened_divergence


class CSKDLoss(Loss):
    """`CE(z, y) + w T^2 KL(softmax(z_pair / T) || softmax(z / T))`.

    z and z_pair are the logits (N, C) of an image and of another one of its class.
    """

    def __init__(self, temperature: float, weight: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = weight

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `pair`."""
        assert inputs.pair_logits is not None
        (logits,) = inputs.logits
        divergence = softened_divergence(logits, inputs.pair_logits.detach(), self.temperature)
        return {"label": label_loss(inputs.logits, inputs.labels), "pair": self.weight * divergence}


@method("cs_kd")
@dataclass(frozen=True, kw_only=True)
class CSKD(Method):
    """Class-wise self-distillation: the network is to say of an image what it says of another one of its class."""

    paper: ClassVar[str] = "Yun, Park, Lee, Shin 2020, arXiv 2003.13964"
    needs_pairs: ClassVar[bool] = True

    temperature: Positive = 4.0
    """Softens both distributions."""
    weight: NonNegative = 1.0
    """Of the pair's term, the paper's lambda."""

    def irrelevant_fields(self) -> frozenset[str]:
        """The temperature of a term without weight."""
        return frozenset({"temperature"} if self.weight == 0 else ())

    def build(self, shape: NetworkShape) -> CSKDLoss:
        """The loss for a network without exits besides its own classifier."""
        assert shape.exits == 1
        return CSKDLoss(self.temperature, self.weight)
