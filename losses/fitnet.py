from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ..specs import NonNegative, Range, require
from .method import Loss, LossInputs, Method, NetworkShape, TeacherNeed, method
from .terms import in_full, label_loss, to_smaller_size


class FitNetLoss(Loss):
    """`CE(z, y) + w mean((r(s) - t)^2)`: s and t are the maps (N, channels, h, w) of one stage of student and teacher.

    The regressor r is a learned 1x1 convolution to the teacher's channels, batch normalisation and, where the
    teacher's stages end in one, ReLU. Where the maps differ in size, the larger is brought to the smaller's height
    and width by adaptive average pooling, before the regressor.
    """

    def __init__(self, student: tuple[int, int], teacher: tuple[int, int], weight: float, *, rectified: bool) -> None:
        """student, teacher: the hint's stage, from 1, and its channels."""
        super().__init__()
        self.weight = weight
        self.stage, channels = student
        self.teacher_stage, teacher_channels = teacher
        self.regressor = nn.Sequential(
            nn.Conv2d(channels, teacher_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(teacher_channels),
            nn.ReLU() if rectified else nn.Identity(),
        )

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `hint`."""
        hint = inputs.teacher_stages[self.teacher_stage - 1].detach()
        student, hint = to_smaller_size(in_full(inputs.stages[self.stage - 1]), in_full(hint))
        distance = F.mse_loss(self.regressor(student), hint)
        return {"label": label_loss(inputs.logits, inputs.labels), "hint": self.weight * distance}


@method("fitnet")
@dataclass(frozen=True, kw_only=True)
class FitNet(Method):
    """Hint learning: the student's features at half its depth are to foretell the teacher's.

    As in RepDistiller, the hint is a term of the one training that there is; the paper trains the student's first
    half on the hint alone, then all of it by knowledge distillation.
    """

    paper: ClassVar[str] = "Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio 2015, arXiv 1412.6550"
    teacher: ClassVar[TeacherNeed] = "required"

    hint_stage: Annotated[int | None, Range(minimum=1)] = None
    """The stage, from 1, of both networks. Left out, it is the middle one of each: 2 of 3 or 4, 4 of 7."""
    rectified: bool = True
    """Whether the regressor ends in a ReLU: right for a teacher whose stages do, wrong for one with signed maps."""
    weight: NonNegative = 100.0
    """Of the hint."""

    def irrelevant_fields(self) -> frozenset[str]:
        """All that shapes the hint, where it has no weight."""
        return frozenset({"hint_stage", "rectified"} if self.weight == 0 else ())

    def build(self, shape: NetworkShape) -> FitNetLoss:
        """The loss, with its regressor; raises `SpecError` where a network has no such stage."""
        assert shape.exits == 1
        student, teacher = self._hint(shape.stage_channels), self._hint(shape.teacher_stage_channels)
        return FitNetLoss(student, teacher, self.weight, rectified=self.rectified)

    def _hint(self, stage_channels: tuple[int, ...]) -> tuple[int, int]:
        """The hint's stage of a network, and its channels."""
        stages = len(stage_channels)
        stage = self.hint_stage or (stages + 1) // 2
        require(1 <= stage <= stages, "hint_stage <= stages of student and teacher", hint_stage=stage, stages=stages)
        return stage, stage_channels[stage - 1]
