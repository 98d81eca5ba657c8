"""What a network costs, found without running it: parameters, multiply-adds, activation memory.

One multiply-add is one multiplication with its addition, so half of what torch's counter calls FLOPs.
Convolutions and linear layers are counted; normalisation, activations and pooling are not, as is usual.
"""

import copy
import weakref
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
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
    hidden: Any = torch.empty((1, *image_shape), device="meta")
    counts = []
    for part in (trunk.stem, *trunk.blocks, nn.Sequential(trunk.neck, trunk.classifier)):
        count, hidden = _counted(part, hidden)
        counts.append(count)
    return tuple(accumulate(counts))[1:]


def peak_activation_bytes(module: nn.Module, shape: tuple[int, ...]) -> int:
    """The most memory that the activations of one forward pass in evaluation mode hold at once, in bytes.

    For float32 inputs of this shape, batch dimension included; without the weights and without what a
    convolution's algorithm takes for itself.
    """
    module = _on_meta(module)
    with torch.no_grad(), _LiveBytes() as live:
        module(torch.empty(shape, device="meta"))
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self._now += storage.nbytes()
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._remove, storage.nbytes())

    def _remove(self, size: int) -> None:
        self._now -= size


def _on_meta(module: Module) -> Module:
    """A copy without weights, which computes shapes alone."""
    return copy.deepcopy(module).to("meta").eval()


def _counted(module: nn.Module, images: Any) -> tuple[int, Any]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = module(images)
    return counter.get_total_flops() // 2, output
