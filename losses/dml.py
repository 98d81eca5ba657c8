from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..specs import NonNegative, Range
from ._torch import torch
from .functional import cross_entropy_sum, mutual_kl
from .method import Learned, LossInputs, Method, method


@method("dml")
@dataclass(frozen=True, kw_only=True)
class DML(Method):
    """Deep mutual learning: several networks are trained together, each on the labels and towards the others."""

    paper: ClassVar[str] = "Zhang, Xiang, Hospedales, Lu 2018, arXiv 1706.00384"
    cohort: ClassVar[bool] = True

    networks: Annotated[int, Range(minimum=2)] = 2
    """Number of networks that are trained together."""
    output_weight: NonNegative = 1.0
    """Weight of the mean divergence from the other networks."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `output`, summed over the networks i = 1..K.

            sum_i CE(z_i, y) + w / (K - 1) sum_{j != i} KL(softmax(z_j) || softmax(z_i))

        z_i are the logits (N, C); no gradient flows into the targets z_j. The mean over the other networks is that of
        the paper for cohorts of more than two. The authors' code (GitHub `YingZhangDUT/Deep-Mutual-Learning`,
        train_models.py at c3d6ff1) uses the sum, which is equal for two networks, and keeps probabilities at least 1e-8
        away from 0. Here all networks are updated at once; in the paper they are updated in turn, each with the
        previous ones' new outputs.
        """
        others = len(inputs.logits) - 1
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.output_weight / others * mutual_kl(inputs.logits),
        }
