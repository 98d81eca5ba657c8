"""Optimisers that a recipe can name, with the fields of the recipe that each reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..specs import Registry
from ..specs.lazy import LazyModule

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer

    from . import optimizer as built_in
    from .recipe import Recipe
else:
    built_in = LazyModule(f"{__package__}.optimizer")

Groups: TypeAlias = "list[dict[str, Any]]"
"""Groups of parameters, each with its `params` and `weight_decay`."""
Build: TypeAlias = "Callable[[Groups, Recipe], TorchOptimizer]"


@dataclass(frozen=True, kw_only=True)
class OptimizerKind:
    """Function that builds an optimiser, and the fields of a recipe that it does not read."""

    build: Build
    unread: frozenset[str]
    fused: bool = False
    """True if the optimiser is one of PyTorch's fused ones: it reads the learning rate from a tensor, and changes
    nothing after a step that was not finite."""


optimizers: Registry[OptimizerKind] = Registry("optimizer")

OF_SGD = ("momentum", "nesterov")


def register_optimizer(name: str, *, unread: Iterable[str] = OF_SGD) -> Callable[[Build], Build]:
    """Return a decorator that registers a function that builds an optimiser.

    The learning rate of each group is set before each step. Weight decay is that of the groups.

    Args:
        name: Name in the sweep file.
        unread: Fields of the recipe that the function does not read; recipes that differ in them alone are the same.
    """

    def enter(build: Build) -> Build:
        optimizers.register(name)(OptimizerKind(build=build, unread=frozenset(unread)))
        return build

    return enter


def _sgd(groups: Groups, recipe: Recipe) -> TorchOptimizer:
    return built_in.fused_sgd(groups, recipe)


def _adamw(groups: Groups, recipe: Recipe) -> TorchOptimizer:
    return built_in.fused_adamw(groups, recipe)


optimizers.register("sgd")(OptimizerKind(build=_sgd, unread=frozenset(), fused=True))
optimizers.register("adamw")(OptimizerKind(build=_adamw, unread=frozenset(OF_SGD), fused=True))
