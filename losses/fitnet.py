from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ..specs import NonNegative, Range, require
from .functional import cross_entropy_sum, to_float32, to_smaller_size
from .method import Loss, LossInputs, Method, NetworkShape, TeacherRequirement, method


class FitNetLoss(Loss["FitNet"]):
    """Loss `CE(z, y) + w mean((r(s) - t)^2)`; s and t are maps (N, channels, h, w) of the student and the teacher.

    The regressor r is a learned 1x1 convolution to the teacher's channels and batch normalisation, with a ReLU if
    `rectified`. If the maps differ in size, adaptive average pooling first reduces the larger one to the height and
    width of the smaller one.
    """

    def __init__(self, settings: "FitNet", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.stage = settings.hint_stage or _middle(shape.stage_channels)
        self.teacher_stage = settings.hint_stage or _middle(shape.teacher_stage_channels)
        channels = shape.teacher_stage_channels[self.teacher_stage - 1]
        self.regressor = nn.Sequential(
            nn.Conv2d(shape.stage_channels[self.stage - 1], channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU() if settings.rectified else nn.Identity(),
        )

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return the terms `label` and `hint`."""
        hint = inputs.teacher_stage_maps[self.teacher_stage - 1].detach()
        student, hint = to_smaller_size(to_float32(inputs.stage_maps[self.stage - 1]), to_float32(hint))
        distance = F.mse_loss(self.regressor(student), hint)
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "hint": self.settings.weight * distance}


def _middle(stages: Sequence[int]) -> int:
    """Return the number of the middle stage, from 1; for an even number, the last stage of the first half."""
    return (len(stages) + 1) // 2


@method("fitnet")
@dataclass(frozen=True, kw_only=True)
class FitNet(Method):
    """Hint learning: the student's mid-depth features predict the teacher's (hints).

    As in RepDistiller, the hint is a term of a single training. The paper first trains the first half of the student
    on the hint only, then the whole student by knowledge distillation.
    """

    paper: ClassVar[str] = "Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio 2015, arXiv 1412.6550"
    teacher: ClassVar[TeacherRequirement] = "required"
    loss: ClassVar[type[FitNetLoss]] = FitNetLoss

    hint_stage: Annotated[int | None, Range(minimum=1)] = None
    """Stage of both networks, from 1. Default: the middle stage of each, such as 2 of 3, 2 of 4 or 4 of 7."""
    rectified: bool = True
    """True if the regressor ends in a ReLU; use false if the teacher's stage outputs can be negative."""
    weight: NonNegative = 100.0
    """Weight of the hint term."""

    def inactive_fields(self) -> frozenset[str]:
        """Return the settings of the hint term if it has weight 0."""
        return frozenset({"hint_stage", "rectified"} if self.weight == 0 else ())

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise `SpecError` for a stage that the student or the teacher does not have."""
        super().check(exits, stages=stages)
        if self.hint_stage is not None and stages is not None:
            rule = "hint_stage <= number of stages of student and teacher"
            require(self.hint_stage <= stages, rule, hint_stage=self.hint_stage, stages=stages)
