from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative, Positive
from .kd import KDLoss
from .method import Method, Requirement, TeacherRequirement, method


@method("tf_kd_self")
@dataclass(frozen=True, kw_only=True)
class TfKDSelf(Method):
    """Teacher-free distillation by self-training: the teacher is the same network, trained before on the labels.

    The loss is that of `kd`, `sum_i (1 - w) CE(z_i, y) + w f T^2 KL(softmax(z_t / T) || softmax(z_i / T))`, with z_i
    and z_t the logits (N, C) of exit i and of the teacher. The authors' program (`loss_kd_self` in my_loss_function.py
    at 880a74e) takes the KL's mean over classes too, times 50; here it is the sum, times f. The defaults are theirs
    for ResNet-18 on CIFAR-100.
    """

    paper: ClassVar[str] = "Yuan, Tay, Li, Wang, Feng 2020, arXiv 1909.11723"
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "self"
    loss: ClassVar[type[KDLoss]] = KDLoss
    standardise: ClassVar[bool] = False

    temperature: Positive = 6.0
    """Softens both distributions."""
    weight: Fraction = 0.95
    """Of the teacher's term; the labels get the rest."""
    factor: NonNegative = 0.5
    """Of the divergence: the authors' `multiplier` of 50, which their mean over 100 classes divides by 100."""

    def inactive_fields(self) -> frozenset[str]:
        """All that shapes the teacher's term, where it has no weight."""
        if self.weight == 0:
            return frozenset({"temperature", "factor"})
        return frozenset({"temperature"} if self.factor == 0 else ())
