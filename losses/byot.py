from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, NonNegative, Positive
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, Requirement, method


class BYOTLoss(Loss["BYOT"]):
    """`L = CE(z_E, y) + sum_{i < E} (1 - a) CE(z_i, y) + a T^2 KL(p_E || p_i) + l / N sum_n ||f_in - f_En||^2`.

    z_i are the logits (N, C), `p_i = softmax(z_i / T)`, and f_i the features (N, W) of exit i = 1..E. No gradient
    flows into p_E and f_E. As in the paper, a and l are zero for the final exit. The hints are the features that
    classifiers read, after the pooling, which the exits' heads bring to one width.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label`, `output` and, if it has a weight, `feature`."""
        weight = self.settings.output_weight
        *students, target = inputs.logits
        divergences = [kd_loss(z, target.detach(), self.settings.temperature) for z in students]
        shallow_labels = cross_entropy_sum(tuple(students), inputs.labels)
        terms = {
            "label": cross_entropy_sum((target,), inputs.labels) + (1 - weight) * shallow_labels,
            "output": weight * torch.stack(divergences).sum(),
        }
        if self.settings.feature_weight:
            *hinted, hint = [to_float32(f) for f in inputs.features]
            distances = [(f - hint.detach()).square().sum(dim=1).mean() for f in hinted]
            terms["feature"] = self.settings.feature_weight * torch.stack(distances).sum()
        return terms


@method("byot")
@dataclass(frozen=True, kw_only=True)
class BYOT(Method):
    """Be your own teacher: the final exit teaches the others its softened outputs and its features.

    The paper names no constants; these are those of a program that has all of its terms (GitHub
    `luanyunteng/pytorch-be-your-own-teacher`, train.py at 8f052ad: temperature 3, alpha 0.1, beta 1e-6). There the
    hint loss is a sum over a batch of 128 images; here it is a mean over the images, and beta 128 times as large.
    There the final exit's labels have the weight 1 - alpha too, which the paper gives to the other exits alone.
    """

    paper: ClassVar[str] = "Zhang, Song, Gao, Chen, Bao, Ma 2019, arXiv 1905.08094"
    exits: ClassVar[Requirement] = "required"
    loss: ClassVar[type[BYOTLoss]] = BYOTLoss

    temperature: Positive = 3.0
    """Softens both distributions."""
    output_weight: Fraction = 0.1
    """Of what the final exit teaches each other exit, whose labels get the rest."""
    feature_weight: NonNegative = 1.28e-4
    """Of the squared distance between features, summed over their width; 0 turns it off."""

    def inactive_fields(self) -> frozenset[str]:
        """The temperature of a term without weight."""
        return frozenset({"temperature"} if self.output_weight == 0 else ())
