from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..specs import NonNegative
from .method import Loss, LossInputs, Method, Need, NetworkShape, method
from .terms import label_loss, mutual_divergence


class DKSLoss(Loss):
    """`sum_i CE(z_i, y) + w sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))` over the exits' logits z_i (N, C).

    No gradient flows into the targets z_j. The authors' program keeps probabilities 1e-8 away from 0; logarithms
    of softmax need no such distance.
    """

    def __init__(self, output_weight: float) -> None:
        super().__init__()
        self.output_weight = output_weight

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `output`."""
        return {
            "label": label_loss(inputs.logits, inputs.labels),
            "output": self.output_weight * mutual_divergence(inputs.logits),
        }


@method("dks")
@dataclass(frozen=True, kw_only=True)
class DKS(Method):
    """Deeply-supervised knowledge synergy: every exit learns from the labels and from each of the other exits."""

    paper: ClassVar[str] = "Sun, Yao, Zhou, Zhao 2019, arXiv 1906.00675"
    exits: ClassVar[Need] = "required"

    output_weight: NonNegative = 1.0
    """Of each pair of exits."""

    def build(self, shape: NetworkShape) -> DKSLoss:
        """The loss for a network with at least one exit besides its final one."""
        assert shape.exits > 1
        return DKSLoss(self.output_weight)
