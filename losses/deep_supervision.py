from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative
from ._torch import torch
from .functional import cross_entropy_sum
from .method import Learned, LossInputs, Method, Requirement, method


@method("deep_supervision")
@dataclass(frozen=True, kw_only=True)
class DeepSupervision(Method):
    """Deep supervision: all exits are trained on the labels, without distillation.

    The idea is that of the paper. Its own loss differs: a squared hinge loss for each exit, whose weight decays during
    the training. Cross-entropy with a constant weight is what papers on multi-exit networks compare with.
    """

    paper: ClassVar[str] = "Lee, Xie, Gallagher, Zhang, Tu 2015, arXiv 1409.5185"
    exits: ClassVar[Requirement] = "required"

    auxiliary_weight: NonNegative = 1.0
    """Weight of the label term of each exit except the final one, which has weight 1."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` of the final exit and `auxiliary` of the other exits.

        Their sum is `CE(z_E, y) + w sum_{i < E} CE(z_i, y)`, with z_i the logits (N, C) of exit i = 1..E.
        """
        return {
            "label": cross_entropy_sum(inputs.logits[-1:], inputs.labels),
            "auxiliary": self.auxiliary_weight * cross_entropy_sum(inputs.logits[:-1], inputs.labels),
        }
