"""Latency of early-exit inference beside a static network of the same cost."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...specs import require
from ..exit_cost import WARM_UP, exit_costs, seconds
from .inference import EarlyExit
from .truncated import TruncatedNetwork


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time of single images."""

    mean_ms: float
    """Mean in milliseconds."""
    p50_ms: float
    """Median in milliseconds."""
    p95_ms: float
    """95th percentile in milliseconds: 95% of the images take no longer."""
    multiply_adds: float
    """Mean multiply-adds (MACs) per image."""


@dataclass(frozen=True, kw_only=True)
class LatencyComparison:
    """Latency of early exits and of the network truncated at one exit, on the same images."""

    early_exit: Latency
    """Latency of early-exit inference."""
    static: Latency
    """Latency of the network truncated at `exit`, where all images leave."""
    exit: int
    """Number of the exit whose multiply-adds are nearest to the mean of early-exit inference, from 1."""


@torch.inference_mode()
def early_exit_latency(early: EarlyExit, images: Tensor) -> LatencyComparison:
    """Measure the latency of each image, at batch size 1, with early exits and without.

    The static network is the one truncated at the exit whose multiply-adds are nearest to the mean of early-exit
    inference on these images. Both run in turn on each image, after 5 warm-up passes.

    Args:
        early: Network with early exits, in evaluation mode.
        images: Images (N, channels, H, W), N >= 1, normalised as in training, on the device of the network.

    Raises:
        SpecError: if there are no images, or for a network in training mode.
    """
    require(len(images) > 0, "at least 1 image", images=len(images))
    costs = exit_costs(early.network, (images.shape[1], images.shape[2], images.shape[3]))
    each = images.split(1)
    exits = torch.cat([early(image).exits for image in each]).tolist()
    mean = sum(costs[exit - 1].cumulative_multiply_adds for exit in exits) / len(exits)
    nearest = min(costs, key=lambda cost: abs(cost.multiply_adds - mean))
    static = TruncatedNetwork(early.network, nearest.exit).eval()
    for image in each[:1] * WARM_UP:
        _both(early, static, image)
    times = torch.tensor([_both(early, static, image) for image in each], dtype=torch.float64)
    return LatencyComparison(
        early_exit=_latency(times[:, 0], mean),
        static=_latency(times[:, 1], nearest.multiply_adds),
        exit=nearest.exit,
    )


def _both(early: nn.Module, static: nn.Module, image: Tensor) -> tuple[float, float]:
    return seconds(early, image), seconds(static, image)


def _latency(times: Tensor, multiply_adds: float) -> Latency:
    p50, p95 = (1000 * times.quantile(torch.tensor([0.5, 0.95], dtype=torch.float64))).tolist()
    mean = 1000 * times.mean().item()
    return Latency(mean_ms=mean, p50_ms=p50, p95_ms=p95, multiply_adds=float(multiply_adds))
