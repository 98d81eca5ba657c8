from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative
from .method import Loss, LossInputs, Method, Need, method
from .terms import label_loss


class DeepSupervisionLoss(Loss["DeepSupervision"]):
    """`CE(z_E, y) + w sum_{i < E} CE(z_i, y)`, with z_i the logits (N, C) of exit i = 1..E."""

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` of the final exit and `auxiliary` of the others."""
        return {
            "label": label_loss(inputs.logits[-1:], inputs.labels),
            "auxiliary": self.settings.auxiliary_weight * label_loss(inputs.logits[:-1], inputs.labels),
        }


@method("deep_supervision")
@dataclass(frozen=True, kw_only=True)
class DeepSupervision(Method):
    """All exits learn from the labels and from nothing else."""

    paper: ClassVar[str] = "Lee, Xie, Gallagher, Zhang, Tu 2015, arXiv 1409.5185"
    exits: ClassVar[Need] = "required"
    loss: ClassVar[type[DeepSupervisionLoss]] = DeepSupervisionLoss

    auxiliary_weight: NonNegative = 1.0
    """Of each exit but the final one, whose weight is 1."""
