"""The trials of a block: the product of the values on its axes."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...losses import Baseline
from ...models import ArchitectureSpec, architectures
from ...specs import SpecError, unknown
from ...specs.user_code import user_code
from ...training import DatasetSpec, Recipe, TrialSpec, recipes
from ...training.trial import TrainedWeights
from .blocks import SweepBlock
from .dataset_axis import DatasetAxis, read_datasets
from .method_configs import SELF, MethodConfig, Teacher, number_of_configs, read_method_configs
from .parsing import AxisValues, axis, choices, field_names, names, refuse_unknown_keys, validated
from .parsing import axes as axes_of
from .search_part import TunedConfig
from .settings import SweepSettings
from .yaml_document import Document, Place


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """Recipe of a block with all its fields."""

    name: str
    """Name of its base."""
    recipe: Recipe
    """Settings as written, not in canonical form."""
    choice: AxisValues
    section: Place


def refuse_too_many(blocks: Iterable[SweepBlock], limit: int, document: Document) -> None:
    """Raise `DocumentError` if the axes give more trials than the limit of the file. They are counted, not built."""
    trials = sum(map(_number_of_trials, blocks))
    if trials > limit:
        problem = f"the axes give {trials:,} trials, but `max_trials` is {limit:,}"
        fix = f"shorten a list, search the settings instead (docs/search.md), or write max_trials: {trials}"
        raise document.error((), f"{problem}; {fix}.")


def _number_of_trials(block: SweepBlock) -> int:
    axes = block.axes
    listed = (axes.dataset, axes.architectures)
    recipes_of = sum(
        math.prod(map(len, axes_of(item, Recipe).values())) if isinstance(item, dict) else 1
        for item in (axes.recipe if isinstance(axes.recipe, list) else [axes.recipe])
    )
    several = math.prod(len(values) for values in listed if isinstance(values, list))
    return several * recipes_of * number_of_configs(axes.methods) * len(set(axes.seeds))


@dataclass(frozen=True, kw_only=True)
class BlockValues:
    """Values on the axes of a block."""

    block: SweepBlock
    datasets: DatasetAxis
    architectures: list[str]
    recipes: list[NamedRecipe]
    ways: list[MethodConfig]

    @property
    def flat_grid(self) -> int:
        """Size of the full grid, in which every method has every axis of all methods."""
        values: dict[str, set[str]] = {}
        for way in self.ways:
            for key, value in way.choice.values.items():
                values.setdefault(key, set()).add(repr(value))
        axes = self.block.axes
        listed = (
            self.datasets.specs,
            self.recipes,
            self.architectures,
            set(axes.seeds),
            axes.methods,
            *values.values(),
        )
        return math.prod(map(len, listed))


def read_values(block: SweepBlock, document: Document) -> BlockValues:
    """Return the values on the axes of a block. The document notes the mistakes."""
    axes = block.axes
    of_datasets, of_architectures = DatasetAxis(specs=[], paths={}, notes=[]), list[str]()
    with document.noting():
        of_datasets = read_datasets(axes.dataset, document, block.place("dataset"))
    with document.noting():
        of_architectures = names(architectures, axes.architectures, document, block.place("architectures"))
    return BlockValues(
        block=block,
        datasets=of_datasets,
        architectures=of_architectures,
        recipes=list(_recipes(axes.recipe, document, block.place("recipe"))),
        ways=list(read_method_configs(axes.methods, document, block.place("methods"))),
    )


def _recipes(written: object, document: Document, place: Place) -> Iterator[NamedRecipe]:
    """Iterate over the recipes of a block with all their fields, each after the name of its base."""
    for position, item in enumerate(axis(written, document, place)):
        at = (*place, position) if isinstance(written, list) else place
        with document.noting():
            yield from _recipe(item, document, at)


def _recipe(item: object, document: Document, at: Place) -> Iterator[NamedRecipe]:
    """Iterate over the recipes of one item: a name, or a mapping of fields, which can be axes."""
    section = item if isinstance(item, dict) else {"base": item}
    base: Any = section.get("base", "paper")
    if base not in recipes:
        of_base = (*at, "base") if isinstance(item, dict) and "base" in item else at
        raise document.error(of_base, str(unknown("recipe", base, recipes)))
    settings = {name: value for name, value in section.items() if name != "base"}
    with document.noting():
        refuse_unknown_keys(settings, ["base", *field_names(Recipe)], document, at)
    settings = {name: value for name, value in settings.items() if name in field_names(Recipe)}
    for choice in choices(settings, Recipe, document, at):
        with document.noting():
            recipe = validated(Recipe, {**recipes[base].to_dict(), **choice.values}, document, at, choice)
            yield NamedRecipe(name=base, recipe=recipe, choice=choice, section=at)


def candidates_of(
    values: BlockValues,
    settings: SweepSettings,
    document: Document,
    weights: Callable[[Path, ArchitectureSpec, DatasetSpec], TrainedWeights],
) -> Iterator[TunedConfig]:
    """Iterate over the product of a block's axes, without excluded trials. The document notes the mistakes."""
    block, keys = values.block, settings.keys
    in_form = [(one, one.recipe.canonical()) for one in values.recipes]
    for dataset, (named, recipe), architecture in itertools.product(
        values.datasets.specs,
        in_form,
        [ArchitectureSpec(name=name) for name in values.architectures],
    ):
        try:
            plain = TrialSpec(
                dataset=dataset,
                architecture=architecture,
                method=Baseline(),
                recipe=recipe,
                protocol=keys.protocol,
                validation=keys.validation if keys.search is None else 0.0,  # a search sets its own share
            )
        except SpecError as error:  # its images are too small for the network
            document.note(block.place("architectures"), f"for {architecture.name} on {dataset.name}, {error}", error)
            continue

        @functools.cache  # one teacher for all of its students
        def teacher_of(wanted: Teacher, plain: TrialSpec = plain) -> TrialSpec | TrainedWeights:
            own = wanted.architecture == SELF
            trunk = plain.architecture if own else ArchitectureSpec(name=wanted.architecture)
            if wanted.file:
                return weights(weights_path(wanted.file, document), trunk, plain.dataset)
            return replace(plain, architecture=trunk, seed=wanted.teacher_seed).canonical()

        for way in values.ways:
            try:
                teacher = teacher_of(way.teacher) if way.teacher else None
                with user_code(f"method {way.method.name!r}", type(way.method), field=""):
                    own = {"method": way.method, "exits": way.exits, "teacher": teacher, "regime": way.regime}
                    trial = replace(plain, **own).canonical()
            except SpecError as error:
                document.note(way.place(error.field), f"for {architecture.name}, {error}", error)
                continue
            if seeds := settings.exclusions.kept(trial, named.name, block.axes.seeds):
                # The canonical form has no path of the teacher's weights, which the worker needs.
                yield TunedConfig(trial=trial.replace(teacher=teacher), seeds=seeds, recipe=named.recipe, way=way)


def recipe_warnings(named_recipes: list[NamedRecipe]) -> Iterator[str]:
    """Iterate over sentences about milestones that the training does not reach."""
    for named in named_recipes:
        name, recipe = named.name, named.recipe
        if late := recipe.unreached_milestones:
            *others, last = map(str, late)
            come = f"milestones {', '.join(others)} and {last} come" if others else f"milestone {last} comes"
            epochs = f"{recipe.epochs} epochs" if recipe.epochs > 1 else "1 epoch"
            yield f"recipe {name}: {come} after the last of {epochs}; the learning rate does not change there."


def trained_weights_of(path: Path, architecture: ArchitectureSpec, dataset: DatasetSpec) -> TrainedWeights:
    """Return the weights in a file. Raises `SpecError` if they are not those of the network."""
    from ...training.teacher import trained_weights  # noqa: PLC0415 (imports torch)

    return trained_weights(path, architecture, dataset)


def weights_path(file: str, document: Document) -> Path:
    """Return the absolute path of a file whose path is relative to the sweep file."""
    return document.path.absolute().parent / Path(file).expanduser()
