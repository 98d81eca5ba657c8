"""The sweep file, which is checked completely before any trial runs."""

import functools
import itertools
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic

from ...losses import Baseline
from ...models import ArchitectureSpec, architectures
from ...specs import Spec, SpecError, require, unknown
from ...specs.user_code import user_code
from ...store import Margins
from ...training import DatasetSpec, Recipe, TrialSpec, recipes
from ...training.plugins import Plugin, use
from ...training.trial import Protocol, TrainedWeights
from ..tracking.catalog import MLFLOW, TRACKERS, require_package
from .blocks import SweepBlock, read_blocks
from .dataset_axis import read_datasets
from .detect import Detect
from .exclude import Exclusions
from .garbage import no_search_for_garbage
from .merged_axes import Entry, MergedAxis, merged_axes
from .method_configs import SELF, MethodConfig, Teacher, read_method_configs
from .parsing import AxisValues, axis, choices, field_names, names, refuse_unknown_keys, validated
from .resources import Resources
from .search_part import TunedConfig, read_search
from .search_space import SearchPlan
from .stopping import Rule, Stopping
from .yaml_document import Document, Place

Order = Literal["breadth-first", "cheap-first", "file"]


@dataclass(frozen=True, kw_only=True)
class Requested:
    """A group of trials that differ only in their seed."""

    trial: TrialSpec
    """Trial in canonical form with seed 0, which need not be one of the seeds."""
    seeds: tuple[int, ...]
    exits: str
    """Placement of the exits as in the file, such as `50%`; `none` without exits."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The content of a sweep file."""

    name: str
    requested: tuple[Requested, ...]
    """Configurations in the order of the file; duplicates are included."""
    order: Order
    """Order of execution: first seed of every configuration first, lowest cost first, or order of the file."""
    flat_grid: int
    """Number of trials of a full grid, in which every method has every axis of all methods."""
    resources: Resources
    stopping: Stopping | None
    """Early stopping; None if every trial trains to its last epoch."""
    search: SearchPlan | None
    """The search that tunes the methods; None without one. The trials then have the default settings."""
    text: str
    """Text of the file, with absolute paths of weights and images."""
    plugins: tuple[Plugin, ...]
    """Plugin files that register datasets, architectures or methods of the sweep file."""
    warnings: tuple[str, ...]
    """Warnings about settings without effect, one sentence each."""
    merged_axes: tuple[MergedAxis, ...] = ()
    """Axes on which several values give one experiment."""
    margins: Margins = field(default_factory=Margins)
    """Differences that matter, for statements about power and equivalence."""
    tracking: tuple[str, ...] = (MLFLOW,)
    """Programs that the trials are recorded in; always MLflow, which tables are built from."""

    @property
    def trials(self) -> tuple[TrialSpec, ...]:
        """The trials of the file in its order, with duplicates."""
        return tuple(trial for asked in self.requested for trial in asked.trial.with_seeds(asked.seeds))

    @property
    def seeds(self) -> int:
        """Largest number of seeds of a configuration."""
        return max(len(asked.seeds) for asked in self.requested)


def _file_name(name: str) -> str:
    """Return a valid sweep name, which is also a directory name and must not lead out of the storage."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        rule = "a name begins with a letter or digit and has up to 99 more letters, digits, '.', '_' and '-'"
        raise SpecError(f"{rule}, but got {name!r}.")
    return name


@dataclass(frozen=True, kw_only=True)
class _NamedRecipe:
    """Recipe of a block with all its fields."""

    name: str
    """Name of its base."""
    recipe: Recipe
    """Settings as written, not in canonical form."""
    choice: AxisValues
    section: Place


class _Settings(pydantic.BaseModel):
    """The keys of a sweep file that apply to all its trials."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, pydantic.AfterValidator(_file_name)]
    protocol: Protocol = "final"
    validation: Annotated[float, pydantic.Field(ge=0, le=0.9)] = 0.0
    resources: Any = {}
    stopping: Any = "none"
    order: Order = "breadth-first"
    exclude: Any = []
    search: Any = None
    detect: Any = None
    equivalent: Annotated[float, pydantic.Field(gt=0, le=100)] | None = None
    tracking: Any = (MLFLOW,)

    @pydantic.model_validator(mode="after")
    def _is_tuned_on_images(self) -> Self:
        held_out = self.protocol != "tuning" or self.validation > 0
        require(held_out, "validation > 0 with protocol tuning", validation=self.validation)
        confirms = self.search is None or self.protocol == "final"
        require(confirms, "protocol is final with search, which tests only the best settings", protocol=self.protocol)
        return self


