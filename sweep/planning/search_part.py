"""The `search` part of a sweep file, read and checked."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from ...specs import FieldInfo, SpecError, nearest, require
from ...training import Recipe, TrialSpec
from .constraints import check_constraints, read_constraints
from .durations import seconds_of
from .method_configs import EXIT_KEYS, MethodConfig
from .parsing import axis, field_names, refuse_unknown_keys, validated
from .search_space import (
    RECIPE,
    Categorical,
    NumericRange,
    Sampler,
    SearchObjective,
    SearchPlan,
    SearchSpace,
    Value,
    ValueRange,
)
from .stopping import Stopping
from .yaml_document import Document, Place

HELD_OUT = 0.1
"""Default of `validation` in a search: share of the training images on which settings are evaluated."""
FIXED = {"epochs": "budgets would be unequal if some trials trained longer"}
"""Recipe fields that cannot be tuned, with the reason."""


class SearchKeys(pydantic.BaseModel):
    """The keys of the `search` part."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    budget: Any
    sampler: Sampler = "tpe"
    objective: Any = "final"
    seed: int | None = pydantic.Field(default=None, ge=0, le=2**32 - 1)
    repeats: int = pydantic.Field(default=1, ge=1, le=100)
    constraints: dict[str, Any] = {}
    studies: str | None = None
    recipe: dict[str, Any] = {}
    methods: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, kw_only=True)
class TunedConfig:
    """A configuration of the file that a search can tune, with its form in the file."""

    trial: TrialSpec
    seeds: tuple[int, ...]
    recipe: Recipe
    """Recipe as in the file; that of the trial is in canonical form."""
    way: MethodConfig


def read_search(
    written: object, candidates: Sequence[TunedConfig], validation: float, document: Document, *, judges_early: bool
) -> SearchPlan:
    """Return the search of a file.

    Args:
        written: content of the `search` part.
        candidates: the configurations of the file, all of which are tuned.
        validation: held-out share of the training images in the file, or 0.
        document: the file.
        judges_early: True if the sweep stops trials early.

    Raises:
        DocumentError: for the first mistake, with its place.
    """
    place: Place = ("search",)
    part = validated(SearchKeys, written, document, place)
    budget, seconds = _budget(part.budget, document)
    objectives = _objectives(part, document)
    if judges_early and [objective.metric for objective in objectives] != [Stopping.metric]:
        problem = "must be final with `stopping`, which compares trials by the final exit"
        raise document.error((*place, "objective"), f"{problem}; remove `objective` or `stopping`.")
    seeds = {seed for candidate in candidates for seed in candidate.seeds}
    if part.seed in seeds:
        problem = f"{part.seed} is also in `seeds`; final results need seeds that the search has not used."
        raise document.error((*place, "seed"), f"{problem} Choose another seed.")
    if budget is not None and part.repeats > budget:
        problem = f"{part.repeats} seeds of one setting exceed the budget of {budget} trials"
        raise document.error((*place, "repeats"), f"{problem}; lower `repeats` or raise `budget`.")
    constraints = read_constraints(part.constraints, part.sampler, document)
    known = {candidate.way.method.name: None for candidate in candidates}
    for name in part.methods:
        if name not in known:
            raise document.error((*place, "methods", name), f"no method {name!r} in `methods`; {nearest(name, known)}.")
    spaces = tuple(_spaces(part, candidates, objectives, document))
    tried = (space.trial(values) for space in spaces for values in space.corners)
    check_constraints(constraints, tried, document)
    first = 0 if part.seed is None else part.seed
    unused = (seed % 2**32 for seed in itertools.count(first) if seed % 2**32 not in seeds)
    return SearchPlan(
        budget=budget,
        seconds=seconds,
        sampler=part.sampler,
        objectives=objectives,
        validation=validation or HELD_OUT,
        seeds=tuple(itertools.islice(unused, part.repeats)),
        constraints=constraints,
        studies=part.studies,
        spaces=spaces,
    )


def _budget(written: object, document: Document) -> tuple[int | None, float | None]:
    """Return the number of trials and the seconds of a budget, one of which is None."""
    try:
        if isinstance(written, str):
            return None, seconds_of(written)
        if not isinstance(written, int) or isinstance(written, bool):
            raise SpecError(f"a budget is a number of trials or a time such as 4h, but got {written!r}.")
        require(written >= 1, "1 <= budget", budget=written)
    except SpecError as error:
        raise document.error(("search", "budget"), str(error)) from error
    return written, None


