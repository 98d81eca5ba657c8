from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ..specs import NonNegative, Range, require
from .functional import cross_entropy_sum, to_float32, to_smaller_size
from .method import Loss, LossInputs, Method, NetworkShape, TeacherRequirement, method


class FitNetLoss(Loss["FitNet"]):
    """`CE(z, y) + w mean((r(s) - t)^2)`: s and t are the maps (N, channels, h, w) of one stage of student and teacher.

    The regressor r is a learned 1x1 convolution to the teacher's channels, batch normalisation and, where the
    teacher's stages end in one, ReLU. Where the maps differ in size, the larger is brought to the smaller's height
    and width by adaptive average pooling, before the regressor.
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
        """Returns the terms `label` and `hint`."""
        hint = inputs.teacher_stage_maps[self.teacher_stage - 1].detach()
        student, hint = to_smaller_size(to_float32(inputs.stage_maps[self.stage - 1]), to_float32(hint))
        distance = F.mse_loss(self.regressor(student), hint)
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "hint": self.settings.weight * distance}


def _middle(stages: Sequence[int]) -> int:
    """The number of the middle one, from 1; of an even number of stages, the last of the first half."""
    return (len(stages) + 1) // 2


@method("fitnet")
@dataclass(frozen=True, kw_only=True)
class FitNet(Method):
    """Hint learning: the student's features at half its depth are to foretell the teacher's.

    As in RepDistiller, the hint is a term of the one training that there is; the paper trains the student's first
    half on the hint alone, then all of it by knowledge distillation.
    """

    paper: ClassVar[str] = "Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio 2015, arXiv 1412.6550"
    teacher: ClassVar[TeacherRequirement] = "required"
    loss: ClassVar[type[FitNetLoss]] = FitNetLoss

    hint_stage: Annotated[int | None, Range(minimum=1)] = None
    """The stage, from 1, of both networks. Left out, it is the middle one of each: 2 of 3 or 4, 4 of 7."""
    rectified: bool = True
    """Whether the regressor ends in a ReLU: right for a teacher whose stages do, wrong for one with signed maps."""
    weight: NonNegative = 100.0
    """Of the hint."""

    def inactive_fields(self) -> frozenset[str]:
        """All that shapes the hint, where it has no weight."""
        return frozenset({"hint_stage", "rectified"} if self.weight == 0 else ())

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Refuses a stage that student or teacher does not have."""
        super().check(exits, stages=stages)
        if self.hint_stage is not None and stages is not None:
            rule = "hint_stage <= stages of student and teacher"
            require(self.hint_stage <= stages, rule, hint_stage=self.hint_stage, stages=stages)
