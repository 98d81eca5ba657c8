from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, other_classes, to_float32
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method


@method("nkd")
@dataclass(frozen=True, kw_only=True)
class NKD(Method):
    """Normalised knowledge distillation: a target-class term, and one over the other classes scaled to sum 1.

    The settings are those of the authors' program for CIFAR-100, in
    configs/distillers/cifar100/res34_distill_res18_cifar.py of yzd-v/cls_KD 1e5d48f. For ImageNet it has temperature 1
    and gamma 1.5. The terms cost about as much as those of `kd`.
    """

    paper: ClassVar[str] = "Yang, Zeng, Yuan, Li 2023, ICCV, arXiv 2303.13005"
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"

    temperature: Positive = 3.0
    """Softmax temperature of both distributions over the other classes."""
    gamma: NonNegative = 3.5
    """Weight of the term over the other classes."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `target` and `non_target`, summed over the student's exits, mean over the images.

            sum_i CE(z_i, y) - p_t[y] log p_i[y] - gamma T^2 sum_{c != y} q_t[c] log q_i[c]

        z_i and z_t are the logits (N, C) of exit i and of the teacher. Of either, p = softmax(z) has no temperature,
        and q = softmax(z / T) is taken over the classes except y (N, C - 1). As in the authors' program, both terms are
        cross-entropies, which are not 0 if student and teacher agree. The target class of a mixed image is its most
        probable label.
        """
        assert inputs.teacher_logits is not None
        classes = inputs.labels if inputs.labels.ndim == 1 else inputs.labels.argmax(dim=1)
        teacher = to_float32(inputs.teacher_logits.detach())
        target = teacher.softmax(dim=1).gather(1, classes[:, None])
        other_targets = (other_classes(teacher, classes) / self.temperature).softmax(dim=1)
        target_terms, other_terms = [], []
        for logits in map(to_float32, inputs.logits):
            target_terms.append(-(target * logits.log_softmax(dim=1).gather(1, classes[:, None])).mean())
            others = (other_classes(logits, classes) / self.temperature).log_softmax(dim=1)
            other_terms.append(-(other_targets * others).sum(dim=1).mean())
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "target": torch.stack(target_terms).sum(),
            "non_target": self.gamma * self.temperature**2 * torch.stack(other_terms).sum(),
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if its term has weight 0."""
        return frozenset({"temperature"} if self.gamma == 0 else ())
