"""What a network costs: multiply-adds and parameters.

One multiply-add is one multiplication with its addition, so half of what torch's counter calls FLOPs.
Convolutions and linear layers are counted; normalisation, activations and pooling are not, as is usual.
"""

import copy
from itertools import accumulate

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .layers import Module
from .trunk import Trunk


def parameters(module: nn.Module) -> int:
    """How many weights are trained."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def multiply_adds(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Of one forward pass in evaluation mode over an input of this shape, batch dimension included."""
    return _counted(_on_meta(module), torch.empty(shape, device="meta"))[0]


def multiply_adds_after_blocks(trunk: Trunk, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Of one image (channels, height, width): the sum up to each block's end, and last that of the whole trunk."""
    trunk = _on_meta(trunk)
    hidden = torch.empty((1, *image_shape), device="meta")
    counts = []
    for part in (trunk.stem, *trunk.blocks, nn.Sequential(trunk.neck, trunk.classifier)):
        count, hidden = _counted(part, hidden)
        counts.append(count)
    return tuple(accumulate(counts))[1:]


def _on_meta(module: Module) -> Module:
    """A copy without weights, which computes shapes alone."""
    return copy.deepcopy(module).to("meta").eval()


def _counted(module: nn.Module, images: torch.Tensor) -> tuple[int, torch.Tensor]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = module(images)
    return counter.get_total_flops() // 2, output
