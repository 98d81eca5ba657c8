"""Terms that several methods share. Half-precision inputs are reduced in float32."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Weight = float | Tensor
"""A number, or a scalar tensor where weights are learned."""


def to_float32(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is that already."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def cross_entropy_sum(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Cross-entropy to the labels, mean over the batch, summed over the exits: `sum_i CE(z_i, y)`."""
    return torch.stack([F.cross_entropy(to_float32(exit_logits), labels) for exit_logits in logits]).sum()


def kd_loss(logits: Tensor, target: Tensor, temperature: Weight) -> Tensor:
    """`T^2 KL(softmax(target / T) || softmax(logits / T))`, summed over classes, mean over the batch.

    Both are (N, C) logits. The factor T^2 keeps the gradient's size independent of the temperature
    (Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2).
    """
    log_student = F.log_softmax(to_float32(logits) / temperature, dim=1)
    log_target = F.log_softmax(to_float32(target) / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_target, log_target=True, reduction="batchmean")


def masked_feature_distance(feature: Tensor, target: Tensor) -> Tensor:
    """`mean((f - t)^2 [f > 0 or t > 0])` over all N x W elements: where both are inactive nothing is asked."""
    feature, target = to_float32(feature), to_float32(target)
    return ((feature - target).square() * ((feature > 0) | (target > 0))).mean()


def to_smaller_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps (N, channels, h, w), average-pooled to the smaller of their heights and of their widths."""
    height, width = (min(sizes) for sizes in zip(first.shape[2:], second.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(first, (height, width)), F.adaptive_avg_pool2d(second, (height, width))


def mutual_kl(logits: Sequence[Tensor]) -> Tensor:
    """`sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))`, each a mean over the batch, z_j without gradient."""
    log_shares = [F.log_softmax(to_float32(exit_logits), dim=1) for exit_logits in logits]
    pairs = itertools.permutations(log_shares, 2)
    return torch.stack(
        [F.kl_div(student, other.detach(), log_target=True, reduction="batchmean") for student, other in pairs]
    ).sum()


def weighted_sum(weights: Sequence[Weight], outputs: Sequence[Tensor]) -> Tensor:
    """`sum_k w_k o_k` of outputs of one shape."""
    return torch.stack([weight * output for weight, output in zip(weights, outputs, strict=True)]).sum(dim=0)


def geometric_weights(base: float, count: int) -> list[float]:
    """Weights proportional to `base^k`, k = 0..count-1, which sum to 1: the deeper the exit, the larger if base > 1."""
    powers = [base**k for k in range(count)]
    return [power / sum(powers) for power in powers]


def ramp(progress: float, share: float) -> float:
    """Rises linearly from 0 at the start to 1 when this share of the training is done; 1 throughout if it is 0."""
    return min(1.0, progress / share) if share else 1.0
