"""PyTorch, imported when a loss is computed or built: reading a method's settings needs none."""

from typing import TYPE_CHECKING

from ..specs.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import nn
else:
    torch, nn, F = map(LazyModule, ("torch", "torch.nn", "torch.nn.functional"))

__all__ = ["F", "nn", "torch"]
