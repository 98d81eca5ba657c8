"""The plan of a sweep file: each trial once, with the teachers and backbones that it needs, in execution order."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...store import ENDED, Configuration, Plan, PlannedTrial, Role, Store
from ...store.labels import Label, by_name, labels, parameters
from ...training import TrialSpec
from ...training.trial import TrainedWeights
from .cost import Costs
from .garbage import no_search_for_garbage
from .settings import Order
from .sweep_file import Requested, Sweep


@dataclass(frozen=True, kw_only=True)
class SweepPlan(Plan):
    """Plan of a sweep file, with the specs that a worker trains."""

    sweep: Sweep
    specs: Mapping[str, TrialSpec]
    """Spec of each configuration by its ID, with one of its seeds."""


@no_search_for_garbage()
def make_plan(sweep: Sweep) -> SweepPlan:
    """Return the plan of a sweep: merge duplicates, add missing teachers and backbones, and order the trials."""
    requested = merged(sweep)
    costs = Costs()
    everything = dict(requested)
    for source in (source for one in requested.values() for source in _sources(one)):
        everything.setdefault(source.trial.configuration, source)
    specs = {id: one.trial for id, one in everything.items()}
    configurations = {
        id: configuration_of(one.trial, costs, exits=one.exits, seeds=len(one.seeds), label=label)
        for one, (id, label) in zip(everything.values(), labels_of(everything).items(), strict=True)
    }
    planned = _with_sources(requested, specs, configurations)
    ranks: dict[Order, Callable[[PlannedTrial], float]] = {
        "breadth-first": lambda trial: trial.seed_index,
        "cheap-first": lambda trial: costs.until_done(specs[trial.configuration.id]),
        "file": lambda trial: trial.order,
    }
    in_turn = sorted(planned.values(), key=ranks[sweep.order])
    return sweep_plan(sweep, tuple(_sources_first(in_turn, planned)), specs)


def sweep_plan(
    sweep: Sweep,
    trials: tuple[PlannedTrial, ...],
    specs: Mapping[str, TrialSpec],
    coming: tuple[tuple[PlannedTrial, int], ...] = (),
) -> SweepPlan:
    """Return the plan of a sweep with these trials."""
    return SweepPlan(
        name=sweep.name,
        search=None if sweep.search is None else sweep.search.record(sweep.name),
        text=sweep.text,
        plugins=sweep.plugins,
        stopping=None if sweep.stopping is None else sweep.stopping.to_dict(),
        trials=trials,
        coming=coming,
        margins=sweep.margins,
        tracking=sweep.tracking,
        price=sweep.resources.common.price_per_hour,
        sweep=sweep,
        specs=specs,
    )


def configuration_of(
    trial: TrialSpec, costs: Costs, *, exits: str = "none", seeds: int = 1, label: Label | None = None
) -> Configuration:
    """Return the configuration of a trial.

    Args:
        trial: one of its trials.
        costs: counter of multiply-adds.
        exits: placement of the exits as written in the sweep file.
        seeds: number of seeds that the sweep plans.
        label: settings that vary within the sweep; none if left out.
    """
    spec = trial.canonical().to_dict()
    del spec["seed"]
    found = Configuration(
        spec=spec,
        settings=label.column if label else (),
        row_settings=label.row if label else (),
        exits=exits,
        reported=trial.reported,
        cost=costs.training(trial),
        weights=trial.teacher.path if isinstance(trial.teacher, TrainedWeights) else "",
        images=trial.dataset.location,
        backbone=trial.backbone.configuration if trial.backbone else "",
        seeds=seeds,
    )
    found.__dict__["id"] = trial.configuration  # it is known: to hash the spec again takes longer than all of the rest
    return found


def single(trial: TrialSpec, costs: Costs, role: Role, *, order: int = 0) -> PlannedTrial:
    """Return a planned trial that is the only one of its configuration."""
    return PlannedTrial(configuration=configuration_of(trial, costs), seed=trial.seed, role=role, order=order)


def grown(plan: SweepPlan, known: Mapping[str, PlannedTrial]) -> SweepPlan:
    """Return the plan with all known trials; those that a search has added are no longer to come."""
    planned = {trial.key for trial in plan.trials}
    added = Counter(trial.configuration.space for trial in known.values() if trial.key not in planned)
    coming = (
        (trial, number - added[trial.configuration.space] * (trial.role == "search")) for trial, number in plan.coming
    )
    left = tuple((trial, number) for trial, number in coming if number > 0)
    return replace(plan, trials=tuple(known.values()), coming=left)


def missing(plan: Plan, store: Store) -> list[PlannedTrial]:
    """Return the trials of a plan that have not ended."""
    progress = store.progress_of((trial.key for trial in plan.trials), plan.stopping)
    return [trial for trial in plan.trials if progress[trial.key].state not in ENDED]


def labels_of(requested: Mapping[str, Requested]) -> dict[str, Label]:
    """Return the labels of configurations by ID."""
    rows = [parameters(one.trial.canonical().to_dict(), one.exits) for one in requested.values()]
    return dict(zip(requested, labels(by_name(rows)), strict=True))


def merged(sweep: Sweep) -> dict[str, Requested]:
    """Return the configurations without duplicates, by ID, in the order of the file, each with all its seeds."""
    found: dict[str, Requested] = {}
    for one in sweep.requested:
        first = found.get(one.trial.configuration, one)
        found[one.trial.configuration] = replace(first, seeds=tuple(dict.fromkeys((*first.seeds, *one.seeds))))
    return found


def _sources(one: Requested) -> Iterator[Requested]:
    """Iterate over the trials whose weights these ones need, and those that they need in turn."""
    for source, seeds in ((one.trial.teacher, ()), (one.trial.backbone, one.seeds)):
        if isinstance(source, TrialSpec):
            found = Requested(trial=source, seeds=seeds or (source.seed,), exits="none")
            yield found
            yield from _sources(found)


def _with_sources(
    requested: Mapping[str, Requested], specs: Mapping[str, TrialSpec], configurations: Mapping[str, Configuration]
) -> dict[str, PlannedTrial]:
    """Return the trials by key in the order of the file; an added teacher or backbone precedes what first needs it."""
    results = {(id, seed) for id, one in requested.items() for seed in one.seeds}
    planned: dict[str, PlannedTrial] = {}

    def add(id: str, seed: int, seed_index: int, role: Role) -> None:
        about = configurations[id]
        teacher = specs[id].teacher
        needed: list[tuple[str, int, int, Role]] = []
        if isinstance(teacher, TrialSpec):
            needed.append((teacher.configuration, teacher.seed, 0, "teacher"))
        if about.backbone:
            needed.append((about.backbone, seed, seed_index, "backbone"))
        for source in needed:
            if source[:2] not in results and f"{source[0]}-s{source[1]}" not in planned:
                add(*source)
        trial = PlannedTrial(configuration=about, seed=seed, role=role, order=len(planned), seed_index=seed_index)
        planned[trial.key] = trial

    for id, one in requested.items():
        for seed_index, seed in enumerate(one.seeds):
            add(id, seed, seed_index, "result")
    return planned


def _sources_first(trials: Iterable[PlannedTrial], planned: dict[str, PlannedTrial]) -> Iterable[PlannedTrial]:
    """Return the trials in their order, each after the trials that it needs."""
    placed: dict[str, PlannedTrial] = {}

    def place(trial: PlannedTrial) -> None:
        if trial.key not in placed:
            for source in trial.depends_on:
                place(planned[source])
            placed[trial.key] = trial

    for trial in trials:
        place(trial)
    return placed.values()
