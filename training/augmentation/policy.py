"""Augmentation policies that a recipe can name: those of this package and those of plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...specs import Registry

if TYPE_CHECKING:
    from torch import Tensor

Change: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""Function from pixels (N, C, H, W) uint8 and random numbers (N, K) float32 in [0, 1) to pixels of the same shape."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Augmentation policy. The random numbers of each image are drawn on the CPU, so that all devices see the same."""

    change: Change | None = None
    """Function that changes the pixels; None for a policy that consists of this package's operations."""
    numbers: int = 0
    """Random numbers K of each image."""


policies: Registry[Policy] = Registry("policy")

for _name in ("none", "trivial_augment", "auto_augment", "auto_augment_svhn", "auto_augment_imagenet"):
    policies.register(_name)(Policy())


def register_augmentation(name: str, *, numbers: int) -> Callable[[Change], Change]:
    """Return a decorator that registers a function as an augmentation policy.

    The function must be deterministic: all its chance is in the random numbers.

    Args:
        name: Name in the sweep file, as `policy`.
        numbers: Random numbers K that it gets for each image.
    """

    def enter(change: Change) -> Change:
        policies.register(name)(Policy(change=change, numbers=numbers))
        return change

    return enter
