"""What it costs to leave a network at each of its exits."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from ..specs import SpecError, require
from .cost import multiply_adds, parameters, peak_activation_bytes
from .early_exit.truncated import TruncatedNetwork
from .network import MultiExitNetwork

WARM_UP = 5
REPEATS = 30


@dataclass(frozen=True, kw_only=True)
class ExitCost:
    """Of one exit, numbered from 1; the last one is the network's own classifier."""

    exit: int
    block: int
    """The number of the block that it follows."""
    parameters: int
    """Of the network truncated at this exit."""
    multiply_adds: int
    """Of one image in the network truncated at this exit."""
    cumulative_multiply_adds: int
    """The same and the heads before: what an image has cost that leaves here in early-exit inference."""


def exit_costs(network: MultiExitNetwork, image_shape: tuple[int, int, int]) -> tuple[ExitCost, ...]:
    """The cost of each exit for an image of a shape (channels, height, width), from the shallowest on."""
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
    """The most memory that one image's activations hold at once in the network truncated at each exit, in float32.

    The first call in a process takes seconds: PyTorch imports its compiler (2.13).
    """
    truncated = (TruncatedNetwork(network, number) for number in range(1, len(network.exit_blocks) + 1))
    return tuple(peak_activation_bytes(part, (1, *image_shape)) for part in truncated)


def exit_latencies(
    network: MultiExitNetwork, image_shape: tuple[int, int, int], *, device: str = "cpu", batch_size: int = 1
) -> tuple[float, ...]:
    """The measured seconds of a forward pass that ends at each exit: the median of 30, after 5 to warm up.

    Raises:
        SpecError: for a device that is not there, and for a batch of no images.
    """
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device not in there and not (device == "cuda" and torch.cuda.is_available()):
        raise SpecError(f"device {device!r} is not there; PyTorch sees {', '.join(there)}.", field="device")
    require(batch_size >= 1, "1 <= batch_size", batch_size=batch_size)
    images = torch.randn(batch_size, *image_shape, device=device)
    truncated = (TruncatedNetwork(network, number) for number in range(1, len(network.exit_blocks) + 1))
    return tuple(_median_seconds(part.to(device).eval(), images) for part in truncated)


@torch.inference_mode()
def _median_seconds(module: nn.Module, images: torch.Tensor) -> float:
    seconds = []
    for _ in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        module(images)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:])
