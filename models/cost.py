"""What a network costs, found without running it: parameters, multiply-adds, activation memory.

One multiply-add is one multiplication with its addition, so half of what torch's counter calls FLOPs.
Convolutions and linear layers are counted; normalisation, activations and pooling are not, as is usual.
"""

import copy
import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .backbone import Backbone
from .layers import Module

_COUNTED = {torch.conv1d, torch.conv2d, torch.conv3d, F.linear}
"""Each output value takes as many multiply-adds as `weight[0]`, the second argument, has values."""


@dataclass(frozen=True, kw_only=True)
class BackboneCost:
    """What one image costs on its way through a trunk."""

    after_blocks: tuple[int, ...]
    """Multiply-adds up to the end of block 1, 2, ..."""
    whole: int
    """Multiply-adds of the whole trunk."""
    taps: tuple[tuple[int, ...], ...]
    """What an exit after block 1, 2, ... sees: channels, height and width."""


def parameters(module: nn.Module) -> int:
    """How many weights are trained."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def multiply_adds(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Of one forward pass in evaluation mode over an input of this shape, batch dimension included."""
    batch, *one = shape
    return batch * _passed([module], one)[0][-1]


def backbone_cost(trunk: Backbone, image_shape: tuple[int, int, int]) -> BackboneCost:
    """Of one image (channels, height, width) in evaluation mode."""
    counts, hidden = _passed([trunk.stem, *trunk.blocks, nn.Sequential(trunk.neck, trunk.classifier)], image_shape)
    taps = (trunk.block(number).tap(hidden[number]).shape[1:] for number in range(1, len(trunk.blocks) + 1))
    return BackboneCost(after_blocks=tuple(counts[1:-1]), whole=counts[-1], taps=tuple(map(tuple, taps)))


def peak_activation_bytes(module: nn.Module, shape: tuple[int, ...]) -> int:
    """The most memory that the activations of one forward pass in evaluation mode hold at once, in bytes.

    For float32 inputs of this shape, batch dimension included; without the weights and without what a
    convolution's algorithm takes for itself.
    """
    module = _without_values(module, torch.device("meta"))
    with torch.no_grad(), _LiveBytes() as live:
        module(torch.empty(shape, device="meta"))
    return live.peak


def _passed(parts: Sequence[nn.Module], shape: Sequence[int]) -> tuple[list[int], list[Any]]:
    """What an image has cost after each of these parts, and what comes out of each.

    Nothing is computed: an empty batch on the CPU takes shapes through a network. So does the meta device, on which
    many operations are written in Python, slower, and load `torch._dynamo` for two seconds; it is for the few networks
    that cannot be given an empty batch, such as those that view it as (N, -1).
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # some normalisations warn of having nothing to normalise
            return _pass(parts, torch.empty(0, *shape, device="cpu"))
    except RuntimeError:
        return _pass(parts, torch.empty(1, *shape, device="meta"))


@torch.no_grad()
def _pass(parts: Sequence[nn.Module], images: torch.Tensor) -> tuple[list[int], list[Any]]:
    counts, outputs = [], [images]
    with _Counter() as counter:
        for part in parts:
            outputs.append(_without_values(part, images.device)(outputs[-1]))
            counts.append(counter.total)
    return counts, outputs[1:]


class _Counter(TorchFunctionMode):
    """Adds up the multiply-adds of one image, from the shapes of what convolutions and linear layers make."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _COUNTED:
            self.total += math.prod(result.shape[1:]) * math.prod(args[1].shape[1:])
        return result


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


def _without_values(module: Module, device: torch.device) -> Module:
    """A copy in evaluation mode, whose weights are memory that nothing was written to: only their shapes count."""

    def unwritten(weight: torch.Tensor | None) -> Any:
        return weight if weight is None else torch.empty(weight.shape, dtype=weight.dtype, device=device)

    def copied(part: nn.Module | None) -> nn.Module | None:
        return part if part is None else _without_values(part, device)

    twin = copy.copy(module)  # deepcopy takes several times as long
    twin.training = False
    twin._parameters = {name: unwritten(weight) for name, weight in module._parameters.items()}
    twin._buffers = {name: unwritten(weight) for name, weight in module._buffers.items()}
    twin._modules = {name: copied(part) for name, part in module._modules.items()}
    return twin
