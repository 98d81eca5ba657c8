"""Learning-rate schedules: functions from the step to the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..specs import Registry

if TYPE_CHECKING:
    from .recipe import Recipe

Rate: TypeAlias = "Callable[[Recipe, int, int], float]"
"""Function from a recipe, a step counted from 0 over the whole training, and the steps per epoch to a learning rate."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Learning-rate schedule, and the fields of a recipe that it does not read."""

    rate: Rate
    unread: frozenset[str]


schedules: Registry[Schedule] = Registry("schedule")

OF_MULTISTEP = ("milestones", "decay")


def register_schedule(name: str, *, unread: Iterable[str] = OF_MULTISTEP) -> Callable[[Rate], Rate]:
    """Return a decorator that registers a function as a schedule.

    Args:
        name: Name in the sweep file.
        unread: Fields of the recipe that the function does not read; recipes that differ in them alone are the same.
    """

    def enter(rate: Rate) -> Rate:
        schedules.register(name)(Schedule(rate=rate, unread=frozenset(unread)))
        return rate

    return enter


@register_schedule("multistep", unread=())
def multistep(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Multiply the learning rate by `decay` at each milestone, after a linear warm-up."""
    epoch = step // steps_per_epoch
    reached = sum(epoch >= milestone for milestone in recipe.milestones)
    return _warm_up(recipe, step, steps_per_epoch) * recipe.learning_rate * recipe.decay**reached


@register_schedule("cosine")
def cosine(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Let the learning rate fall to 0 along half a cosine, after a linear warm-up."""
    progress = step / (recipe.epochs * steps_per_epoch)
    warm = _warm_up(recipe, step, steps_per_epoch)
    return warm * recipe.learning_rate * (1 + math.cos(math.pi * progress)) / 2


@register_schedule("one_cycle", unread=(*OF_MULTISTEP, "warmup_epochs"))
def one_cycle(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Let the learning rate rise linearly over the first 30% of the steps, and fall linearly to 0 over the rest."""
    steps = recipe.epochs * steps_per_epoch
    progress = step / steps
    return recipe.learning_rate * min((progress + 1 / steps) / 0.3, (1 - progress) / 0.7, 1.0)


def _warm_up(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    return min(1.0, (step + 1) / (recipe.warmup_epochs * steps_per_epoch)) if recipe.warmup_epochs else 1.0
