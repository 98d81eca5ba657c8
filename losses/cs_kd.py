from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative, Positive
from .functional import cross_entropy_sum, kd_loss
from .method import Loss, LossInputs, Method, method


class CSKDLoss(Loss["CSKD"]):
    """Loss `CE(z, y) + w T^2 KL(softmax(z_pair / T) || softmax(z / T))`.

    z and z_pair are the logits (N, C) of an image and of another image of its class. Each label must be one class.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `pair`."""
        assert inputs.same_class_logits is not None
        (logits,) = inputs.logits
        divergence = kd_loss(logits, inputs.same_class_logits.detach(), self.settings.temperature)
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "pair": self.settings.weight * divergence}


@method("cs_kd")
@dataclass(frozen=True, kw_only=True)
class CSKD(Method):
    """Class-wise self-distillation: predictions for an image match those for another image of its class."""

    paper: ClassVar[str] = "Yun, Park, Lee, Shin 2020, arXiv 2003.13964"
    loss: ClassVar[type[CSKDLoss]] = CSKDLoss
    needs_same_class_pairs: ClassVar[bool] = True
    requires_hard_labels: ClassVar[bool] = True

    temperature: Positive = 4.0
    """Softmax temperature of both distributions."""
    weight: NonNegative = 1.0
    """Weight of the pair term; lambda in the paper."""

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if the pair term has weight 0."""
        return frozenset({"temperature"} if self.weight == 0 else ())
