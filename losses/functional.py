"""Loss functions of the methods, for your own training loop too. Half-precision inputs are reduced in float32."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from ..specs import unknown
from ._torch import F, torch

Weight: TypeAlias = "float | torch.Tensor"
"""Fixed weight, or a scalar tensor for a learned weight."""
EED_OUTPUT_WEIGHT = {"mse": 1.0, "kl": 0.1}
"""Weight of the output term in the authors' code, for each output loss."""


def to_float32(tensor: torch.Tensor) -> torch.Tensor:
    """Convert a half-precision tensor to float32; return other tensors unchanged."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def cross_entropy_sum(logits: Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Return `sum_i CE(z_i, y)`: the cross-entropy to the labels, mean over the batch, sum over the exits."""
    return torch.stack([F.cross_entropy(to_float32(exit_logits), labels) for exit_logits in logits]).sum()


def kd_loss(logits: torch.Tensor, target: torch.Tensor, temperature: Weight) -> torch.Tensor:
    """Return `T^2 KL(softmax(target / T) || softmax(logits / T))`, summed over classes, mean over the batch.

    Both inputs are logits (N, C). The factor T^2 keeps the size of the gradient independent of the temperature
    (Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2).
    """
    log_student = F.log_softmax(to_float32(logits) / temperature, dim=1)
    log_target = F.log_softmax(to_float32(target) / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_target, log_target=True, reduction="batchmean")


