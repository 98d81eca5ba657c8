"""The `search` part of a sweep file: what is tuned, within which ranges, and with how much effort for each method."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import pydantic

from ...specs import FieldInfo, SpecError, canonical_json, nearest, require, short_hash
from ...training import Recipe, TrialSpec
from .durations import seconds_of
from .method_configs import EXIT_KEYS, MethodConfig, method_config
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .stopping import Stopping
from .yaml_document import Document, Place

Sampler = Literal["tpe", "gp", "cmaes", "nsga2", "qmc", "random"]

HELD_OUT = 0.1
"""Share of the training images that settings are judged by, where the file does not say `validation`."""
RECIPE = "recipe."
"""Before the name of a recipe's field, in the names of what is tuned."""
FIXED = {"epochs": "budgets would not be equal if some trials trained for longer"}
"""Fields of a recipe that are not tuned, and why."""

Direction = Literal["maximize", "minimize"]
Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class NumericRange:
    """A range of numbers, both ends included."""

    low: float
    high: float
    log: bool = False
    """Whether each power of ten is as likely as the next."""
    step: float | None = None
    """Only `low` and so many steps above it; None for every number, or every whole number."""
    whole: bool = False
    """Whether only whole numbers are meant."""

    def __post_init__(self) -> None:
        """Checks that there is something between."""
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
        """The greatest value: `high`, or the last step below it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        return float(low + (high - low) // step * step)

    @property
    def ends(self) -> "Mapping[str | int, Value]":
        """The two values that are furthest from each other, by where in the range they stand."""
        kind = int if self.whole else float
        return {"low": kind(self.low), "high": kind(self.highest)}


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """Values of which one is taken."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> "Mapping[str | int, Value]":
        """All of them, by where in the list they stand."""
        return dict(enumerate(self.values))


ValueRange = NumericRange | Categorical


@dataclass(frozen=True, kw_only=True)
class SearchObjective:
    """What settings are judged by: a number that every trial records."""

    name: str
    """As the file has it: `final`, `ensemble`, `exit1`, or with a measure `exit1/multiply_adds`."""

    def __post_init__(self) -> None:
        """Checks the name."""
        if not re.fullmatch(r"(final|ensemble|exit[1-9]\d*)(/top1|/multiply_adds)?", self.name):
            rule = "an exit (final, ensemble, exit1 ...), or with what is measured of it: exit1/multiply_adds"
            raise SpecError(f"an objective is {rule}, but got {self.name!r}.", field="objective")

    @property
    def exit(self) -> str:
        """Of which."""
        return self.name.partition("/")[0]

    @property
    def metric(self) -> str:
        """Under which it is recorded."""
        counts = self.name.endswith("/multiply_adds")
        return f"cost/{self.exit}/multiply_adds" if counts else f"validation/{self.exit}/top1"

    def is_measured(self, trial: TrialSpec) -> bool:
        """Whether a trial records it."""
        if self.exit in ("final", "ensemble"):
            return self.exit == "final" or trial.exit_count > 1
        return int(self.exit.removeprefix("exit")) < trial.exit_count

    @property
    def direction(self) -> Direction:
        """Which values are good."""
        return "minimize" if self.metric.startswith("cost/") else "maximize"

    @property
    def words(self) -> str:
        """For people."""
        named = {"final": "the final exit", "ensemble": "the ensemble of exits"}
        of = named.get(self.exit, f"exit {self.exit[4:]}")
        return f"multiply-adds of {of}" if self.direction == "minimize" else f"validation top-1 of {of}"


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The settings of one method on one network that are tried, each a trial."""

    default: TrialSpec
    """With the settings of the file, as they are confirmed: the protocol `final`, and the seed 0."""
    ranges: Mapping[str, ValueRange]
    """By field: one of the method's, `exits`, `head`, or one of the recipe's as `recipe.learning_rate`."""
    recipe: Recipe
    """The file's, also with what has no effect in it but may have with other values."""
    way: MethodConfig
    document: Document

    @property
    def name(self) -> str:
        """`METHOD/ARCHITECTURE`."""
        return f"{self.default.method.name}/{self.default.architecture.name}"

    def trial(self, values: Mapping[str, Value]) -> TrialSpec:
        """What the file would ask for if it had these values. Raises `SpecError` where they do not fit each other."""
        of_recipe = {name.removeprefix(RECIPE): value for name, value in values.items() if name.startswith(RECIPE)}
        of_method = {name: value for name, value in values.items() if not name.startswith(RECIPE)}
        way = method_config(self.way, of_method, self.document)
        recipe = self.recipe.replace(**of_recipe)
        trial = replace(self.default, method=way.method, exits=way.exits, recipe=recipe).canonical()
        return trial.replace(teacher=self.default.teacher)  # of weights the canonical form forgets where they are

    def exits(self, values: Mapping[str, Value]) -> str:
        """Where the file would say that exits sit if it had these values."""
        return str(values.get("exits", self.way.exits.placement))

    @property
    def ends(self) -> Iterator[tuple[str, str | int, Value]]:
        """The values at the ends of each range, after the name of the range and where in it they stand."""
        for name, wanted in self.ranges.items():
            for step, value in wanted.ends.items():
                yield name, step, value

    def check(self, place_of: Mapping[str, Place]) -> None:
        """Raises `DocumentError` for a range with values that the field cannot have."""
        for name, step, value in self.ends:
            try:
                self.trial({name: value})
            except SpecError as error:
                told = str(error).partition(f"{self.document.path}")[2].partition(": ")[2] or str(error)
                raise self.document.error((*place_of[name], step), f"with {value!r}, {told}") from error


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """How the methods of a sweep are tuned: each with the same budget, on images held out of the training set."""

    budget: int | None
    """Trials of each space; None where `seconds` says it."""
    seconds: float | None
    """Of training, on one device, in each space; None where `budget` says it."""
    sampler: Sampler
    objectives: tuple[SearchObjective, ...]
    validation: float
    """Share of the training images that is held out."""
    seed: int
    """Of the sampler and of every trial; none of those that the results are confirmed with."""
    studies: str | None
    """The URL of the database that the studies are in; None for a journal in the storage."""
    spaces: tuple[SearchSpace, ...]

    def trial(self, space: SearchSpace, values: Mapping[str, Value]) -> TrialSpec:
        """The trial in which settings are tried: its test images are never looked at, nor those of its teacher."""
        return self._on_validation(space.trial(values), self.seed)

    def teacher(self, space: SearchSpace) -> TrialSpec | None:
        """What all trials of a space wait for."""
        return self.trial(space, {}).teacher if isinstance(space.default.teacher, TrialSpec) else None  # type: ignore[return-value]

    def identity(self, space: SearchSpace) -> str:
        """The same for two searches whose trials can be compared; the budget may differ."""
        return short_hash(
            canonical_json(
                {
                    "trial": self.trial(space, {}).key,
                    "ends": [self.trial(space, {name: value}).key for name, _, value in space.ends],
                    "ranges": {name: _written(wanted) for name, wanted in space.ranges.items()},
                    "objectives": [objective.name for objective in self.objectives],
                    "sampler": self.sampler,
                }
            )
        )[:8]

    @property
    def effort(self) -> str:
        """What each method gets, in words."""
        seconds, budget = self.seconds, self.budget
        much = f"{budget} trials" if seconds is None else f"{seconds / 3600:.3g} device-hours"
        judged = " and ".join(objective.words for objective in self.objectives)
        return f"{much} by {self.sampler}, judged by {judged} on {100 * self.validation:g}% of the training images"

    def _on_validation(self, spec: TrialSpec, seed: int) -> TrialSpec:
        teacher = spec.teacher
        if isinstance(teacher, TrialSpec):
            teacher = self._on_validation(teacher, teacher.seed)
        held_out = replace(spec, protocol="tuning", validation=self.validation, seed=seed).canonical()
        return held_out.replace(teacher=teacher)


