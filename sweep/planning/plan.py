"""From what a sweep file asks for to the trainings that answer it, each once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ...models import ExitSpec
from ...training import TrialSpec
from .cost import Costs
from .garbage import no_search_for_garbage
from .sweep_file import Configuration, Order, Sweep

Role = Literal["result", "teacher", "search"]


@dataclass(frozen=True, kw_only=True)
class TuningInfo:
    """What is known of settings that were tuned, or that tuned ones are compared with."""

    tuning: str
    """`default`, `tuned` or `default and tuned`; of several settings on a Pareto front also which."""
    budget: str
    """What each method got, in words."""
    tried: str
    """What became of the trials of this method, in words."""


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One training of the plan."""

    spec: TrialSpec
    key: str
    role: Role
    """`teacher`: trained only because another trial learns from it. `search`: trained to try its settings."""
    order: int
    """Position in the order of the file, which tables follow."""
    seed_index: int = 0
    """Which of its configuration's seeds it has, counted from 0."""
    seeds: int = 1
    """How many seeds its configuration is trained with."""
    exits: str = "none"
    """As the file says where they sit, the first time that it asks for the trial."""
    confirmed: TuningInfo | None = None
    """Of results of a search."""
    tried: str = ""
    """Of trials of a search, the settings that are tried, for people; `turn` counts them in their study."""

    @property
    def depends_on(self) -> str | None:
        """The key of the trial that must be done first, if there is one."""
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
    """All trainings of a sweep, each after the one it needs."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]
    """In the order in which they are to be run."""
    coming: tuple[tuple[PlannedTrial, int], ...] = ()
    """Of a search that is not over: trials whose settings are not known yet are about like these, so many of each."""


@no_search_for_garbage()
def make_plan(sweep: Sweep) -> Plan:
    """Merges what is the same experiment, adds each missing teacher, and puts all in order."""
    planned = _merged(sweep)
    costs = Costs()
    ranks: dict[Order, Callable[[PlannedTrial], float]] = {
        "breadth-first": lambda trial: trial.seed_index,
        "cheap-first": lambda trial: costs.until_done(trial.spec),
        "file": lambda trial: trial.order,
    }
    in_turn = sorted(planned.values(), key=ranks[sweep.order])
    return Plan(sweep=sweep, trials=tuple(_teachers_first(in_turn, planned)))


def _merged(sweep: Sweep) -> dict[str, PlannedTrial]:
    """Each trial once, by key: in the file's order, and a teacher that the file does not name before its student."""
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
    """The trials in their order, but each teacher before its first student."""
    placed: dict[str, PlannedTrial] = {}

    def place(trial: PlannedTrial) -> None:
        if trial.key not in placed:
            if trial.depends_on is not None:
                place(planned[trial.depends_on])
            placed[trial.key] = trial

    for trial in trials:
        place(trial)
    return placed.values()
