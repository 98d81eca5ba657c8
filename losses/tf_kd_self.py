from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative, Positive
from ._torch import torch
from .functional import to_float32
from .kd import teacher_terms
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method


@method("tf_kd_self")
@dataclass(frozen=True, kw_only=True)
class TfKDSelf(Method):
    """Teacher-free distillation by self-training: the teacher is the same architecture, trained on the labels first.

    In the authors' code (`loss_kd_self` in my_loss_function.py at 880a74e), the KL is also averaged over classes, times
    50; here it is the sum over classes, times f. The defaults are those of the authors for ResNet-18 on CIFAR-100.
    """

    paper: ClassVar[str] = "Yuan, Tay, Li, Wang, Feng 2020, arXiv 1909.11723"
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "self"

    temperature: Positive = 6.0
    """Softmax temperature of both distributions."""
    weight: Fraction = 0.95
    """Weight of the teacher term; the label term gets 1 - weight."""
    factor: NonNegative = 0.5
    """Factor of the divergence: the authors' `multiplier` over the number of classes, so 50 / 100 for CIFAR-100."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms of `kd`: `sum_i (1 - w) CE(z_i, y) + w f T^2 KL(softmax(z_t / T) || softmax(z_i / T))`."""
        return teacher_terms(inputs, to_float32, temperature=self.temperature, weight=self.weight, factor=self.factor)

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the teacher term if it has weight 0."""
        if self.weight == 0:
            return frozenset({"temperature", "factor"})
        return frozenset({"temperature"} if self.factor == 0 else ())