@no_search_for_garbage()
def read_sweep(path: Path, plugins: Sequence[Plugin] = ()) -> Sweep:
    """Read and check a sweep file.

    Args:
        path: of the file.
        plugins: files whose entries the sweep file may name. They stay active after the call.

    Raises:
        DocumentError: for the first mistake, with its place in the file and the allowed or nearest values.
        SpecError: for a plugin that cannot be used.
    """
    use(plugins)
    document = Document(path)
    keys = field_names(_Settings)
    blocks = list(read_blocks(document, keys))
    settings = validated(_Settings, {key: document.content[key] for key in keys if key in document.content}, document)
    exclusions = Exclusions(settings.exclude, document)
    weights = functools.cache(_trained_weights)  # a file is read once
    candidates: list[TunedConfig] = []
    teachers: list[Teacher] = []
    merged: list[MergedAxis] = []
    images: dict[Place, str] = {}
    flat_grid, warnings = 0, dict[str, None]()
    for block in blocks:
        ways = list(read_method_configs(block.axes.methods, document, block.place("methods")))
        block_recipes = list(_recipes(block.axes.recipe, document, block.place("recipe")))
        axis_of_datasets = read_datasets(block.axes.dataset, document, block.place("dataset"))
        images |= axis_of_datasets.paths
        warnings |= dict.fromkeys(axis_of_datasets.notes)
        of_block = list(
            _candidates(block, axis_of_datasets.specs, block_recipes, ways, settings, exclusions, document, weights)
        )
        merged += _merged_axes(of_block, block_recipes, document)
        candidates += of_block
        flat_grid += _flat_grid(block, block_recipes, ways)
        warnings |= dict.fromkeys(_warnings(block_recipes))
        teachers += [way.teacher for way in ways if way.teacher]
    exclusions.check(anything_left=bool(candidates))
    warnings |= dict.fromkeys(_taken(candidates))
    stopping = _stopping(settings, document, most_epochs=max(asked.trial.recipe.epochs for asked in candidates))
    search = None
    if settings.search is not None:
        for asked in candidates:
            if asked.trial.regime != "joint":
                problem = "a search trains under the regime joint only; remove `regime`, or the section `search`."
                raise document.error(asked.way.place("regime"), problem)
        judges_early = stopping is not None
        search = read_search(settings.search, candidates, settings.validation, document, judges_early=judges_early)
    return Sweep(
        name=settings.name,
        requested=tuple(
            Requested(trial=asked.trial, seeds=asked.seeds, exits=asked.way.exits.placement) for asked in candidates
        ),
        order=settings.order,
        flat_grid=flat_grid,
        resources=validated(Resources, settings.resources, document, ("resources",)),
        stopping=stopping,
        search=search,
        text=_with_absolute_paths(document, teachers, images),
        plugins=tuple(plugins),
        warnings=(*warnings, *(axis.warning for axis in merged if axis.is_whole)),
        merged_axes=tuple(merged),
        margins=_margins(settings, candidates, document),
        tracking=_tracking(settings.tracking, document),
    )


def _margins(written: _Settings, candidates: list[TunedConfig], document: Document) -> Margins:
    """Return the differences that matter, which refer to a baseline."""
    section = written.detect
    for key in ("detect", "equivalent"):
        if getattr(written, key) is not None and not any(isinstance(one.trial.method, Baseline) for one in candidates):
            problem = f"refers to a difference from the method 'baseline', which is missing; add it, or remove {key!r}."
            raise document.error((key,), problem)
    if section is None:
        return Margins(equivalent=written.equivalent)
    found = (
        validated(Detect, section, document, ("detect",))
        if isinstance(section, dict)
        else validated(Detect, {"difference": section}, document, ("detect",), AxisValues(values={}))
    )
    return Margins(detect=found.difference, spread=found.spread, equivalent=written.equivalent)


def _tracking(written: object, document: Document) -> tuple[str, ...]:
    """Return the trackers of a file: a name or a list of names with MLflow, whose packages are installed."""
    found: list[str] = []
    try:
        for name in written if isinstance(written, list | tuple) else [written]:
            if not isinstance(name, str) or name not in (MLFLOW, *TRACKERS):
                raise unknown("tracker", str(name), (MLFLOW, *TRACKERS))
            if name != MLFLOW:
                require_package(name)
            found.append(name)
        if MLFLOW not in found:
            raise SpecError(f"{MLFLOW} is missing, which tables are built from; write [{', '.join((MLFLOW, *found))}]")
    except SpecError as error:
        raise document.error(("tracking",), str(error)) from error
    return tuple(dict.fromkeys(found))


