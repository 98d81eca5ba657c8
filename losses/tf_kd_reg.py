from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import Fraction, NonNegative, Positive, Range
from .functional import cross_entropy_sum, to_float32
from .method import Loss, LossInputs, Method, method


class TfKDRegLoss(Loss["TfKDReg"]):
    """Loss `(1 - w) CE(z, y) + w f KL(softmax(u / T) || softmax(z))` with the logits z (N, C) and a virtual teacher u.

        u = a y + (1 - a) / (C - 1) (1 - y)     (N, C); y the labels as probabilities, a the teacher's accuracy

    This is the loss of the authors' code (GitHub `yuanli2333/Teacher-free-Knowledge-Distillation`, my_loss_function.py
    at 880a74e). It softens the probabilities u as if they were logits, does not soften the student, and has no factor
    T^2. The authors' KL is also averaged over classes, times 100; here it is the sum over classes, times f.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `virtual_teacher`."""
        (logits,) = inputs.logits
        log_student = F.log_softmax(to_float32(logits), dim=1)
        target = (self._virtual_teacher(inputs.labels, log_student) / self.settings.temperature).softmax(dim=1)
        divergence = F.kl_div(log_student, target, reduction="batchmean")
        weight = self.settings.weight
        return {
            "label": (1 - weight) * cross_entropy_sum(inputs.logits, inputs.labels),
            "virtual_teacher": weight * self.settings.factor * divergence,
        }

    def _virtual_teacher(self, labels: Tensor, like: Tensor) -> Tensor:
        classes, accuracy = like.shape[1], self.settings.accuracy
        if labels.ndim == 1:
            labels = labels[:, None] == torch.arange(classes, device=labels.device)
        labels = labels.to(like.dtype)
        return accuracy * labels + (1 - accuracy) / (classes - 1) * (1 - labels)


@method("tf_kd_reg")
@dataclass(frozen=True, kw_only=True)
class TfKDReg(Method):
    """Teacher-free distillation by regularisation: a virtual teacher gives the correct class a fixed probability.

    The defaults are those of the authors for ResNet-18 on CIFAR-100.
    """

    paper: ClassVar[str] = "Yuan, Tay, Li, Wang, Feng 2020, arXiv 1909.11723"
    loss: ClassVar[type[TfKDRegLoss]] = TfKDRegLoss

    accuracy: Annotated[float, Range(above=0, maximum=1)] = 0.99
    """Probability of the correct class in the virtual teacher; the other classes share the rest evenly."""
    temperature: Positive = 20.0
    """Softmax temperature of the virtual teacher; the student is not softened."""
    weight: Fraction = 0.1
    """Weight of the virtual teacher term; the label term gets 1 - weight."""
    factor: NonNegative = 1.0
    """Factor of the divergence; 1 equals the authors' `multiplier` of 100 with a mean over 100 classes."""

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the virtual teacher term if it has weight 0."""
        if self.weight == 0:
            return frozenset({"accuracy", "temperature", "factor"})
        return frozenset({"accuracy", "temperature"} if self.factor == 0 else ())
