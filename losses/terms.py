"""Terms that several methods share. Half-precision inputs are reduced in float32."""

import torch
import torch.nn.functional as F
from torch import Tensor


def in_full(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is that already."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def label_loss(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Cross-entropy to the labels, mean over the batch, summed over the exits: `sum_i CE(z_i, y)`."""
    return torch.stack([F.cross_entropy(in_full(exit_logits), labels) for exit_logits in logits]).sum()


def softened_divergence(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(softmax(target / T) || softmax(logits / T))`, summed over classes, mean over the batch.

    Both are (N, C) logits. The factor T^2 keeps the gradient's size independent of the temperature
    (Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2).
    """
    log_student = F.log_softmax(in_full(logits) / temperature, dim=1)
    log_target = F.log_softmax(in_full(target) / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_target, log_target=True, reduction="batchmean")


def masked_feature_distance(feature: Tensor, target: Tensor) -> Tensor:
    """`mean((f - t)^2 [f > 0 or t > 0])` over all N x W elements: where both are inactive nothing is asked."""
    feature, target = in_full(feature), in_full(target)
    return ((feature - target).square() * ((feature > 0) | (target > 0))).mean()
