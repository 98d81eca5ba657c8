"""Loss terms that several methods share. Half-precision inputs are reduced in float32."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Weight = float | Tensor
"""Fixed weight, or a scalar tensor for a learned weight."""


def to_float32(tensor: Tensor) -> Tensor:
    """Convert a half-precision tensor to float32; return other tensors unchanged."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def cross_entropy_sum(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Return `sum_i CE(z_i, y)`: the cross-entropy to the labels, mean over the batch, sum over the exits."""
    return torch.stack([F.cross_entropy(to_float32(exit_logits), labels) for exit_logits in logits]).sum()


def kd_loss(logits: Tensor, target: Tensor, temperature: Weight) -> Tensor:
    """Return `T^2 KL(softmax(target / T) || softmax(logits / T))`, summed over classes, mean over the batch.

    Both inputs are logits (N, C). The factor T^2 keeps the size of the gradient independent of the temperature
    (Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2).
    """
    log_student = F.log_softmax(to_float32(logits) / temperature, dim=1)
    log_target = F.log_softmax(to_float32(target) / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_target, log_target=True, reduction="batchmean")


def masked_feature_distance(feature: Tensor, target: Tensor) -> Tensor:
    """Return `mean((f - t)^2 [f > 0 or t > 0])` over all N x W elements; pairs of inactive elements count as 0."""
    feature, target = to_float32(feature), to_float32(target)
    return ((feature - target).square() * ((feature > 0) | (target > 0))).mean()


def to_smaller_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool two maps (N, channels, h, w) to the smaller of their heights and the smaller of their widths."""
    height, width = (min(sizes) for sizes in zip(first.shape[2:], second.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(first, (height, width)), F.adaptive_avg_pool2d(second, (height, width))


def mutual_kl(logits: Sequence[Tensor]) -> Tensor:
    """Return `sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))`, mean over the batch, z_j without gradient."""
    log_shares = [F.log_softmax(to_float32(exit_logits), dim=1) for exit_logits in logits]
    pairs = itertools.permutations(log_shares, 2)
    return torch.stack(
        [F.kl_div(student, other.detach(), log_target=True, reduction="batchmean") for student, other in pairs]
    ).sum()


def weighted_sum(weights: Sequence[Weight], outputs: Sequence[Tensor]) -> Tensor:
    """Return `sum_k w_k o_k` for outputs of equal shape."""
    return torch.stack([weight * output for weight, output in zip(weights, outputs, strict=True)]).sum(dim=0)


def geometric_weights(base: float, count: int) -> list[float]:
    """Return weights proportional to `base^k`, k = 0..count-1, with sum 1; they grow with depth if base > 1."""
    powers = [base**k for k in range(count)]
    return [power / sum(powers) for power in powers]


def ramp(progress: float, share: float) -> float:
    """Return `min(1, progress / share)`, a linear ramp over this share of the training; 1 if the share is 0."""
    return min(1.0, progress / share) if share else 1.0