def _stopping(written: _Settings, document: Document, *, most_epochs: int) -> Stopping | None:
    """Return the stopping rule of a file, which requires validation images and more epochs than `grace`."""
    place: Place = ("stopping",)
    section = written.stopping
    if not isinstance(section, dict):
        rules = ("none", *get_args(Rule))
        if section not in rules:
            raise document.error(place, str(unknown("rule", section, rules)))
        if section == "none":
            return None
        section = {"rule": section}
    stopping = validated(Stopping, section, document, place)
    try:
        judged = "validation > 0 with stopping, since the test set must not be used"
        held_out = written.validation > 0 or written.search is not None
        require(held_out, judged, validation=written.validation)
        require(stopping.grace < most_epochs, "grace < epochs", grace=stopping.grace, epochs=most_epochs)
    except SpecError as error:
        raise document.error((*place, error.field or "") if error.field in section else place, str(error)) from error
    return stopping.canonical()


def _candidates(
    block: SweepBlock,
    datasets: list[DatasetSpec],
    named_recipes: list[_NamedRecipe],
    ways: list[MethodConfig],
    settings: _Settings,
    exclusions: Exclusions,
    document: Document,
    weights: Callable[[Path, ArchitectureSpec, DatasetSpec], TrainedWeights],
) -> Iterator[TunedConfig]:
    """Iterate over the product of a block's axes, without excluded trials."""
    axes = block.axes
    in_form = [(one, one.recipe.canonical()) for one in named_recipes]
    architecture_names = names(architectures, axes.architectures, document, block.place("architectures"))
    for dataset, (named, recipe), architecture in itertools.product(
        datasets,
        in_form,
        [ArchitectureSpec(name=name) for name in architecture_names],
    ):
        try:
            plain = TrialSpec(
                dataset=dataset,
                architecture=architecture,
                method=Baseline(),
                recipe=recipe,
                protocol=settings.protocol,
                validation=settings.validation if settings.search is None else 0.0,  # a search sets its own share
            )
        except SpecError as error:  # its images are too small for the network
            problem = f"for {architecture.name} on {dataset.name}, {error}"
            raise document.error(block.place("architectures"), problem) from error

        @functools.cache  # one teacher for all of its students
        def teacher_of(wanted: Teacher, plain: TrialSpec = plain) -> TrialSpec | TrainedWeights:
            own = wanted.architecture == SELF
            trunk = plain.architecture if own else ArchitectureSpec(name=wanted.architecture)
            if wanted.file:
                return weights(_weights_path(wanted.file, document), trunk, plain.dataset)
            return replace(plain, architecture=trunk, seed=wanted.teacher_seed).canonical()

        for way in ways:
            try:
                teacher = teacher_of(way.teacher) if way.teacher else None
                with user_code(f"method {way.method.name!r}", type(way.method), field=""):
                    own = {"method": way.method, "exits": way.exits, "teacher": teacher, "regime": way.regime}
                    trial = replace(plain, **own).canonical()
            except SpecError as error:
                raise document.error(way.place(error.field), f"for {architecture.name}, {error}") from error
            if seeds := exclusions.kept(trial, named.name, axes.seeds):
                # The canonical form has no path of the teacher's weights, which the worker needs.
                yield TunedConfig(trial=trial.replace(teacher=teacher), seeds=seeds, recipe=named.recipe, way=way)


def _merged_axes(
    candidates: list[TunedConfig], named_recipes: list[_NamedRecipe], document: Document
) -> Iterator[MergedAxis]:
    """Iterate over the axes of the methods and recipes of a block on which several values give one experiment."""
    if len({one.trial.configuration for one in candidates}) == len(candidates):
        return
    of_way: dict[int, dict[Hashable, TunedConfig]] = {}
    of_recipe: dict[int, dict[Hashable, TunedConfig]] = {}
    ways = {id(one.way): one.way for one in candidates}
    for one in candidates:
        where = one.trial.dataset.name, one.trial.architecture.name
        of_way.setdefault(id(one.way), {})[(*where, id(one.recipe))] = one
        of_recipe.setdefault(id(one.recipe), {})[(*where, id(one.way))] = one
    sections: dict[Place, list[Entry]] = {}
    for number, way in ways.items():
        entry = _entry(way.choice, (way.written, way.exits), of_way[number])
        sections.setdefault(way.section, []).append(entry)
    for named in named_recipes:
        entry = _entry(named.choice, (named.recipe,), of_recipe.get(id(named.recipe), {}))
        sections.setdefault(named.section, []).append(entry)
    for section, entries in sections.items():
        yield from merged_axes(entries, document, section)


