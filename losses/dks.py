from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative
from ._torch import torch
from .functional import cross_entropy_sum, mutual_kl
from .method import Learned, LossInputs, Method, Requirement, method


@method("dks")
@dataclass(frozen=True, kw_only=True)
class DKS(Method):
    """Deeply-supervised knowledge synergy: each exit is distilled from every other exit."""

    paper: ClassVar[str] = "Sun, Yao, Zhou, Zhao 2019, arXiv 1906.00675"
    exits: ClassVar[Requirement] = "required"

    output_weight: NonNegative = 1.0
    """Weight of the divergence of each pair of exits."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `output`.

            sum_i CE(z_i, y) + w sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))

        z_i are the logits (N, C) of exit i = 1..E. No gradient flows into the targets z_j. The authors' code keeps
        probabilities at least 1e-8 away from 0; a log-softmax needs no such bound.
        """
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "output": self.output_weight * mutual_kl(inputs.logits),
        }
