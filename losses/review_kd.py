from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative
from ._torch import F, nn, torch
from .functional import cross_entropy_sum, ramp, scaled, to_float32
from .method import Learned, LossInputs, Method, NetworkShape, TeacherRequirement, method

LARGEST_WIDTH = 512
"""Maximum number of channels in which maps are fused, in the authors' program."""


@method("review_kd")
@dataclass(frozen=True, kw_only=True)
class ReviewKD(Method):
    """Knowledge review: each stage of the student, fused with the deeper ones, predicts the teacher's stage.

    Modules, equation and settings are those of the authors' program, CIFAR-100/train.py and CIFAR-100/model/reviewkd.py
    of dvlab-research/ReviewKD cede6ea. Its scripts set the weight for each pair: 0.6 for resnet56 and resnet20, 1 for
    resnet110 and resnet32, 8 for resnet32x4 and ShuffleNetV2, 5 for the other five.

    Two things differ. The authors take the teacher's stages before the last ReLU, here they are after it. Their ramp
    begins at 0 in the first epoch; here it is one epoch earlier, as in megvii-research/mdistiller a08d46f.

    The modules are used in training only. At 32x32 they add 46% to the multiply-adds of a resnet20 with the teacher
    resnet56, and 114% to those of a resnet18 with resnet34. `exeunt list methods` does not count them.
    """

    paper: ClassVar[str] = "Chen, Liu, Zhao, Jia 2021, CVPR, arXiv 2104.09044"
    teacher: ClassVar[TeacherRequirement] = "required"

    weight: NonNegative = 1.0
    """Weight of the review term."""
    warm_up: Fraction = 20 / 240
    """Share of the training over which the review term grows from 0; 20 of 240 epochs in the authors' code."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module]:
        """Return the modules of each stage, from the pooled features to the first stage.

        `inward` is a 1x1 convolution to at most 512 channels, `attention` gives the two weights of a fusion at each
        position, and `outward` is a 3x3 convolution to the teacher's channels.
        """
        pairs = list(zip(reversed(shape.stage_channels), reversed(shape.teacher_stage_channels), strict=False))
        pairs.insert(0, (shape.feature_dim, shape.teacher_feature_dim))
        width = min(LARGEST_WIDTH, shape.feature_dim)
        inward, attention, outward = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for student, teacher in pairs:
            inward.append(_normalised(nn.Conv2d(student, width, kernel_size=1, bias=False)))
            outward.append(_normalised(nn.Conv2d(width, teacher, kernel_size=3, padding=1, bias=False)))
            if len(inward) > 1:
                attention.append(nn.Sequential(nn.Conv2d(2 * width, 2, kernel_size=1), nn.Sigmoid()))
        return {"inward": inward, "attention": attention, "outward": outward}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `review`.

            CE(z, y) + r w sum_j H(o_j(x_j), t_j),   r = min(progress / warm_up, 1)
            x_0 = i_0(s_0),   x_j = up(a_j i_j(s_j) + b_j up(x_{j-1})),   (a_j, b_j) = g_j(i_j(s_j), up(x_{j-1}))
            H(f, t) = (mean((f - t)^2) + sum_{l = 4, 2, 1} 2^-k_l mean((pool_l(f) - pool_l(t))^2)) / (1 + sum_l 2^-k_l)

        s_0 (N, W, 1, 1) and t_0 are the inputs of the classifiers of student and teacher. s_j and t_j (N, channels, h,
        w) are the maps of their stages, from the last one backwards, as many as both have. i_j, g_j and o_j are the
        modules `inward`, `attention` and `outward`, and up(x) is the nearest-neighbour interpolation to the size of
        s_j, or of t_j for the fused x_j. pool_l pools adaptively to l x l for each l that is smaller than the map;
        k_l = 1, 2, ... numbers them.
        """
        assert inputs.teacher_features is not None
        student = [inputs.features[-1][:, :, None, None], *reversed(inputs.stage_maps)]
        teacher = [inputs.teacher_features[:, :, None, None], *reversed(inputs.teacher_stage_maps)]
        fused: torch.Tensor | None = None
        distances = []
        for number, (maps, target) in enumerate(zip(map(to_float32, student), map(to_float32, teacher), strict=False)):
            own = learned["inward"][number](maps)
            if fused is not None:
                deeper = F.interpolate(fused, own.shape[2:], mode="nearest")
                shares = learned["attention"][number - 1](torch.cat([own, deeper], dim=1))
                own = own * shares[:, :1] + deeper * shares[:, 1:]
            fused = own if own.shape[2:] == target.shape[2:] else F.interpolate(own, target.shape[2:], mode="nearest")
            distances.append(_distance(learned["outward"][number](fused), target.detach()))
        factor = ramp(inputs.progress, self.warm_up) * self.weight
        return {
            "label": cross_entropy_sum(inputs.logits, inputs.labels),
            "review": scaled(factor, torch.stack(distances).sum()),
        }

    def inactive_fields(self) -> frozenset[str]:
        """Return the warm-up if the review term has weight 0."""
        return frozenset({"warm_up"} if self.weight == 0 else ())


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


def _distance(maps: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the hierarchical distance H of two maps (N, channels, h, w)."""
    terms, weights = [F.mse_loss(maps, target)], [1.0]
    for size in (4, 2, 1):
        if size < min(maps.shape[2:]):
            first, second = (F.adaptive_avg_pool2d(each, (size, size)) for each in (maps, target))
            terms.append(F.mse_loss(first, second))
            weights.append(weights[-1] / 2)
    return torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum() / sum(weights)
