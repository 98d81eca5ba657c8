from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative
from .functional import cross_entropy_sum
from .method import Loss, LossInputs, Method, Requirement, method


class DeepSupervisionLoss(Loss["DeepSupervision"]):
    """`CE(z_E, y) + w sum_{i < E} CE(z_i, y)`, with z_i the logits (N, C) of exit i = 1..E."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` of the final exit and `auxiliary` of the others."""
        return {
            "label": cross_entropy_sum(inputs.logits[-1:], inputs.labels),
            "auxiliary": self.settings.auxiliary_weight * cross_entropy_sum(inputs.logits[:-1], inputs.labels),
        }


@method("deep_supervision")
@dataclass(frozen=True, kw_only=True)
class DeepSupervision(Method):
    """All exits learn from the labels and from nothing else."""

    paper: ClassVar[str] = "Lee, Xie, Gallagher, Zhang, Tu 2015, arXiv 1409.5185"
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[DeepSupervisionLoss]] = DeepSupervisionLoss

    auxiliary_weight: NonNegative = 1.0
    """Of each exit but the final one, whose weight is 1."""
