from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..specs import Fraction, Range
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method


@method("kd")
@dataclass(frozen=True, kw_only=True)
class KD(Method):
    """Knowledge distillation: the student is trained on the labels and the softened outputs of a trained teacher."""

    paper: ClassVar[str] = (
        "Hinton, Vinyals, Dean 2015, arXiv 1503.02531; standardise: Sun et al. 2024, arXiv 2403.01427"
    )
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"

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

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `teacher` of `teacher_terms`, on standardised logits with `standardise`."""
        assert self.temperature is not None
        assert self.factor is not None
        prepare = _standardised if self.standardise else to_float32
        return teacher_terms(inputs, prepare, temperature=self.temperature, weight=self.weight, factor=self.factor)

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the teacher term if it has weight 0."""
        if self.weight == 0:
            return frozenset({"temperature", "standardise", "factor"})
        return frozenset({"temperature", "standardise"} if self.factor == 0 else ())


def teacher_terms(
    inputs: LossInputs,
    prepare: Callable[[torch.Tensor], torch.Tensor],
    *,
    temperature: float,
    weight: float,
    factor: float,
) -> dict[str, torch.Tensor]:
    """Return the terms `label` and `teacher`, summed over the student's exits.

        sum_i (1 - w) CE(z_i, y) + w f T^2 KL(softmax(z_t / T) || softmax(z_i / T))

    z_i and z_t are the logits (N, C) of exit i and of the teacher; the divergence uses the prepared logits.
    """
    assert inputs.teacher_logits is not None
    target = prepare(inputs.teacher_logits.detach())
    divergences = [kd_loss(prepare(z), target, temperature) for z in inputs.logits]
    return {
        "label": (1 - weight) * cross_entropy_sum(inputs.logits, inputs.labels),
        "teacher": weight * factor * torch.stack(divergences).sum(),
    }


def _standardised(logits: torch.Tensor) -> torch.Tensor:
    """Return `(z - mean(z)) / (std(z) + 1e-7)` over the classes, std with C - 1, as in the authors' code."""
    logits = to_float32(logits)
    return (logits - logits.mean(dim=1, keepdim=True)) / (logits.std(dim=1, keepdim=True) + 1e-7)
