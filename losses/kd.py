from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, Range
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, Requirement, TeacherRequirement, method


class KDLoss(Loss["KD"]):
    """`sum_i (1 - w) CE(z_i, y) + w f T^2 KL(softmax(z_t / T) || softmax(z_i / T))` over the student's exits.

    z_i and z_t are the logits (N, C) of exit i and of the teacher. Standardised, each image's logits in the
    divergence are first `(z - mean(z)) / (std(z) + 1e-7)` over its classes, with the C - 1 form of std that the
    authors' program has. `tf_kd_self` has this loss too, and settings of the same names.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `teacher`."""
        assert inputs.teacher_logits is not None
        settings = self.settings
        assert settings.temperature is not None
        assert settings.factor is not None
        prepared = _standardised if settings.standardise else to_float32
        target = prepared(inputs.teacher_logits.detach())
        divergences = [kd_loss(prepared(z), target, settings.temperature) for z in inputs.logits]
        return {
            "label": (1 - settings.weight) * cross_entropy_sum(inputs.logits, inputs.labels),
            "teacher": settings.weight * settings.factor * torch.stack(divergences).sum(),
        }


def _standardised(logits: Tensor) -> Tensor:
    logits = to_float32(logits)
    return (logits - logits.mean(dim=1, keepdim=True)) / (logits.std(dim=1, keepdim=True) + 1e-7)


@method("kd")
@dataclass(frozen=True, kw_only=True)
class KD(Method):
    """Standard knowledge distillation: a trained teacher's softened outputs are a second target."""

    paper: ClassVar[str] = (
        "Hinton, Vinyals, Dean 2015, arXiv 1503.02531; standardise: Sun et al. 2024, arXiv 2403.01427"
    )
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"
    loss: ClassVar[type[KDLoss]] = KDLoss

    temperature: Annotated[float | None, Range(above=0)] = None
    """Softens both distributions. Left out, it is 4, or 2 for standardised logits."""
    weight: Fraction = 0.9
    """Of the teacher's term; the labels get the rest."""
    standardise: bool = False
    """Whether student and teacher logits are brought to mean 0 and deviation 1 before they are softened."""
    factor: Annotated[float | None, Range(minimum=0)] = None
    """Of the divergence. Left out, it is 1, or 10 for standardised logits, whose authors weight the terms 0.1 : 9."""

    def __post_init__(self) -> None:
        """Settles what depends on whether logits are standardised."""
        super().__post_init__()
        if self.temperature is None:
            object.__setattr__(self, "temperature", 2.0 if self.standardise else 4.0)
        if self.factor is None:
            object.__setattr__(self, "factor", 10.0 if self.standardise else 1.0)

    def inactive_fields(self) -> frozenset[str]:
        """All that shapes the teacher's term, where it has no weight."""
        if self.weight == 0:
            return frozenset({"temperature", "standardise", "factor"})
        return frozenset({"temperature", "standardise"} if self.factor == 0 else ())
