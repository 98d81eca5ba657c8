"""Cost of each exit of a network: parameters, multiply-adds (MACs), activation memory and latency."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from ..specs import SpecError, require
from .cost import multiply_adds, parameters, peak_activation_bytes
from .early_exit.inference import EarlyExit
from .early_exit.truncated import TruncatedNetwork
from .network import MultiExitNetwork

WARM_UP = 5
REPEATS = 30


@dataclass(frozen=True, kw_only=True)
class ExitCost:
    """Parameters and multiply-adds of one exit."""

    exit: int
    """Number of the exit, from 1; the last exit is the network's own classifier."""
    block: int
    """Number of the block that the exit follows."""
    parameters: int
    """Parameters of the network truncated at this exit."""
    multiply_adds: int
    """Multiply-adds of one image in the network truncated at this exit."""
    cumulative_multiply_adds: int
    """Multiply-adds of one image that leaves at this exit in early-exit inference, with the heads of earlier exits."""


def exit_costs(network: MultiExitNetwork, image_shape: tuple[int, int, int]) -> tuple[ExitCost, ...]:
    """Return the cost of each exit, from the shallowest, for an image shape (channels, height, width)."""
    costs = []
    heads_before = 0
    shape = (1, *image_shape)
    for number, block in enumerate(network.exit_blocks, start=1):
        truncated = TruncatedNetwork(network, number)
        alone = multiply_adds(truncated, shape)
        costs.append(
            ExitCost(
                exit=number,
                block=block,
                parameters=parameters(truncated),
                multiply_adds=alone,
                cumulative_multiply_adds=alone + heads_before,
            )
        )
        if truncated.head is not None:
            heads_before += alone - multiply_adds(nn.Sequential(truncated.stem, *truncated.blocks), shape)
    return tuple(costs)


def exit_activation_bytes(network: MultiExitNetwork, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the peak activation memory of one image at each exit, in bytes, for float32 and a truncated network.

    The first call in a process takes seconds, because PyTorch (2.13) imports its compiler.
    """
    truncated = (TruncatedNetwork(network, number) for number in range(1, len(network.exit_blocks) + 1))
    return tuple(peak_activation_bytes(part, (1, *image_shape)) for part in truncated)


def exit_latencies(
    network: MultiExitNetwork,
    image_shape: tuple[int, int, int],
    *,
    device: str = "cpu",
    batch_size: int = 1,
    cumulative: bool = False,
) -> tuple[float, ...]:
    """Measure the seconds of a forward pass to each exit: the median of 30 passes, after 5 warm-up passes.

    Args:
        network: Network with exits; it is moved to the device.
        image_shape: Shape (channels, height, width) of the images.
        device: Device of the measurement.
        batch_size: Number of images of a pass.
        cumulative: True to measure early-exit inference, with the heads and the criterion of earlier exits; False to
            measure the network truncated at the exit.

    Raises:
        SpecError: for a device that is not available, or for an empty batch.
    """
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device not in there and not (device == "cuda" and torch.cuda.is_available()):
        raise SpecError(f"device {device!r} not found; available devices: {', '.join(there)}.", field="device")
    require(batch_size >= 1, "1 <= batch_size", batch_size=batch_size)
    images = torch.randn(batch_size, *image_shape, device=device)
    numbers = range(1, len(network.exit_blocks) + 1)
    parts = (_all_leave_at(network, number) if cumulative else TruncatedNetwork(network, number) for number in numbers)
    return tuple(_median_seconds(part.to(device).eval(), images) for part in parts)


def seconds(module: nn.Module, images: torch.Tensor) -> float:
    """Measure the seconds of one forward pass; the caller disables gradients."""
    started = time.perf_counter()
    module(images)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - started


@torch.inference_mode()
def _median_seconds(module: nn.Module, images: torch.Tensor) -> float:
    return statistics.median([seconds(module, images) for _ in range(WARM_UP + REPEATS)][WARM_UP:])


def _all_leave_at(network: MultiExitNetwork, exit: int) -> EarlyExit:
    """Return early exits at which all images leave at this exit."""
    before_final = range(1, len(network.exit_blocks))
    return EarlyExit(network, "max_probability", [0.0 if number == exit else None for number in before_final])
