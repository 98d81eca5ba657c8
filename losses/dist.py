from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, to_float32
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method


@method("dist")
@dataclass(frozen=True, kw_only=True)
class DIST(Method):
    """DIST: the student's probabilities correlate with the teacher's, over the classes and over the images.

    The settings are those of the authors' program for CIFAR-100: `dist_t4` with weight 2, in
    configs/strategies/distill/dist_cifar.yaml of hunto/image_classification_sota d9662f7, a submodule of hunto/DIST_KD
    2418f18. For ImageNet it has temperature 1. The terms cost about as much as those of `kd`.
    """

    paper: ClassVar[str] = "Huang, You, Wang, Qian, Xu 2022, arXiv 2205.10536"
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"

    temperature: Positive = 4.0
    """Softmax temperature of both distributions."""
    beta: NonNegative = 2.0
    """Weight of the inter-class term: correlation over the classes of each image."""
    gamma: NonNegative = 2.0
    """Weight of the intra-class term: correlation over the images for each class."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `inter_class` and `intra_class`, summed over the student's exits.

            sum_i CE(z_i, y) + T^2 (beta (1 - mean_n r(p_i[n], p_t[n])) + gamma (1 - mean_c r(p_i[:, c], p_t[:, c])))

        z_i and z_t are the logits (N, C) of exit i and of the teacher, p = softmax(z / T) of either, and r is Pearson's
        correlation `a b / (|a| |b| + 1e-8)` of centred vectors a and b. The images of the intra-class term are those of
        one forward pass: a part of the batch with `accumulation` or several processes.
        """
        assert inputs.teacher_logits is not None
        target = (to_float32(inputs.teacher_logits.detach()) / self.temperature).softmax(dim=1)
        shares = [(to_float32(z) / self.temperature).softmax(dim=1) for z in inputs.logits]
        inter, intra = (torch.stack([1 - _correlation(p, target, dim).mean() for p in shares]).sum() for dim in (1, 0))
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "inter_class": self.beta * self.temperature**2 * inter,
            "intra_class": self.gamma * self.temperature**2 * intra,
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if both terms have weight 0."""
        return frozenset({"temperature"} if self.beta == self.gamma == 0 else ())


def _correlation(first: torch.Tensor, second: torch.Tensor, dim: int) -> torch.Tensor:
    first, second = (values - values.mean(dim=dim, keepdim=True) for values in (first, second))
    return (first * second).sum(dim=dim) / (first.norm(dim=dim) * second.norm(dim=dim) + 1e-8)
