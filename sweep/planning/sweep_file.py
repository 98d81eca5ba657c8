"""The sweep file, which is checked completely before any trial runs."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...store import Margins
from ...training import TrialSpec
from ...training.plugins import Plugin, use
from ...training.trial import TrainedWeights
from ..tracking.catalog import MLFLOW
from .blocks import read_blocks
from .candidates import (
    BlockValues,
    candidates_of,
    read_values,
    recipe_warnings,
    refuse_too_many,
    trained_weights_of,
    weights_path,
)
from .garbage import no_search_for_garbage
from .merged_axes import MergedAxis, merged_axes_of
from .parsing import field_names
from .resource_rules import ResourceRules
from .search_part import TunedConfig
from .search_space import SearchPlan
from .settings import Order, Settings, read_evaluation, read_settings
from .stopping import Stopping
from .yaml_document import Document


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
    resources: ResourceRules
    stopping: Stopping | None
    """Early stopping; None if every trial trains to its last epoch."""
    search: SearchPlan | None
    """The search that tunes the methods; None without one. The trials then have the default settings."""
    text: str
    """Text of the file with its overrides, and with absolute paths of weights and images."""
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


@no_search_for_garbage()
def read_sweep(path: Path, plugins: Sequence[Plugin] = (), overrides: Sequence[str] = ()) -> Sweep:
    """Read and check a sweep file.

    Args:
        path: of the file.
        plugins: files whose entries the sweep file may name. They stay active after the call.
        overrides: `KEY=VALUE`, values in place of those of the file, such as `recipe.epochs=5`.

    Raises:
        DocumentError: for all mistakes, each with its place in the file and the allowed or nearest values.
        SpecError: for a plugin that cannot be used, or an override whose place does not exist.
    """
    use(plugins)
    document = Document(path, overrides)
    settings = read_settings(document)
    blocks = list(read_blocks(document, field_names(Settings)))
    refuse_too_many(blocks, settings.keys.max_trials, document)
    of_blocks = [read_values(block, document) for block in blocks]
    document.check()
    weights = functools.cache(trained_weights_of)  # a file is read once
    candidates: list[TunedConfig] = []
    merged: list[MergedAxis] = []
    for values in of_blocks:
        of_block = list(candidates_of(values, settings, document, weights))
        merged += merged_axes_of(of_block, values.recipes, document)
        candidates += of_block
    document.check()
    settings.exclusions.check(anything_left=bool(candidates))
    settings.resources.check(one.trial for one in candidates)
    judged = read_evaluation(settings.keys, candidates, document)
    late = (warning for values in of_blocks for warning in recipe_warnings(values.recipes))
    notes = (note for values in of_blocks for note in values.datasets.notes)
    without_effect = (axis.warning for axis in merged if axis.is_whole)
    return Sweep(
        name=settings.keys.name,
        requested=tuple(
            Requested(trial=asked.trial, seeds=asked.seeds, exits=asked.way.exits.placement) for asked in candidates
        ),
        order=settings.keys.order,
        flat_grid=sum(values.flat_grid for values in of_blocks),
        resources=settings.resources,
        stopping=judged.stopping,
        search=judged.search,
        text=_with_absolute_paths(document, of_blocks),
        plugins=tuple(plugins),
        warnings=tuple(dict.fromkeys((*late, *notes, *_taken(candidates), *without_effect))),
        merged_axes=tuple(merged),
        margins=judged.margins,
        tracking=judged.tracking,
    )


def _taken(candidates: Iterable[TunedConfig]) -> Iterator[str]:
    """Iterate over sentences that say how weights were taken from files."""
    for one in candidates:
        if isinstance(teacher := one.trial.teacher, TrainedWeights) and teacher.taken:
            yield f"teacher {teacher.architecture.name}: the weights in {teacher.path} were read with {teacher.taken}."


def _with_absolute_paths(document: Document, blocks: Sequence[BlockValues]) -> str:
    """Return the text of the file with absolute paths of weights and images, so that any directory can hold it."""
    absolute = {
        way.teacher.teacher: f"{way.teacher.architecture}@{weights_path(way.teacher.file, document)}"
        for values in blocks
        for way in values.ways
        if way.teacher and way.teacher.file
    }
    images = {place: path for values in blocks for place, path in values.datasets.paths.items()}
    return document.text_with(absolute, images)
