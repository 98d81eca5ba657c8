from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, Positive
from .method import Loss, LossInputs, Method, Need, NetworkShape, method
from .terms import label_loss, softened_divergence


class KDLoss(Loss):
    """`sum_i (1 - w) CE(z_i, y) + w T^2 KL(softmax(z_t / T) || softmax(z_i / T))` over the student's exits."""

    def __init__(self, temperature: float, weight: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = weight

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `teacher`."""
        assert inputs.teacher_logits is not None
        target = inputs.teacher_logits.detach()
        divergences = [softened_divergence(logits, target, self.temperature) for logits in inputs.logits]
        return {
            "label": (1 - self.weight) * label_loss(inputs.logits, inputs.labels),
            "teacher": self.weight * torch.stack(divergences).sum(),
        }


@method("kd")
@dataclass(frozen=True, kw_only=True)
class KD(Method):
    """Standard knowledge distillation: a trained teacher's softened outputs are a second target."""

    paper: ClassVar[str] = "Hinton, Vinyals, Dean 2015, arXiv 1503.02531"
    exits: ClassVar[Need] = "optional"
    teacher: ClassVar[Need] = "required"

    temperature: Positive = 4.0
    """Softens both distributions."""
    weight: Fraction = 0.9
    """Of the teacher's term; the labels get the rest."""

    def build(self, shape: NetworkShape) -> KDLoss:
        """The loss, the same at each of the student's exits."""
        del shape
        return KDLoss(self.temperature, self.weight)
