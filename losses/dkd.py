from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss, other_classes, ramp, scaled, to_float32
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method


@method("dkd")
@dataclass(frozen=True, kw_only=True)
class DKD(Method):
    """Decoupled knowledge distillation: separate terms for the target class and for the other classes.

    The defaults are those of the authors' program (GitHub `megvii-research/mdistiller` at a08d46f,
    configs/cifar100/dkd) for 5 of its 11 pairs on CIFAR-100. For the others it has `beta: 2` (resnet110 to resnet32,
    resnet56 to resnet20) or `beta: 6` (vgg13 to vgg8 and MobileNetV2, wrn_40_2 to wrn_16_2 and wrn_40_1). With exits,
    every exit is distilled from the teacher, as in SAFE-KD (arXiv 2602.03043).
    """

    paper: ClassVar[str] = "Zhao, Cui, Song, Qiu, Liang 2022, arXiv 2203.08679"
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"
    requires_hard_labels: ClassVar[bool] = True

    temperature: Positive = 4.0
    """Softmax temperature of all distributions."""
    alpha: NonNegative = 1.0
    """Weight of the target-class term (TCKD)."""
    beta: NonNegative = 8.0
    """Weight of the term over the other classes (NCKD)."""
    warm_up: Fraction = 20 / 240
    """Share of the training over which the teacher terms grow from 0; 20 of 240 epochs in the authors' code."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `target_class` and `other_classes`, summed over the student's exits.

            sum_i CE(z_i, y) + r T^2 (alpha KL(b_t || b_i) + beta KL(q_t || q_i))

        z_i and z_t are the logits (N, C) of exit i and of the teacher, and p = softmax(z / T) of either:

            b = (p_y, 1 - p_y)                       (N, 2)        target class against all other classes
            q = p_k / (1 - p_y) for all k != y       (N, C - 1)    distribution over the other classes
            r = min(progress / warm_up, 1)

        Each label must be one class: a mixed image has no single target class.
        """
        assert inputs.teacher_logits is not None
        assert inputs.labels.ndim == 1, "dkd needs one class per label: no mixed images"
        target_split, target_others = _decoupled(inputs.teacher_logits.detach(), inputs.labels, self.temperature)
        split_terms, other_terms = [], []
        for logits in inputs.logits:
            split, others = _decoupled(logits, inputs.labels, self.temperature)
            split_terms.append(kd_loss(split, target_split, 1.0))
            other_terms.append(kd_loss(others, target_others, 1.0))
        factor = ramp(inputs.progress, self.warm_up) * self.temperature**2
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "target_class": scaled(factor * self.alpha, torch.stack(split_terms).sum()),
            "other_classes": scaled(factor * self.beta, torch.stack(other_terms).sum()),
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the teacher terms if both have weight 0."""
        return frozenset({"temperature", "warm_up"} if self.alpha == self.beta == 0 else ())


def _decoupled(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits of the distributions b (N, 2) and q (N, C - 1)."""
    logits = to_float32(logits) / temperature
    others = other_classes(logits, labels)
    return torch.cat([logits.gather(1, labels[:, None]), others.logsumexp(dim=1, keepdim=True)], dim=1), others
