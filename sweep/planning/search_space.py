"""A search: the tuned settings of each method, their ranges, and the budget."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from ...specs import SpecError, canonical_json, require, short_hash
from ...store import SearchRecord
from ...training import Recipe, TrialSpec
from .constraints import SearchConstraint
from .method_configs import MethodConfig, method_config
from .parsing import field_names
from .yaml_document import Document, Place

Sampler = Literal["tpe", "gp", "cmaes", "nsga2", "qmc", "random"]

RECIPE = "recipe."
"""Prefix of recipe fields in the names of tuned settings."""

Direction = Literal["maximize", "minimize"]
Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class NumericRange:
    """A range of numbers, both ends included."""

    low: float
    high: float
    log: bool = False
    """True for a logarithmic scale, on which each power of ten is equally likely."""
    step: float | None = None
    """Distance between two values, counted from `low`; None for all numbers of the range."""
    whole: bool = False
    """True if values are integers."""

    def __post_init__(self) -> None:
        """Check the ends and the step. Raises `SpecError` for an empty or infinite range."""
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            require(value is None or math.isfinite(value), f"{name} is finite", **{name: value})
        require(self.low < self.high, "low < high", low=self.low, high=self.high)
        require(not self.log or self.low > 0, "low > 0 with log: true", low=self.low)
        require(self.step is None or not self.log, "no step with log: true", step=self.step)
        fits = self.step is None or 0 < self.step <= self.high - self.low
        require(fits, "0 < step <= high - low", step=self.step, low=self.low, high=self.high)
        if self.whole:
            for name in ("low", "high", "step"):
                value = getattr(self, name)
                require(value is None or value == int(value), f"{name} is a whole number", **{name: value})

    @property
    def highest(self) -> float:
        """Greatest value: `high`, or the last step that does not exceed it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        return float(low + (high - low) // step * step)

    @property
    def ends(self) -> "Mapping[str | int, Value]":
        """The smallest and the greatest value, by key: `low` and `high`."""
        kind = int if self.whole else float
        return {"low": kind(self.low), "high": kind(self.highest)}


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """A list of values, of which each trial has one."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> "Mapping[str | int, Value]":
        """The values, by index."""
        return dict(enumerate(self.values))


ValueRange = NumericRange | Categorical


@dataclass(frozen=True, kw_only=True)
class SearchObjective:
    """The objective of a search: a metric that every trial records."""

    name: str
    """Name as in the file: `final`, `ensemble`, `exit1`, or with a metric `exit1/multiply_adds`."""

    def __post_init__(self) -> None:
        """Check the name. Raises `SpecError` for an unknown form."""
        if not re.fullmatch(r"(final|ensemble|exit[1-9]\d*)(/top1|/multiply_adds)?", self.name):
            rule = "an exit (final, ensemble, exit1, ...), alone or with a metric: exit1/top1, exit1/multiply_adds"
            raise SpecError(f"an objective is {rule}, but got {self.name!r}.", field="objective")

    @property
    def exit(self) -> str:
        """Name of the exit: `final`, `ensemble` or `exit1`, ..."""
        return self.name.partition("/")[0]

    @property
    def metric(self) -> str:
        """Name of the metric in the records of a trial."""
        counts = self.name.endswith("/multiply_adds")
        return f"cost/{self.exit}/multiply_adds" if counts else f"validation/{self.exit}/top1"

    def is_measured(self, trial: TrialSpec) -> bool:
        """Return True if a trial records the metric."""
        if self.exit in ("final", "ensemble"):
            return self.exit == "final" or trial.exit_count > 1
        return int(self.exit.removeprefix("exit")) < trial.exit_count

    @property
    def direction(self) -> Direction:
        """Direction of optimization."""
        return "minimize" if self.metric.startswith("cost/") else "maximize"

    @property
    def words(self) -> str:
        """Description for captions, such as `validation top-1 of the final exit`."""
        named = {"final": "the final exit", "ensemble": "the ensemble of exits"}
        of = named.get(self.exit, f"exit {self.exit[4:]}")
        return f"multiply-adds of {of}" if self.direction == "minimize" else f"validation top-1 of {of}"


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The search space of one method on one network. Each point is a trial."""

    default: TrialSpec
    """Trial with the settings of the file, protocol `final` and seed 0."""
    ranges: Mapping[str, ValueRange]
    """Range by name: a field of the method, `exits`, `head`, or a field of the recipe as `recipe.learning_rate`."""
    recipe: Recipe
    """Recipe of the file, with the fields that are inactive now but may be active with other values."""
    way: MethodConfig
    document: Document

    @property
    def name(self) -> str:
        """`METHOD/ARCHITECTURE`."""
        return f"{self.default.method.name}/{self.default.architecture.name}"

    def trial(self, values: Mapping[str, Value]) -> TrialSpec:
        """Return the trial of a file with these values. Raises `SpecError` if the values contradict each other."""
        of_recipe = {name.removeprefix(RECIPE): value for name, value in values.items() if name.startswith(RECIPE)}
        of_method = {name: value for name, value in values.items() if not name.startswith(RECIPE)}
        way = method_config(self.way, of_method, self.document)
        recipe = self.recipe.replace(**of_recipe)
        trial = replace(self.default, method=way.method, exits=way.exits, recipe=recipe).canonical()
        return trial.replace(teacher=self.default.teacher)  # the canonical form has no path of weights

    def exits(self, values: Mapping[str, Value]) -> str:
        """Return the placement of exits of a file with these values."""
        return str(values.get("exits", self.way.exits.placement))

    @property
    def ends(self) -> Iterator[tuple[str, str | int, Value]]:
        """The end values of all ranges, as tuples of range name, key or index, and value."""
        for name, wanted in self.ranges.items():
            for step, value in wanted.ends.items():
                yield name, step, value

    @property
    def corners(self) -> "Iterator[Mapping[str, Value]]":
        """The settings of the file, and these with one range at one of its ends."""
        yield {}
        yield from ({name: value} for name, _, value in self.ends)

    def check(self, place_of: Mapping[str, Place]) -> None:
        """Raise `DocumentError` for a range whose end values are invalid for the field."""
        for name, step, value in self.ends:
            try:
                self.trial({name: value})
            except SpecError as error:
                told = str(error).partition(f"{self.document.path}")[2].partition(": ")[2] or str(error)
                raise self.document.error((*place_of[name], step), f"with {value!r}, {told}") from error


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """The search of a sweep: each method has the same budget and is evaluated on held-out training images."""

    budget: int | None
    """Number of trials of each space; None if the budget is `seconds`."""
    seconds: float | None
    """Device-seconds of training of each space; None if the budget is a number of trials."""
    sampler: Sampler
    objectives: tuple[SearchObjective, ...]
    validation: float
    """Share of the training images that is held out, between 0 and 1."""
    seeds: tuple[int, ...]
    """Seeds of the trials of each suggestion, in order; none is a seed of the final results."""
    constraints: tuple[SearchConstraint, ...] = ()
    """Bounds that the best settings satisfy."""
    studies: str | None
    """URL of the database with the Optuna studies; None for a journal in the storage."""
    spaces: tuple[SearchSpace, ...]

    @property
    def seed(self) -> int:
        """Seed of the sampler and of the first trial of each suggestion."""
        return self.seeds[0]

    @property
    def repeats(self) -> int:
        """Maximum number of trials of a suggestion, each with its own seed."""
        return len(self.seeds)

    def trial(self, space: SearchSpace, values: Mapping[str, Value], repeat: int = 0) -> TrialSpec:
        """Return the trial that evaluates settings on held-out images; it and its teacher do not read test images.

        Args:
            space: the search space.
            values: the settings.
            repeat: index of the trial among those with these settings; selects the seed.

        Raises:
            SpecError: if the settings contradict each other.
        """
        return self._on_validation(space.trial(values), self.seeds[repeat])

    def teacher(self, space: SearchSpace) -> TrialSpec | None:
        """Return the teacher of all trials of a space; None if none is trained."""
        return self.trial(space, {}).teacher if isinstance(space.default.teacher, TrialSpec) else None  # type: ignore[return-value]

    def identity(self, space: SearchSpace) -> str:
        """Return a hash that is equal for two searches with comparable trials; their budgets may differ."""
        parts: dict[str, Any] = {
            "trial": short_hash(self.trial(space, {}).canonical().text),
            "ends": [short_hash(self.trial(space, {name: value}).canonical().text) for name, _, value in space.ends],
            "ranges": {name: _written(wanted) for name, wanted in space.ranges.items()},
            "objectives": [objective.name for objective in self.objectives],
            "sampler": self.sampler,
        }
        if self.repeats > 1:
            parts["seeds"] = self.seeds
        if self.constraints:
            parts["constraints"] = sorted(map(str, self.constraints))
        return short_hash(canonical_json(parts))[:8]

    def record(self, sweep: str) -> SearchRecord:
        """Return the search of the sweep with this name as data."""
        judged = " and ".join(objective.words for objective in self.objectives)
        share = f"{100 * self.validation:g}% of the training images"
        seeds = f" with up to {self.repeats} seeds per setting" if self.repeats > 1 else ""
        bounds = f", with {' and '.join(map(str, self.constraints))}" if self.constraints else ""
        return SearchRecord(
            budget=self.budget,
            seconds=self.seconds,
            scoring=f"by {self.sampler}{seeds}, scored by {judged} on {share}{bounds}",
            studies=self.studies,
            spaces={self.study(sweep, space): space.name for space in self.spaces},
        )

    def study(self, sweep: str, space: SearchSpace) -> str:
        """Return the name of a space's study, which changes with the trials, ranges, objectives and sampler."""
        return f"{sweep}/{space.name}/{self.identity(space)}"

    def _on_validation(self, spec: TrialSpec, seed: int) -> TrialSpec:
        teacher = spec.teacher
        if isinstance(teacher, TrialSpec):
            teacher = self._on_validation(teacher, teacher.seed)
        held_out = replace(spec, protocol="tuning", validation=self.validation, seed=seed).canonical()
        return held_out.replace(teacher=teacher)


def _written(wanted: ValueRange) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in field_names(type(wanted))}