def _entry(choice: AxisValues, specs: tuple[Spec, ...], candidates: dict[Hashable, TunedConfig]) -> Entry:
    experiments = {context: one.trial.configuration for context, one in candidates.items()}

    def beyond(other: Entry, axis: str) -> str | None:
        """Return why two experiments are one although their settings differ: placement, teacher or protocol."""
        same = next(context for context, id in experiments.items() if other.experiments.get(context) == id)
        trial, values = candidates[same].trial, [one.choice.values[axis] for one in (entry, other)]
        listed = " and ".join(map(str, values))
        if axis == "exits":
            return f"exits {listed} are after the same blocks of {trial.architecture.name}"
        if axis == "teacher":
            return f"teachers {listed} are the same network for {trial.architecture.name}"
        if axis == "regime":
            return "regime has no effect without exits"
        if axis == "teacher_seed":
            return "teacher_seed has no effect with a teacher from a file"
        if axis == "evaluate_every":
            return "evaluate_every has no effect with protocol: final and validation: 0"
        return None

    entry = Entry(choice=choice, specs=specs, experiments=experiments, beyond=beyond)
    return entry


def _flat_grid(block: SweepBlock, named_recipes: list[_NamedRecipe], ways: list[MethodConfig]) -> int:
    """Return the size of the full grid, in which every method has every axis of all methods."""
    values: dict[str, set[str]] = {}
    for way in ways:
        for key, value in way.choice.values.items():
            values.setdefault(key, set()).add(repr(value))
    axes = block.axes
    named = axes.dataset if isinstance(axes.dataset, list) else [axes.dataset]
    listed = (named, named_recipes, axes.architectures, set(axes.seeds), axes.methods, *values.values())
    return math.prod(1 if isinstance(written, str) else len(written) for written in listed)


def _recipes(written: object, document: Document, place: Place) -> Iterator[_NamedRecipe]:
    """Iterate over the recipes of a block with all their fields, each after the name of its base."""
    for position, item in enumerate(axis(written, document, place)):
        at = (*place, position) if isinstance(written, list) else place
        section = item if isinstance(item, dict) else {"base": item}
        base = section.get("base", "paper")
        if base not in recipes:
            of_base = (*at, "base") if isinstance(item, dict) and "base" in item else at
            raise document.error(of_base, str(unknown("recipe", base, recipes)))
        settings = {name: value for name, value in section.items() if name != "base"}
        refuse_unknown_keys(settings, ["base", *field_names(Recipe)], document, at)
        for choice in choices(settings, Recipe, document, at):
            complete = {**recipes[base].to_dict(), **choice.values}
            recipe = validated(Recipe, complete, document, at, choice)
            yield _NamedRecipe(name=base, recipe=recipe, choice=choice, section=at)


def _warnings(named_recipes: list[_NamedRecipe]) -> Iterator[str]:
    for named in named_recipes:
        name, recipe = named.name, named.recipe
        if late := recipe.unreached_milestones:
            *others, last = map(str, late)
            come = f"milestones {', '.join(others)} and {last} come" if others else f"milestone {last} comes"
            epochs = f"{recipe.epochs} epochs" if recipe.epochs > 1 else "1 epoch"
            yield f"recipe {name}: {come} after the last of {epochs}; the learning rate does not change there."


def _taken(candidates: Iterable[TunedConfig]) -> Iterator[str]:
    """Iterate over sentences that say how weights were taken from files."""
    for one in candidates:
        if isinstance(teacher := one.trial.teacher, TrainedWeights) and teacher.taken:
            yield f"teacher {teacher.architecture.name}: the weights in {teacher.path} were read with {teacher.taken}."


def _trained_weights(path: Path, architecture: ArchitectureSpec, dataset: DatasetSpec) -> TrainedWeights:
    from ...training.teacher import trained_weights  # noqa: PLC0415 (imports torch)

    return trained_weights(path, architecture, dataset)


def _weights_path(file: str, document: Document) -> Path:
    """Return the absolute path of a file whose path is relative to the sweep file."""
    return document.path.absolute().parent / Path(file).expanduser()


def _with_absolute_paths(document: Document, teachers: list[Teacher], images: dict[Place, str]) -> str:
    """Return the text of the file with absolute paths of weights and images, so that any directory can hold it."""
    absolute = {
        teacher.teacher: f"{teacher.architecture}@{_weights_path(teacher.file, document)}"
        for teacher in teachers
        if teacher.file
    }
    return document.text_with(absolute, images)
