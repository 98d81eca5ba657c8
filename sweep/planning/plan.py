"""The plan of a sweep: all its trials without duplicates, and the teachers that they need."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...models import ExitSpec
from ...store import ENDED, Store
from ...training import TrialSpec
from .cost import Costs
from .garbage import no_search_for_garbage
from .sweep_file import Configuration, Order, Sweep

Role = Literal["result", "teacher", "search"]


@dataclass(frozen=True, kw_only=True)
class TuningInfo:
    """Origin of the settings of a result in a search: tuned or default, with the search budget."""

    tuning: str
    """`default`, `tuned` or `default and tuned`; on a Pareto front also the trial number."""
    budget: str
    """Search budget of each method, as text."""
    tried: str
    """Number of complete, pruned and failed trials of this method, as text."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial of the plan."""

    spec: TrialSpec
    key: str
    role: Role
    """`result`: listed in the file. `teacher`: needed by another trial only. `search`: tries settings of a search."""
    order: int
    """Position in the order of the file, which is the order of tables."""
    seed_index: int = 0
    """Index of its seed among the seeds of its configuration, from 0; in a search, its number in the study."""
    seeds: int = 1
    """Number of seeds of its configuration."""
    exits: str = "none"
    """Placement of the exits as the file writes it; of duplicates, the first."""
    confirmed: TuningInfo | None = None
    """Origin of the settings; None except for results of a search."""
    tried: str = ""
    """Settings that a trial of a search tries, as text; empty for other trials."""

    @property
    def depends_on(self) -> str | None:
        """Key of the teacher that must be completed first; None if no teacher is trained."""
        return self.spec.teacher.key if isinstance(self.spec.teacher, TrialSpec) else None

    def __str__(self) -> str:
        spec = self.spec
        where = f"{spec.architecture.name}, {spec.dataset.name}"
        if self.tried:
            return f"{spec.method.name} ({self.tried}), {where}, trial {self.seed_index}"
        if self.confirmed is not None:
            return f"{spec.method.name}, {self.confirmed.tuning}, {where}, seed {spec.seed}"
        usual = type(spec.method)().to_dict()
        unusual = {name: value for name, value in spec.method.to_dict().items() if usual.get(name) != value}
        if spec.exits.placement != "none":
            unusual["exits"] = spec.exits.placement
            if spec.exits.head != ExitSpec().head:
                unusual["head"] = spec.exits.head
        settings = ", ".join(f"{name}={value}" for name, value in unusual.items())
        method = f"{spec.method.name} ({settings})" if settings else spec.method.name
        return f"{method}, {where}, seed {spec.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The trials of a sweep. Each trial follows its teacher."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]
    """Trials in the order of execution."""
    coming: tuple[tuple[PlannedTrial, int], ...] = ()
    """Expected trials of a search that is not over, as examples with default settings and the number of each."""

    @property
    def stopping(self) -> dict[str, Any] | None:
        """Rule that stops trials early, as plain values; None if all are trained to the end."""
        return None if self.sweep.stopping is None else self.sweep.stopping.to_dict()


@no_search_for_garbage()
def make_plan(sweep: Sweep) -> Plan:
    """Return the plan of a sweep: merge duplicates, add missing teachers, and order the trials."""
    planned = _merged(sweep)
    costs = Costs()
    ranks: dict[Order, Callable[[PlannedTrial], float]] = {
        "breadth-first": lambda trial: trial.seed_index,
        "cheap-first": lambda trial: costs.until_done(trial.spec),
        "file": lambda trial: trial.order,
    }
    in_turn = sorted(planned.values(), key=ranks[sweep.order])
    return Plan(sweep=sweep, trials=tuple(_teachers_first(in_turn, planned)))


def missing(plan: Plan, store: Store) -> list[PlannedTrial]:
    """Return the trials of a plan that have not ended."""
    progress = store.progress_of((trial.key for trial in plan.trials), plan.stopping)
    return [trial for trial in plan.trials if progress[trial.key].state not in ENDED]


def _merged(sweep: Sweep) -> dict[str, PlannedTrial]:
    """Return the trials without duplicates, by key, in the order of the file; an added teacher precedes its student."""
    firsts: dict[str, Configuration] = {}
    seeds: dict[str, dict[int, None]] = {}
    for asked in sweep.configurations:
        firsts.setdefault(asked.trial.key, asked)
        seeds.setdefault(asked.trial.key, {}).update(dict.fromkeys(asked.seeds))
    results = {
        trial.key: PlannedTrial(
            spec=trial, key=trial.key, role="result", order=0, seed_index=turn, seeds=len(seeds[key]), exits=first.exits
        )
        for key, first in firsts.items()
        for turn, trial in enumerate(first.trial.with_seeds(seeds[key]))
    }
    planned: dict[str, PlannedTrial] = {}

    def add(trial: PlannedTrial) -> None:
        teacher = trial.spec.teacher
        if isinstance(teacher, TrialSpec) and teacher.key not in results and teacher.key not in planned:
            add(PlannedTrial(spec=teacher, key=teacher.key, role="teacher", order=0))
        planned[trial.key] = replace(trial, order=len(planned))

    for trial in results.values():
        add(trial)
    return planned


def _teachers_first(trials: Iterable[PlannedTrial], planned: dict[str, PlannedTrial]) -> Iterable[PlannedTrial]:
    """Return the trials in their order, with each teacher moved before its first student."""
    placed: dict[str, PlannedTrial] = {}

    def place(trial: PlannedTrial) -> None:
        if trial.key not in placed:
            if trial.depends_on is not None:
                place(planned[trial.depends_on])
            placed[trial.key] = trial

    for trial in trials:
        place(trial)
    return placed.values()
