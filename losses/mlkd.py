from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import NonNegative, Positive
from ._torch import torch
from .functional import cross_entropy_sum, kd_loss, to_float32
from .method import Learned, LossInputs, Method, Requirement, TeacherRequirement, method

FIXED_TEMPERATURES = (3.0, 5.0)
"""Temperatures of all terms beside `temperature`, in the authors' program."""
FIRST_VIEW_TEMPERATURES = (2.0, 6.0)
"""Temperatures at which the authors' program takes the first view in the term of the second view too."""


@method("mlkd")
@dataclass(frozen=True, kw_only=True)
class MLKD(Method):
    """Multi-level logit distillation: probabilities, their products over images and over classes match the teacher's.

    Equation and settings are those of the authors' program, mdistiller/distillers/KD_ours.py and
    mdistiller/engine/cfg.py of Jin-Ying/Multi-Level-Logit-Distillation 5ee473f. Its masks of uncertain images and
    classes multiply means, so that they are factors.

    The second view differs. The authors draw 2 of 14 operations at random magnitudes and remove a square of at most
    half the side. Here it is the policy `auto_augment`: 1 of 25 pairs of operations with similar magnitudes, and no
    square beyond the recipe's `cutout`. A step needs two passes of student and teacher. The terms are large at first:
    the authors train with a learning rate of 0.025 or less, in configs/cifar100/ours.
    """

    paper: ClassVar[str] = 'Jin, Wang, Lin 2023, CVPR, "Multi-Level Logit Distillation"'
    exits: ClassVar[Requirement] = "optional"
    teacher: ClassVar[TeacherRequirement] = "required"
    second_view: ClassVar[str | None] = "auto_augment"
    requires_hard_labels: ClassVar[bool] = True

    temperature: Positive = 4.0
    """Softmax temperature of both distributions, beside the fixed temperatures 2, 3, 5 and 6."""
    label_weight: NonNegative = 0.1
    """Weight of the label term, a sum over both views."""
    weight: NonNegative = 0.9
    """Weight of the terms `instance`, `class` and `batch`."""

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label`, `instance`, `class` and `batch`, summed over the student's exits.

            w_l sum_i (CE(z_i, y) + CE(z'_i, y))
            w sum_i (m sum_T D(z_i, z_t, T) + sum_{T = 4, 3, 5} D(z'_i, z'_t, T) + sum_{T = 2, 6} D(z_i, z_t, T))
            w k sum_i sum_T 1 / C |P_i^T P_i - P_t^T P_t|^2                       (C, C)
            w m sum_i sum_T 1 / N |P_i P_i^T - P_t P_t^T|^2                       (N, N)

        z_i and z_t are the logits (N, C) of exit i and of the teacher, z' those of the second view, and P = softmax(z /
        T). `D(z, z_t, T) = T^2 KL(softmax(z_t / T) || softmax(z / T))`. The sums over T have five temperatures:
        `temperature` (4 above), 2, 3, 5 and 6. m is the share of images for which max_c softmax(z_t) is at most its
        median, and k the share of classes for which sum_n softmax(z_t) is at most its median. N is the number of images
        of one forward pass.
        """
        assert inputs.teacher_logits is not None
        assert inputs.second_view_teacher_logits is not None
        assert inputs.labels.ndim == 1, "mlkd needs one class per label: no mixed images"
        teacher = to_float32(inputs.teacher_logits.detach())
        second_teacher = to_float32(inputs.second_view_teacher_logits.detach())
        shares = teacher.softmax(dim=1)
        images, classes = _share_up_to_median(shares.amax(dim=1)), _share_up_to_median(shares.sum(dim=0))
        temperatures = [(temperature, True) for temperature in (self.temperature, *FIXED_TEMPERATURES)]
        temperatures += [(temperature, False) for temperature in FIRST_VIEW_TEMPERATURES]
        instance, by_class, by_image = [], [], []
        for logits, second in zip(inputs.logits, inputs.second_view_logits, strict=True):
            z = to_float32(logits)
            for temperature, both_views in temperatures:
                divergence = kd_loss(z, teacher, temperature)
                other = kd_loss(second, second_teacher, temperature) if both_views else divergence
                instance.append(images * divergence + other)
                p, q = (z / temperature).softmax(dim=1), (teacher / temperature).softmax(dim=1)
                by_class.append((p.T @ p - q.T @ q).square().sum() / z.shape[1])
                by_image.append((p @ p.T - q @ q.T).square().sum() / z.shape[0])
        label = cross_entropy_sum((*inputs.logits, *inputs.second_view_logits), inputs.labels)
        return {
            "label": self.label_weight * label,
            "instance": self.weight * torch.stack(instance).sum(),
            "class": self.weight * classes * torch.stack(by_class).sum(),
            "batch": self.weight * images * torch.stack(by_image).sum(),
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the temperature if the terms of the teacher have weight 0."""
        return frozenset({"temperature"} if self.weight == 0 else ())


def _share_up_to_median(values: torch.Tensor) -> torch.Tensor:
    """Return the share of values (n,) that are at most their median, without a synchronisation with the GPU.

    The median of an even number of values is the mean of the middle two.
    """
    ordered = values.sort().values
    median = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    return (values <= median).to(values.dtype).mean()