def eed_loss(
    logits: Sequence[torch.Tensor],
    features: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    output_loss: Literal["mse", "kl"] = "mse",
    temperature: float = 3.0,
    label_weight: float = 1.0,
    output_weight: float | None = None,
    feature_weight: float = 1.0,
    distillation_weight: Weight = 1.0,
    ensemble: Literal["logits", "probabilities"] = "logits",
    weights: Mapping[int, Weight] | None = None,
    taught: Sequence[int] | None = None,
    leave_one_out: bool = False,
) -> dict[str, torch.Tensor]:
    """Return the terms of exit-ensemble distillation, `L = w_C L_C + r (w_O L_O + w_F L_F)`, weights included.

        L_C = sum_i CE(z_i, y)                                          over all exits
        t_z = sum_k v_k z_k,  t_f = sum_k v_k f_k                       without gradient; sum_k v_k = 1
        L_O = sum_i mean((z_i - t_z)^2)                                 output loss "mse"; sum over the taught exits
            = sum_i T^2 KL(softmax(t_z / T) || softmax(z_i / T))        output loss "kl"
        L_F = sum_i mean((f_i - t_f)^2 [f_i > 0 or t_f > 0])            sum over the taught exits

    The reductions are those of the authors' code at 146c9cf (arXiv 2104.00299, section 3). For "kl", that code uses the
    cross-entropy to the softened target, which has a different value and the same gradient.

    Args:
        logits: Logits z_i (N, C) of each exit i = 1..E, from the shallowest to the final one.
        features: Input f_i (N, W) of each exit's classifier, after ReLU and pooling.
        labels: Labels y: class indices (N,), or probabilities (N, C).
        output_loss: Distance between an exit's logits and the target.
        temperature: Softmax temperature T of both distributions, for "kl".
        label_weight: Weight w_C.
        output_weight: Weight w_O; 0 omits the term. Default: 1 for "mse" and 0.1 for "kl".
        feature_weight: Weight w_F; 0 omits the term.
        distillation_weight: Factor r of both distillation terms, such as `ramp(progress, 0.1)`.
        ensemble: With "probabilities", `t_p = sum_k v_k softmax(z_k / T)` replaces softmax(t_z / T) for "kl";
            for "mse", `L_O = sum_i mean((softmax(z_i) - t_p)^2)` with T = 1.
        weights: Weight v_k of each exit of the ensemble by its position from 0, scaled to sum 1. Default: all exits,
            with equal weights.
        taught: Positions of the taught exits. Default: all exits.
        leave_one_out: If true, the target of a taught exit is the ensemble without this exit.

    Returns:
        Scalar terms `label`, `output` and `feature`. Their sum is the loss.

    Raises:
        SpecError: for an unknown output loss or ensemble.
    """
    if output_loss not in EED_OUTPUT_WEIGHT:
        raise unknown("output_loss", output_loss, EED_OUTPUT_WEIGHT, field="output_loss")
    if ensemble not in ("logits", "probabilities"):
        raise unknown("ensemble", ensemble, ("logits", "probabilities"), field="ensemble")
    if weights is None:
        weights = dict(enumerate(geometric_weights(1.0, len(logits))))
    if taught is None:
        taught = range(len(logits))

    def students(outputs: Sequence[torch.Tensor]) -> torch.Tensor:  # (K, N, ...) for K taught exits
        return torch.stack([outputs[position] for position in taught])

    def ensemble_without(left_out: int | None, outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        members = {k: weight for k, weight in weights.items() if k != left_out}
        total = sum(members.values())
        return weighted_sum([weight / total for weight in members.values()], [outputs[k] for k in members])

    @torch.no_grad()
    def target(outputs: Sequence[torch.Tensor]) -> torch.Tensor:  # (1, N, ...), or (K, N, ...) with leave_one_out
        return torch.stack([ensemble_without(k, outputs) for k in (taught if leave_one_out else [None])])

    terms = {"label": label_weight * cross_entropy_sum(logits, labels)}
    if output_weight := EED_OUTPUT_WEIGHT[output_loss] if output_weight is None else output_weight:
        temperature = temperature if output_loss == "kl" else 1.0
        z = [to_float32(exit_logits) for exit_logits in logits]
        compared = [(z_i / temperature).softmax(dim=1) for z_i in z] if ensemble == "probabilities" else z
        t = target(compared)
        if output_loss == "mse":
            distance = len(taught) * (students(compared) - t).square().mean()
        else:
            p = t if ensemble == "probabilities" else (t / temperature).softmax(dim=-1)
            log_q = (students(z) / temperature).log_softmax(dim=-1)
            distance = temperature**2 / len(labels) * F.kl_div(log_q, p, reduction="sum")
        terms["output"] = scaled(distillation_weight * output_weight, distance)
    if feature_weight:
        f = [to_float32(exit_features) for exit_features in features]
        distance = len(taught) * masked_feature_distance(students(f), target(f))
        terms["feature"] = scaled(distillation_weight * feature_weight, distance)
    return terms


def masked_feature_distance(feature: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return `mean((f - t)^2 [f > 0 or t > 0])` over all N x W elements; pairs of inactive elements count as 0."""
    feature, target = to_float32(feature), to_float32(target)
    return ((feature - target).square() * ((feature > 0) | (target > 0))).mean()


def other_classes(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits (N, C - 1) of all classes except the label (N,), without a synchronisation with the GPU."""
    others = torch.arange(logits.shape[1] - 1, device=labels.device)
    return logits.gather(1, others + (others >= labels[:, None]))


def unit_vectors(vectors: torch.Tensor) -> torch.Tensor:
    """Return `v / |v|` over the last dimension; 0 without a gradient if `|v|` is at most 1e-12."""
    norms = vectors.norm(dim=-1, keepdim=True)
    apart = norms > 1e-12
    return torch.where(apart, vectors / torch.where(apart, norms, 1.0), 0.0)


def to_smaller_size(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Average-pool two maps (N, channels, h, w) to the smaller of their heights and the smaller of their widths."""
    height, width = (min(sizes) for sizes in zip(first.shape[2:], second.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(first, (height, width)), F.adaptive_avg_pool2d(second, (height, width))


def mutual_kl(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return `sum_i sum_{j != i} KL(softmax(z_j) || softmax(z_i))`, mean over the batch, z_j without gradient."""
    log_shares = [F.log_softmax(to_float32(exit_logits), dim=1) for exit_logits in logits]
    pairs = itertools.permutations(log_shares, 2)
    return torch.stack(
        [F.kl_div(student, other.detach(), log_target=True, reduction="batchmean") for student, other in pairs]
    ).sum()


def weighted_sum(weights: Sequence[Weight], outputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return `sum_k w_k o_k` for outputs of equal shape."""
    return torch.stack([weight * output for weight, output in zip(weights, outputs, strict=True)]).sum(dim=0)


def geometric_weights(base: float, count: int) -> list[float]:
    """Return weights proportional to `base^k`, k = 0..count-1, with sum 1; they grow with depth if base > 1."""
    powers = [base**k for k in range(count)]
    return [power / sum(powers) for power in powers]


def ramp(progress: Weight, share: float) -> Weight:
    """Return `min(1, progress / share)`, a linear ramp over this share of the training; 1 if the share is 0."""
    if not share:
        return 1.0
    return (progress / share).clamp(max=1.0) if isinstance(progress, torch.Tensor) else min(1.0, progress / share)


def sigmoid_ramp(progress: Weight, share: float) -> Weight:
    """Return `exp(-5 (1 - min(1, progress / share))^2)`, a smooth ramp over this share of the training.

    It rises from 0.007 to 1; it is 1 if the share is 0. Source: Laine, Aila, "Temporal ensembling for semi-supervised
    learning", arXiv 1610.02242, section 2.
    """
    missing = 1 - ramp(progress, share)
    return (-5 * missing**2).exp() if isinstance(missing, torch.Tensor) else math.exp(-5 * missing**2)


def scaled(weight: Weight, loss: torch.Tensor) -> torch.Tensor:
    """Return `weight * loss` in the precision of the loss, also if the weight is a float64 tensor."""
    return (weight.to(loss.dtype) if isinstance(weight, torch.Tensor) else weight) * loss
