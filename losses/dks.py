from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative
from .functional import cross_entropy_sum, mutual_kl
from .method import Loss, LossInputs, Method, Requirement, method


class DKSLoss(Loss["DKS"]):
    """Loss `sum_i CE(z_i, y) + w sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))` of the logits z_i (N, C).

    No gradient flows into the targets z_j. The authors' code keeps probabilities at least 1e-8 away from 0;
    a log-softmax needs no such bound.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `output`."""
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.settings.output_weight * mutual_kl(inputs.logits),
        }


@method("dks")
@dataclass(frozen=True, kw_only=True)
class DKS(Method):
    """Deeply-supervised knowledge synergy: each exit is distilled from every other exit."""

    paper: ClassVar[str] = "Sun, Yao, Zhou, Zhao 2019, arXiv 1906.00675"
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[DKSLoss]] = DKSLoss

    output_weight: NonNegative = 1.0
    """Weight of the divergence of each pair of exits."""
