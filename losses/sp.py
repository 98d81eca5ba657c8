from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative
from ._torch import F, torch
from .functional import cross_entropy_sum, to_float32, unit_vectors
from .method import Learned, LossInputs, Method, TeacherRequirement, method


@method("sp")
@dataclass(frozen=True, kw_only=True)
class SP(Method):
    """Similarity-preserving distillation: images are as similar for the student's last stage as for the teacher's.

    The authors have no public program. Weight, stage and reductions are those of HobbitLong/RepDistiller b84f547
    (distiller_zoo/SP.py and scripts/run_cifar_distill.sh). The term needs two products of N x N; its cost is
    negligible.
    """

    paper: ClassVar[str] = "Tung, Mori 2019, arXiv 1907.09682"
    teacher: ClassVar[TeacherRequirement] = "required"

    weight: NonNegative = 3000.0
    """Weight of the similarity term."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `similarity` of `CE(z, y) + w / N^2 |G(s) - G(t)|^2`.

        s and t are the maps (N, channels, h, w) of the last stage of student and teacher. G(f) is the matrix (N, N) of
        the products of the flattened maps, `f_i f_j`, with each row divided by its norm. The row of a map that is 0
        everywhere has no gradient; it is unbounded in RepDistiller. N is the number of images of one forward pass.
        """
        student = _similarities(inputs.stage_maps[-1])
        distance = F.mse_loss(student, _similarities(inputs.teacher_stage_maps[-1].detach()))
        return {"label": cross_entropy_sum(inputs.logits, inputs.labels), "similarity": self.weight * distance}


def _similarities(maps: torch.Tensor) -> torch.Tensor:
    features = to_float32(maps).flatten(1)
    return unit_vectors(features @ features.T)
