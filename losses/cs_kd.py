from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss
from .method import Learned, LossInputs, Method, method


@method("cs_kd")
@dataclass(frozen=True, kw_only=True)
class CSKD(Method):
    """Class-wise self-distillation: predictions for an image match those for another image of its class."""

    paper: ClassVar[str] = "Yun, Park, Lee, Shin 2020, arXiv 2003.13964"
    needs_same_class_pairs: ClassVar[bool] = True
    requires_hard_labels: ClassVar[bool] = True

    temperature: Positive = 4.0
    """Softmax temperature of both distributions."""
    weight: NonNegative = 1.0
    """Weight of the pair term; lambda in the paper."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `pair` of `CE(z, y) + w T^2 KL(softmax(z_pair / T) || softmax(z / T))`.

        z and z_pair are the logits (N, C) of an image and of another image of its class. Each label must be one class.
        """
        assert inputs.same_class_logits is not None
        (logits,) = inputs.logits
        divergence = kd_loss(logits, inputs.same_class_logits.detach(), self.temperature)
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "pair": self.weight * divergence}

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if the pair term has weight 0."""
        return frozenset({"temperature"} if self.weight == 0 else ())
