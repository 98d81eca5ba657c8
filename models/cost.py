"""Cost of a network, computed without running it: parameters, multiply-adds (MACs) and activation memory.

One multiply-add is one multiplication and one addition, that is two FLOPs of PyTorch's counter.
Convolutions, linear layers and the matrix products of attention are counted, as is usual; normalisation, activations
and pooling are not.
"""

import copy
import itertools
import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .backbone import Backbone
from .layers import Module
from .layout import BackboneCost

_PRODUCTS = {
    *("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "baddbmm", "einsum"),
    *("multi_head_attention_forward", "scaled_dot_product_attention"),
}
"""Names of functions with matrix products, whose shapes an empty batch does not show."""
_COUNTED = {torch.conv1d, torch.conv2d, torch.conv3d, F.linear}
"""Functions whose multiply-adds are counted: per output value, the number of elements of `weight[0]` (argument 2)."""


class LayerCall(NamedTuple):
    """Call of a convolution or a linear layer for one image."""

    output: tuple[int, ...]
    """Shape of the output."""
    per_value: int
    """Multiply-adds of each output value."""

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the call."""
        return math.prod(self.output) * self.per_value


def parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def multiply_adds(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the multiply-adds of a forward pass in evaluation mode for an input shape with batch dimension."""
    batch, *one = shape
    counts, _ = _costs([module], one)
    return batch * counts[0]


def backbone_cost(trunk: Backbone, image_shape: tuple[int, int, int]) -> BackboneCost:
    """Return the cost of one image (channels, height, width) in evaluation mode."""
    counts, hidden = _costs([trunk.stem, *trunk.blocks, nn.Sequential(trunk.neck, trunk.classifier)], image_shape)
    counts = [*itertools.accumulate(counts)]
    taps = (trunk.block(number).tap(hidden[number]).shape[1:] for number in range(1, len(trunk.blocks) + 1))
    return BackboneCost(after_blocks=tuple(counts[1:-1]), whole=counts[-1], taps=tuple(map(tuple, taps)))


def peak_activation_bytes(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the peak memory of the activations of one forward pass in evaluation mode, in bytes.

    The input is float32 with this shape, batch dimension included. The weights and the workspace of convolution
    algorithms are not counted.
    """
    module = _without_values(module, torch.device("meta"))
    with torch.no_grad(), _LiveBytes() as live:
        module(torch.empty(shape, device="meta"))
    return live.peak


def _costs(parts: Sequence[nn.Module], shape: Sequence[int]) -> tuple[list[int], list[Any]]:
    """Return the multiply-adds of each part for an image, and the output of each part.

    PyTorch's counter is used for networks with attention, and for networks that do not accept an empty batch, such as
    those that view it as (N, -1). It needs the meta device, many of whose operations are implemented in Python and
    import `torch._dynamo`, which takes two seconds.
    """
    try:
        calls, outputs = layer_calls(parts, shape)
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError):
        return _counted(parts, torch.empty(1, *shape, device="meta"))
    return [sum(call.multiply_adds for call in part) for part in calls], outputs


@torch.no_grad()
def _counted(parts: Sequence[nn.Module], image: torch.Tensor) -> tuple[list[int], list[Any]]:
    counts, outputs = [], [image]
    for part in parts:
        with FlopCounterMode(display=False) as counter, torch.device("meta"):
            outputs.append(_without_values(part, image.device)(outputs[-1]))
        counts.append(counter.get_total_flops() // 2)
    return counts, outputs[1:]


@torch.no_grad()
def layer_calls(parts: Sequence[nn.Module], shape: Sequence[int]) -> tuple[list[list[LayerCall]], list[Any]]:
    """Return the calls of convolutions and linear layers in each part for an image, and the output of each part.

    An empty batch on the CPU propagates shapes without any computation.

    Raises:
        RuntimeError: for a network that does not accept an empty batch, or that has other matrix products.
    """
    calls: list[list[LayerCall]] = []
    outputs: list[Any] = [torch.empty(0, *shape, device="cpu")]
    for part in parts:
        with _Recorder() as recorder, warnings.catch_warnings(action="ignore"):  # normalisation warns of empty inputs
            outputs.append(_without_values(part, torch.device("cpu"))(outputs[-1]))
        calls.append(recorder.calls)
    return calls, outputs[1:]


class _ProductError(RuntimeError):
    """Function with a matrix product whose size an empty batch does not show."""


class _Recorder(TorchFunctionMode):
    """Function mode that records the convolutions and linear layers of one image."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[LayerCall] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__name__", "") in _PRODUCTS:
            raise _ProductError
        result = function(*args, **(kwargs or {}))
        if function in _COUNTED:
            self.calls.append(LayerCall(tuple(result.shape[1:]), math.prod(args[1].shape[1:])))
        return result


class _LiveBytes(TorchDispatchMode):
    """Dispatch mode that tracks the total size of the allocated storages and its maximum."""

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
    """Return a copy in evaluation mode with uninitialised weights; only their shapes are used."""

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
