from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ..specs import Fraction, Range
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Loss, LossInputs, Method, Requirement, TeacherRequirement, method


class KDLoss(Loss["KD"]):
    """Loss `sum_i (1 - w) CE(z_i, y) + w f T^2 KL(softmax(z_t / T) || softmax(z_i / T))` over the student's exits.

    z_i and z_t are the logits (N, C) of exit i and of the teacher. With `standardise`, the divergence uses
    `(z - mean(z)) / (std(z) + 1e-7)` over the classes of each image, with C - 1 in the denominator of std, as in the
    authors' code. `tf_kd_self` uses this loss too, with settings of the same names.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `teacher`."""
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
    """Knowledge distillation: the student is trained on the labels and the softened outputs of a trained teacher."""

    paper: ClassVar[str] = (
        "Hinton, Vinyals, Dean 2015, arXiv 1503.02531; standardise: Sun et al. 2024, arXiv 2403.01427"
    )
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"
    loss: ClassVar[type[KDLoss]] = KDLoss

    temperature: Annotated[float | None, Range(above=0)] = None
    """Softmax temperature of both distributions. Default: 4, or 2 with `standardise`."""
    weight: Fraction = 0.9
    """Weight of the teacher term; the label term gets 1 - weight."""
    standardise: bool = False
    """True if student and teacher logits are standardised to mean 0 and standard deviation 1 before the softmax."""
    factor: Annotated[float | None, Range(minimum=0)] = None
    """Factor of the divergence. Default: 1, or 10 with `standardise` (term weights 0.1 and 9 in the paper)."""

    def __post_init__(self) -> None:
        """Set the defaults that depend on `standardise`."""
        super().__post_init__()
        if self.temperature is None:
            object.__setattr__(self, "temperature", 2.0 if self.standardise else 4.0)
        if self.factor is None:
            object.__setattr__(self, "factor", 10.0 if self.standardise else 1.0)

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the teacher term if it has weight 0."""
        if self.weight == 0:
            return frozenset({"temperature", "standardise", "factor"})
        return frozenset({"temperature", "standardise"} if self.factor == 0 else ())