class _Part(pydantic.BaseModel):
    """The keys of `search`."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    budget: Any
    sampler: Sampler = "tpe"
    objective: Any = "final"
    seed: int | None = pydantic.Field(default=None, ge=0, le=2**32 - 1)
    studies: str | None = None
    recipe: dict[str, Any] = {}
    methods: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, kw_only=True)
class TunedConfig:
    """A configuration of the file that is tuned, and how the file says it."""

    trial: TrialSpec
    seeds: tuple[int, ...]
    recipe: Recipe
    """As the file has it; that of the trial is in canonical form."""
    way: MethodConfig


def read_search(
    written: object, candidates: Sequence[TunedConfig], validation: float, document: Document, *, judges_early: bool
) -> SearchPlan:
    """Checks the `search` part of a file.

    Args:
        written: what stands there.
        candidates: what the file asks for, each to be tuned.
        validation: the file's, or 0.
        document: the file.
        judges_early: whether trials are stopped early.

    Raises:
        DocumentError: for the first mistake, with its place.
    """
    place: Place = ("search",)
    part = validated(_Part, written, document, place)
    budget, seconds = _budget(part.budget, document)
    objectives = _objectives(part, document)
    if judges_early and [objective.metric for objective in objectives] != [Stopping.metric]:
        raise document.error((*place, "objective"), "with `stopping` it is final alone, by which trials are stopped.")
    seeds = {seed for candidate in candidates for seed in candidate.seeds}
    if part.seed in seeds:
        rule = "results are confirmed with seeds that no setting was chosen by"
        raise document.error((*place, "seed"), f"{rule}, but {part.seed} is one of `seeds`.")
    known = {candidate.way.method.name: None for candidate in candidates}
    for name in part.methods:
        if name not in known:
            raise document.error((*place, "methods", name), f"no method {name!r} in `methods`; {nearest(name, known)}.")
    return SearchPlan(
        budget=budget,
        seconds=seconds,
        sampler=part.sampler,
        objectives=objectives,
        validation=validation or HELD_OUT,
        seed=next(seed for seed in itertools.count() if seed not in seeds) if part.seed is None else part.seed,
        studies=part.studies,
        spaces=tuple(_spaces(part, candidates, objectives, document)),
    )


def _budget(written: object, document: Document) -> tuple[int | None, float | None]:
    """Trials, or seconds."""
    try:
        if isinstance(written, str):
            return None, seconds_of(written)
        if not isinstance(written, int) or isinstance(written, bool):
            raise SpecError(f"a budget is a number of trials or a time such as 4h, but got {written!r}.")
        require(written >= 1, "1 <= budget", budget=written)
    except SpecError as error:
        raise document.error(("search", "budget"), str(error)) from error
    return written, None


def _objectives(part: _Part, document: Document) -> tuple[SearchObjective, ...]:
    place: Place = ("search", "objective")
    names = axis(part.objective, document, place)
    objectives: list[SearchObjective] = []
    for position, name in enumerate(names):
        try:
            objectives.append(validated(SearchObjective, {"name": name}, document, place))
        except SpecError as error:
            where = (*place, position) if isinstance(part.objective, list) else place
            raise document.error(where, str(error).partition(": ")[2].partition(": ")[2]) from error
        if objectives[-1].metric in {other.metric for other in objectives[:-1]}:
            raise document.error((*place, position), f"{name!r} stands there twice.")
    if len(objectives) > 1 and part.sampler == "cmaes":
        raise document.error(("search", "sampler"), "cmaes takes one objective; the others take several.")
    return tuple(objectives)


def _spaces(
    part: _Part, candidates: Sequence[TunedConfig], objectives: tuple[SearchObjective, ...], document: Document
) -> Iterator[SearchSpace]:
    recipe_place: Place = ("search", "recipe")
    recipe_ranges = _ranges(part.recipe, Recipe.field_infos(), document, recipe_place, prefix=RECIPE)
    met: set[tuple[object, ...]] = set()
    for candidate in candidates:
        way, trial = candidate.way, candidate.trial
        if trial.recipe != candidates[0].trial.recipe:
            raise document.error(("recipe",), "a search has one recipe: list what is tried in `search.recipe` instead.")
        network = (trial.dataset, trial.architecture, way.method.name)
        if network in met:
            rule = "a method has one budget, so it has no axes here: list the values in `search.methods` instead"
            raise document.error(way.section, f"{rule}.")
        met.add(network)
        method_place: Place = ("search", "methods", way.method.name)
        settings = dict(way.method.field_infos())
        if way.method.exits != "ignored":
            settings |= EXIT_KEYS
        ranges = _ranges(part.methods.get(way.method.name, {}), settings, document, method_place) | recipe_ranges
        if not ranges:
            rule = f"nothing of {way.method.name} is tuned, while every method gets the same budget"
            advice = f"give it ranges under search.recipe, which all methods have, or search.methods.{way.method.name}"
            raise document.error(("search",), f"{rule}; {advice}.")
        for position, objective in enumerate(objectives):
            at: Place = ("search", "objective", *([position] if isinstance(part.objective, list) else []))
            if not objective.is_measured(trial):
                raise document.error(at, f"{way.method.name} on {trial.architecture.name} has no {objective.exit}.")
        space = SearchSpace(default=trial, ranges=ranges, recipe=candidate.recipe, way=way, document=document)
        space.check({name: _place_of(name, recipe_place, method_place) for name in ranges})
        yield space


def _place_of(name: str, recipe_place: Place, method_place: Place) -> Place:
    of_recipe = name.startswith(RECIPE)
    return (*recipe_place, name.removeprefix(RECIPE)) if of_recipe else (*method_place, name)


def _ranges(
    section: Mapping[str, Any], settings: Mapping[str, FieldInfo], document: Document, place: Place, prefix: str = ""
) -> dict[str, ValueRange]:
    """What a section says of each field."""
    refuse_unknown_keys(section, [*settings], document, place)
    ranges: dict[str, ValueRange] = {}
    for name, written in section.items():
        at = (*place, name)
        if prefix == RECIPE and name in FIXED:
            raise document.error(at, f"{name} is not tuned: {FIXED[name]}.")
        ranges[prefix + name] = _range(written, settings[name], document, at)
    return ranges


def _range(written: object, setting: FieldInfo, document: Document, place: Place) -> ValueRange:
    if isinstance(written, dict):
        if setting.kind not in (int, float):
            raise document.error(place, f"{setting.name} is no number; list the values that are tried.")
        refuse_unknown_keys(written, [name for name in field_names(NumericRange) if name != "whole"], document, place)
        return validated(NumericRange, {**written, "whole": setting.kind is int}, document, place)
    if not isinstance(written, list):
        example = "{low: 1, high: 8}" if setting.kind in (int, float) else "[a, b]"
        raise document.error(place, f"what is tuned is a range or a list of values, such as {example}.")
    for position, value in enumerate(axis(written, document, place)):
        if not isinstance(value, Value):
            raise document.error((*place, position), f"must be a value, but got {value!r}.")
        if value in written[:position]:
            raise document.error((*place, position), f"{value!r} stands there twice.")
    return Categorical(values=tuple(written))


def _written(wanted: ValueRange) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in field_names(type(wanted))}
