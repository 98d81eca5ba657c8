from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative
from ._torch import F, torch
from .functional import cross_entropy_sum, to_float32, to_smaller_size
from .method import Learned, LossInputs, Method, TeacherRequirement, method

PAIRS = 4
"""Largest number of pairs of stages."""


@method("at")
@dataclass(frozen=True, kw_only=True)
class AT(Method):
    """Attention transfer: the spatial attention maps of the student's stages match those of the teacher.

    The default weight is that of the authors and of GitHub `HobbitLong/RepDistiller`, which pairs the last four of the
    five stages of a VGG, and all stages of the other networks.
    """

    paper: ClassVar[str] = "Zagoruyko, Komodakis 2017, arXiv 1612.03928"
    teacher: ClassVar[TeacherRequirement] = "required"

    weight: NonNegative = 1000.0
    """Weight of the attention term, which averages over positions; beta in the authors' code and RepDistiller."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `attention` of `CE(z, y) + w sum_j mean((a(s_j) - a(t_j))^2)`.

        s_j and t_j are the maps (N, channels, h, w) of stage j. The attention map `a(f) = m / |m|` with `m = mean_c
        f_c^2` has the shape (N, h w), independent of the channels. Stages are paired from the last one backwards, as
        many as both networks have, at most four. If the maps of a pair differ in size, adaptive average pooling reduces
        the larger one to the height and width of the smaller one.
        """
        pairs = zip(inputs.stage_maps[: -1 - PAIRS : -1], inputs.teacher_stage_maps[: -1 - PAIRS : -1], strict=False)
        distances = [_attention_distance(to_float32(map_), to_float32(target.detach())) for map_, target in pairs]
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "attention": self.weight * torch.stack(distances).sum(),
        }


def _attention_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    student, teacher = to_smaller_size(student, teacher)
    return F.mse_loss(_attention(student), _attention(teacher))


def _attention(maps: torch.Tensor) -> torch.Tensor:
    return F.normalize(maps.square().mean(dim=1).flatten(1), dim=1)
