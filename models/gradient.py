"""Scaling of gradients inside a network."""

from typing import Any

import torch
from torch import Tensor


class _ScaledGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def scaled_gradient(tensor: Tensor, factor: float) -> Tensor:
    """Return the same values; the gradient that flows back is multiplied by the factor."""
    return tensor if factor == 1 else _ScaledGradient.apply(tensor, factor)


def detached(hidden: Any) -> Any:
    """Return the same values without their history, for a tensor or a tuple or list of tensors."""
    return hidden.detach() if isinstance(hidden, Tensor) else type(hidden)(map(detached, hidden))
