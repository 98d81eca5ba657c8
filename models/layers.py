"""Layers of backbones and heads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Module = TypeVar("Module", bound=nn.Module)


def conv_bn(in_channels: int, out_channels: int, size: int, stride: int = 1, *, groups: int = 1) -> nn.Sequential:
    """Build a convolution without bias that divides height and width by the stride, and its batch normalisation."""
    convolution = nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels))


class Pool(nn.Module):
    """Global average pooling of a map of any size; under autocast, its output is float32."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, channels)."""
        return hidden.mean(dim=(2, 3), dtype=torch.float32 if autocasts(hidden) else None)


class Classifier(nn.Linear):
    """Linear classifier that computes in float32 under autocast: rounded logits would often be equal."""

    def forward(self, input: Tensor) -> Tensor:
        """Map features (N, width) to logits (N, classes)."""
        if not autocasts(input):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def autocasts(tensor: Tensor) -> bool:
    """Return True if autocast is on for the device of a tensor."""
    kind = tensor.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


@torch.no_grad()
def initialise(module: Module) -> Module:
    """Initialise convolutions He-normal (fan-out) and normalisations to identity, as the authors of ResNet and EED do.

    Linear layers keep PyTorch's default initialisation.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
    return module


@contextmanager
def without_weights() -> Iterator[None]:
    """Build modules in this context on the meta device: their weights have shapes and no values."""
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Function mode that skips random initialisation, which on the meta device has no effect and takes seconds."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in (Tensor.uniform_, Tensor.normal_):
            return args[0]
        if function in (nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_):
            return (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))
