from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from ..specs import NonNegative, Range
from .functional import cross_entropy_sum, mutual_kl
from .method import Loss, LossInputs, Method, method


class DMLLoss(Loss["DML"]):
    """`sum_i CE(z_i, y) + w / (K - 1) sum_{j != i} KL(softmax(z_j) || softmax(z_i))`, z_i (N, C) of network i = 1..K.

    No gradient flows into the targets z_j. The mean over the other networks is the paper's, for cohorts of more than
    two; the authors' program (GitHub `YingZhangDUT/Deep-Mutual-Learning`, train_models.py at c3d6ff1) takes their
    sum, which is the same for two, and keeps probabilities 1e-8 away from 0. All networks take their step at once,
    where the paper's algorithm updates one after the other with the outputs of those that it has updated.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `output`, summed over the networks."""
        others = len(inputs.logits) - 1
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.settings.output_weight / others * mutual_kl(inputs.logits),
        }


@method("dml")
@dataclass(frozen=True, kw_only=True)
class DML(Method):
    """Deep mutual learning: several networks learn together, each from the labels and from all others."""

    paper: ClassVar[str] = "Zhang, Xiang, Hospedales, Lu 2018, arXiv 1706.00384"
    loss: ClassVar[type[DMLLoss]] = DMLLoss
    cohort: ClassVar[bool] = True

    networks: Annotated[int, Range(minimum=2)] = 2
    """How many learn together."""
    output_weight: NonNegative = 1.0
    """Of what the other networks, on average, teach."""
