from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative
from ._torch import F, torch
from .functional import cross_entropy_sum, to_float32, unit_vectors
from .method import Learned, LossInputs, Method, TeacherRequirement, method


@method("rkd")
@dataclass(frozen=True, kw_only=True)
class RKD(Method):
    """Relational knowledge distillation: distances and angles between the features of a batch match the teacher's.

    The program of the authors (lenscloth/RKD 0a6c3c0) has metric learning only, with ratios 1 and 2 in its README. The
    weights are those of HobbitLong/RepDistiller b84f547, distiller_zoo/RKD.py, which has the same ratio; its
    classification loss has weight 1. The angles of a network take N^3 + 3 N^2 W numbers: 21 MB for N = 128 and W = 64.
    """

    paper: ClassVar[str] = "Park, Kim, Lu, Cho 2019, arXiv 1904.05068"
    teacher: ClassVar[TeacherRequirement] = "required"

    distance_weight: NonNegative = 25.0
    """Weight of the term on distances between two images."""
    angle_weight: NonNegative = 50.0
    """Weight of the term on angles between three images."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `distance` and `angle`.

            CE(z, y) + w_d mean_ij h(d_ij(s) - d_ij(t)) + w_a mean_ijk h(a_ijk(s) - a_ijk(t))

        s (N, W) and t (N, W_t) are the inputs of the classifiers of student and teacher, and h is the Huber loss with
        threshold 1. `d_ij(f) = |f_i - f_j|`, divided by its mean over i != j, and `a_ijk(f) = e_ij e_ik` with
        `e_ij = (f_i - f_j) / |f_i - f_j|`. Means include pairs of equal indices, which are 0. Two images with equal
        features have no direction: e_ij is 0 without a gradient, which is unbounded in RepDistiller. N is the number of
        images of one forward pass.
        """
        assert inputs.teacher_features is not None
        student, teacher = to_float32(inputs.features[-1]), to_float32(inputs.teacher_features.detach())
        distance = F.smooth_l1_loss(_distances(student), _distances(teacher))
        angle = F.smooth_l1_loss(_angles(student), _angles(teacher))
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "distance": self.distance_weight * distance,
            "angle": self.angle_weight * angle,
        }


def _distances(features: torch.Tensor) -> torch.Tensor:
    """Return the distances (N, N) of the features (N, W), divided by their mean."""
    count = len(features)
    squares = features.square().sum(dim=1)
    squared = squares[:, None] + squares - 2 * features @ features.T
    apart = 1 - torch.eye(count, dtype=features.dtype, device=features.device)
    distances = squared.clamp(min=1e-12).sqrt() * apart
    return distances if count == 1 else distances / (distances.sum() / (count * (count - 1)))


def _angles(features: torch.Tensor) -> torch.Tensor:
    """Return the cosines (N, N, N) of the angles between the differences of the features (N, W)."""
    units = unit_vectors(features - features[:, None])
    return units @ units.transpose(1, 2)
