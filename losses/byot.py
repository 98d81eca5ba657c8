from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, Requirement, method


@method("byot")
@dataclass(frozen=True, kw_only=True)
class BYOT(Method):
    """Be your own teacher: the other exits are distilled from the softened outputs and features of the final exit.

    The paper gives no constants. The defaults are those of an implementation with all of its terms (GitHub
    `luanyunteng/pytorch-be-your-own-teacher`, train.py at 8f052ad: temperature 3, alpha 0.1, beta 1e-6). That code
    sums the hint loss over a batch of 128 images; here it is the mean over the images, and beta is 128 times as large.
    That code also weights the label term of the final exit by 1 - alpha; the paper does so for the other exits only.
    """

    paper: ClassVar[str] = "Zhang, Song, Gao, Chen, Bao, Ma 2019, arXiv 1905.08094"
    exits: ClassVar[Requirement] = "required"

    temperature: Positive = 3.0
    """Softmax temperature of both distributions."""
    output_weight: Fraction = 0.1
    """Weight of the output term of each exit except the final one; its label term gets 1 - output_weight."""
    feature_weight: NonNegative = 1.28e-4
    """Weight of the squared feature distance, summed over the features; 0 disables it."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `output` and, if its weight is not 0, `feature`.

            CE(z_E, y) + sum_{i < E} (1 - a) CE(z_i, y) + a T^2 KL(p_E || p_i) + l / N sum_n ||f_in - f_En||^2

        z_i are the logits (N, C), `p_i = softmax(z_i / T)`, and f_i the features (N, W) of exit i = 1..E. No gradient
        flows into p_E and f_E. As in the paper, a and l are zero for the final exit. The hints are the pooled features
        that classifiers read; the heads give all exits the same number of features.
        """
        weight = self.output_weight
        *students, target = inputs.logits
        divergences = [kd_loss(z, target.detach(), self.temperature) for z in students]
        terms = {
            "label": cross_entropy_sum([target], inputs.labels)
            + (1 - weight) * cross_entropy_sum(students, inputs.labels),
            "output": weight * torch.stack(divergences).sum(),
        }
        if self.feature_weight:
            *hinted, hint = [to_float32(f) for f in inputs.features]
            distances = [(f - hint.detach()).square().sum(dim=1).mean() for f in hinted]
            terms["feature"] = self.feature_weight * torch.stack(distances).sum()
        return terms

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if the output term has weight 0."""
        return frozenset({"temperature"} if self.output_weight == 0 else ())
