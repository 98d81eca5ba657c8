from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..specs import NonNegative
from .functional import cross_entropy_sum, to_float32, to_smaller_size
from .method import Loss, LossInputs, Method, TeacherRequirement, method


class ATLoss(Loss["AT"]):
    """`CE(z, y) + w sum_j mean((a(s_j) - a(t_j))^2)`: s_j, t_j are the maps (N, channels, h, w) of stage j.

    The attention `a(f) = m / |m|` with `m = mean_c f_c^2` is (N, h w): where a stage looks, whatever its channels.
    Stages are paired from the last ones backwards, as many as both networks have; where the maps of a pair differ in
    size, the larger is first brought to the smaller's height and width by adaptive average pooling.
    """

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Returns the terms `label` and `attention`."""
        pairs = zip(reversed(inputs.stage_maps), reversed(inputs.teacher_stage_maps), strict=False)
        distances = [_attention_distance(to_float32(map_), to_float32(target.detach())) for map_, target in pairs]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "attention": self.settings.weight * torch.stack(distances).sum(),
        }


def _attention_distance(student: Tensor, teacher: Tensor) -> Tensor:
    student, teacher = to_smaller_size(student, teacher)
    return F.mse_loss(_attention(student), _attention(teacher))


def _attention(maps: Tensor) -> Tensor:
    return F.normalize(maps.square().mean(dim=1).flatten(1), dim=1)


@method("at")
@dataclass(frozen=True, kw_only=True)
class AT(Method):
    """Attention transfer: the student's stages are to look where the teacher's do."""

    paper: ClassVar[str] = "Zagoruyko, Komodakis 2017, arXiv 1612.03928"
    teacher: ClassVar[TeacherRequirement] = "required"
    loss: ClassVar[type[ATLoss]] = ATLoss

    weight: NonNegative = 1000.0
    """Of the attention term, beta in the authors' program and RepDistiller; both take the mean over places too."""