def _objectives(part: SearchKeys, document: Document) -> tuple[SearchObjective, ...]:
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
            raise document.error((*place, position), f"{name!r} is listed twice; remove one.")
    if len(objectives) > 1 and part.sampler == "cmaes":
        problem = "cmaes supports one objective; list one objective or use another sampler, such as tpe."
        raise document.error(("search", "sampler"), problem)
    return tuple(objectives)


def _spaces(
    part: SearchKeys, candidates: Sequence[TunedConfig], objectives: tuple[SearchObjective, ...], document: Document
) -> Iterator[SearchSpace]:
    recipe_place: Place = ("search", "recipe")
    recipe_ranges = _ranges(part.recipe, Recipe.field_infos(), document, recipe_place, prefix=RECIPE)
    met: set[tuple[object, ...]] = set()
    for candidate in candidates:
        way, trial = candidate.way, candidate.trial
        if trial.recipe != candidates[0].trial.recipe:
            problem = "a search needs a single recipe; list the values to try under `search.recipe` instead."
            raise document.error(("recipe",), problem)
        network = (trial.dataset, trial.architecture, way.method.name)
        if network in met:
            problem = f"several configurations of {way.method.name} on {trial.architecture.name}; a search tunes one."
            fix = "Give each key one value here, and list the values to try under `search.methods`."
            raise document.error(way.section, f"{problem} {fix}")
        met.add(network)
        method_place: Place = ("search", "methods", way.method.name)
        settings = dict(way.method.field_infos())
        if way.method.exits != "ignored":
            settings |= {name: setting for name, setting in EXIT_KEYS.items() if name != "regime"}
        ranges = _ranges(part.methods.get(way.method.name, {}), settings, document, method_place) | recipe_ranges
        if not ranges:
            problem = f"{way.method.name} has no range to tune, but every method gets the same budget"
            fix = f"add ranges under search.recipe, for all methods, or search.methods.{way.method.name}"
            raise document.error(("search",), f"{problem}; {fix}.")
        for position, objective in enumerate(objectives):
            at: Place = ("search", "objective", *([position] if isinstance(part.objective, list) else []))
            if not objective.is_measured(trial):
                problem = f"{way.method.name} on {trial.architecture.name} has no {objective.exit}"
                raise document.error(at, f"{problem}; choose an exit of every method, such as final.")
        space = SearchSpace(default=trial, ranges=ranges, recipe=candidate.recipe, way=way, document=document)
        space.check({name: _place_of(name, recipe_place, method_place) for name in ranges})
        yield space


def _place_of(name: str, recipe_place: Place, method_place: Place) -> Place:
    of_recipe = name.startswith(RECIPE)
    return (*recipe_place, name.removeprefix(RECIPE)) if of_recipe else (*method_place, name)


def _ranges(
    section: Mapping[str, Any], settings: Mapping[str, FieldInfo], document: Document, place: Place, prefix: str = ""
) -> dict[str, ValueRange]:
    """Return the range of each field in a section."""
    refuse_unknown_keys(section, [*settings], document, place)
    ranges: dict[str, ValueRange] = {}
    for name, written in section.items():
        at = (*place, name)
        if prefix == RECIPE and name in FIXED:
            raise document.error(at, f"{name} cannot be tuned, because {FIXED[name]}; set it in `recipe`.")
        ranges[prefix + name] = _range(written, settings[name], document, at)
    return ranges


def _range(written: object, setting: FieldInfo, document: Document, place: Place) -> ValueRange:
    if isinstance(written, dict):
        if setting.kind not in (int, float):
            raise document.error(place, f"{setting.name} is not a number; list the values to try, such as [a, b].")
        refuse_unknown_keys(written, [name for name in field_names(NumericRange) if name != "whole"], document, place)
        return validated(NumericRange, {**written, "whole": setting.kind is int}, document, place)
    if not isinstance(written, list):
        example = "{low: 1, high: 8}" if setting.kind in (int, float) else "[a, b]"
        raise document.error(place, f"must be a range or a list of values, such as {example}, but got {written!r}.")
    for position, value in enumerate(axis(written, document, place)):
        if not isinstance(value, Value):
            raise document.error((*place, position), f"must be a single value, but got {value!r}.")
        if value in written[:position]:
            raise document.error((*place, position), f"{value!r} is listed twice; remove one.")
    return Categorical(values=tuple(written))
