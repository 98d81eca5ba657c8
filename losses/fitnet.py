from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from ..specs import NonNegative, Range, require
from ._torch import F, nn, torch
from .functional import cross_entropy_sum, to_float32, to_smaller_size
from .method import Learned, LossInputs, Method, NetworkShape, TeacherRequirement, method

Entry = TypeVar("Entry")


@method("fitnet")
@dataclass(frozen=True, kw_only=True)
class FitNet(Method):
    """Hint learning: the student's mid-depth features predict the teacher's (hints).

    As in RepDistiller, the hint is a term of a single training. The paper first trains the first half of the student
    on the hint only, then the whole student by knowledge distillation.
    """

    paper: ClassVar[str] = "Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio 2015, arXiv 1412.6550"
    teacher: ClassVar[TeacherRequirement] = "required"

    hint_stage: Annotated[int | None, Range(minimum=1)] = None
    """Stage of both networks, from 1. Default: the middle stage of each, such as 2 of 3, 2 of 4 or 4 of 7."""
    rectified: bool = True
    """True if the regressor ends in a ReLU; use false if the teacher's stage outputs can be negative."""
    weight: NonNegative = 100.0
    """Weight of the hint term."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module]:
        """Return the regressor: a 1x1 convolution to the teacher's channels, normalised, with a ReLU if `rectified`."""
        channels = self._hint(shape.teacher_stage_channels)
        convolution = nn.Conv2d(self._hint(shape.stage_channels), channels, kernel_size=1, bias=False)
        last = nn.ReLU() if self.rectified else nn.Identity()
        return {"regressor": nn.Sequential(convolution, nn.BatchNorm2d(channels), last)}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `hint` of `CE(z, y) + w mean((r(s) - t)^2)`, with the learned regressor r.

        s and t are maps (N, channels, h, w) of the student and the teacher. If they differ in size, adaptive average
        pooling first reduces the larger one to the height and width of the smaller one.
        """
        student, hint = self._hint(inputs.stage_maps), self._hint(inputs.teacher_stage_maps).detach()
        student, hint = to_smaller_size(to_float32(student), to_float32(hint))
        distance = F.mse_loss(learned["regressor"](student), hint)
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "hint": self.weight * distance}

    def _hint(self, stages: Sequence[Entry]) -> Entry:
        """Return the entry of the hint's stage: by default the middle one, the last of the first half if even."""
        return stages[(self.hint_stage or (len(stages) + 1) // 2) - 1]

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the hint term if it has weight 0."""
        return frozenset({"hint_stage", "rectified"} if self.weight == 0 else ())

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise `SpecError` for a stage that the student or the teacher does not have."""
        super().check(exits, stages=stages)
        if self.hint_stage is not None and stages is not None:
            rule = "hint_stage <= number of stages of student and teacher"
            require(self.hint_stage <= stages, rule, hint_stage=self.hint_stage, stages=stages)
