from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..specs import Fraction, NonNegative, Positive, Range
from ._torch import F, torch
from .functional import cross_entropy_sum, to_float32
from .method import Learned, LossInputs, Method, method


@method("tf_kd_reg")
@dataclass(frozen=True, kw_only=True)
class TfKDReg(Method):
    """Teacher-free distillation by regularisation: a virtual teacher gives the correct class a fixed probability.

    The defaults are those of the authors for ResNet-18 on CIFAR-100. For 200 classes, set `factor: 0.5` to get their
    multiplier of 100.
    """

    paper: ClassVar[str] = "Yuan, Tay, Li, Wang, Feng 2020, arXiv 1909.11723"

    accuracy: Annotated[float, Range(above=0, maximum=1)] = 0.99
    """Probability of the correct class in the virtual teacher; the other classes share the rest evenly."""
    temperature: Positive = 20.0
    """Softmax temperature of the virtual teacher; the student is not softened."""
    weight: Fraction = 0.1
    """Weight of the virtual teacher term; the label term gets 1 - weight."""
    factor: NonNegative = 1.0
    """Factor of the divergence: the authors' `multiplier` over the number of classes, so 100 / 100 for CIFAR-100."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `virtual_teacher`, with the logits z (N, C) and a virtual teacher u.

            (1 - w) CE(z, y) + w f KL(softmax(u / T) || softmax(z))
            u = a y + (1 - a) / (C - 1) (1 - y)     (N, C); y the labels as probabilities, a the teacher's accuracy

        This is the loss of the authors' code (GitHub `yuanli2333/Teacher-free-Knowledge-Distillation`,
        my_loss_function.py at 880a74e). It softens the probabilities u as if they were logits, does not soften the
        student, and has no factor T^2. The authors' KL is also averaged over classes, times 100; here it is the sum
        over classes, times f.
        """
        (logits,) = inputs.logits
        log_student = F.log_softmax(to_float32(logits), dim=1)
        classes, y = log_student.shape[1], inputs.labels
        if y.ndim == 1:
            y = y[:, None] == torch.arange(classes, device=y.device)
        y = y.to(log_student.dtype)
        u = self.accuracy * y + (1 - self.accuracy) / (classes - 1) * (1 - y)
        divergence = F.kl_div(log_student, (u / self.temperature).softmax(dim=1), reduction="batchmean")
        return {
            "label": (1 - self.weight) * cross_entropy_sum(inputs.logits, inputs.labels),
            "virtual_teacher": self.weight * self.factor * divergence,
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the virtual teacher term if it has weight 0."""
        if self.weight == 0:
            return frozenset({"accuracy", "temperature", "factor"})
        return frozenset({"accuracy", "temperature"} if self.factor == 0 else ())
