"""The cost of a plan and the part of it that is still to do, by architecture and method."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...store import ENDED, PlannedTrial, Role, State, Store
from ...training import TrialSpec
from ..cost_ledger import price_line, read_ledgers
from .cost import Costs
from .merged_axes import MergedAxis
from .plan import SweepPlan
from .planned_power import PlannedPower, planned_power
from .throughput import Throughput


@dataclass(kw_only=True)
class Cost:
    """The cost of a group of trials. A trial that has not ended counts in full, even if it has started."""

    trials: int = 0
    multiply_adds: float = 0.0
    hours: float | None = None
    """Device-hours; None if no trial has a known throughput."""

    def add(self, trials: int, multiply_adds: float, hours: float | None) -> None:
        """Add a number of trials and their total cost."""
        self.trials += trials
        self.multiply_adds += multiply_adds
        if hours is not None:
            self.hours = (self.hours or 0.0) + hours

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as plain JSON values."""
        return {"trials": self.trials, "multiply_adds": self.multiply_adds, "device_hours": self.hours}


@dataclass(kw_only=True)
class CostRow:
    """The number and cost of the trials of one architecture and method, in one role."""

    architecture: str
    method: str
    role: Role
    states: Counter[State] = field(default_factory=Counter)
    total: Cost = field(default_factory=Cost)
    left: Cost = field(default_factory=Cost)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The number and cost of the trials of a plan."""

    name: str
    storage: str
    rows: tuple[CostRow, ...]
    """Rows in the order of the file."""
    total: Cost
    left: Cost
    asked: int
    """Number of trials that the file lists, duplicates included."""
    results: int
    """Number of trials that the file lists, without duplicates; all other trials are teachers and backbones."""
    merged_axes: tuple[MergedAxis, ...]
    """Axes on which several values give one experiment."""
    flat_grid: int | None
    """Number of trials of a full grid, in which every method has every axis; None for a search."""
    problems: tuple[tuple[PlannedTrial, State, str], ...]
    """Trials that failed, diverged or were stopped early, with state and reason."""
    pace: Throughput | None
    price: str
    """Sentence on the cost at the price of a device-hour; empty without a price."""
    power: PlannedPower | None
    """Power for the difference that the sweep should detect; None if its file names none."""

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain JSON values."""
        return {
            "name": self.name,
            "storage": self.storage,
            "trials": self.total.trials,
            "asked": self.asked,
            "merged": self.asked - self.results,
            "merged_axes": [axis.to_dict() for axis in self.merged_axes],
            "teachers_added": self.total.trials - self.results,
            "flat_grid": self.flat_grid,
            "states": dict(sum((row.states for row in self.rows), Counter[State]())),
            "total": self.total.to_dict(),
            "left": self.left.to_dict(),
            "rows": [
                {
                    "architecture": row.architecture,
                    "method": row.method,
                    "role": row.role,
                    "states": dict(row.states),
                    "total": row.total.to_dict(),
                    "left": row.left.to_dict(),
                }
                for row in self.rows
            ],
            "problems": [
                {"key": trial.key, "trial": str(trial), "state": state, "reason": reason}
                for trial, state, reason in self.problems
            ],
            "device": self.pace and self.pace.device,
            "not_measured": self.pace and self.pace.problems,
            "price": self.price,
            "power": self.power and self.power.to_dict(),
        }


def estimate(plan: SweepPlan, store: Store, pace: Throughput | None = None) -> Estimate:
    """Return the number and cost of the trials of a plan.

    Args:
        plan: of a sweep.
        store: where the state of each trial is read.
        pace: the throughput that gives device-hours; without it, costs are multiply-adds alone.
    """
    costs = Costs()
    progress = store.progress_of((trial.key for trial in plan.trials), plan.stopping)
    rows: dict[tuple[str, str, Role], CostRow] = {}
    problems = []

    def count(trial: PlannedTrial, state: State, number: int = 1) -> None:
        about = trial.configuration
        key = about.architecture, about.method, trial.role
        row = rows.setdefault(key, CostRow(architecture=key[0], method=key[1], role=key[2]))
        row.states[state] += number
        hours = _hours(plan.specs[about.id], costs, pace) if pace else None
        cost = number * about.cost, None if hours is None else number * hours
        row.total.add(number, *cost)
        if state not in ENDED:
            row.left.add(number, *cost)

    for trial in sorted(plan.trials, key=lambda trial: trial.order):
        state, reason = progress[trial.key].state, progress[trial.key].reason
        if reason:
            problems.append((trial, state, reason))
        count(trial, state)
    for trial, number in plan.coming:
        count(trial, "waiting", number)
    left = _sum(row.left for row in rows.values())
    return Estimate(
        name=plan.name,
        storage=store.location,
        rows=tuple(rows.values()),
        total=_sum(row.total for row in rows.values()),
        left=left,
        asked=sum(len(asked.seeds) for asked in plan.sweep.requested),
        results=sum(trial.role == "result" for trial in plan.trials),
        merged_axes=plan.sweep.merged_axes,
        flat_grid=plan.sweep.flat_grid if plan.sweep.search is None else None,
        problems=tuple(problems),
        pace=pace,
        price=_price(plan, store, left.hours, missing=[t for t in plan.trials if progress[t.key].state not in ENDED]),
        power=planned_power(plan, store),
    )


def _price(plan: SweepPlan, store: Store, hours: float | None, missing: list[PlannedTrial]) -> str:
    """Return the sentence on the cost; the estimate of the rest is from the throughput, or from recorded epochs."""
    if plan.price is None:
        return ""
    ledger = read_ledgers(plan, store, ["device-hours"])["device-hours"]
    return price_line(plan.price, ledger.used, ledger.left(missing) if hours is None else hours)


def _sum(efforts: Iterable[Cost]) -> Cost:
    total = Cost()
    for effort in efforts:
        total.add(effort.trials, effort.multiply_adds, effort.hours)
    return total


def _hours(trial: TrialSpec, costs: Costs, pace: Throughput) -> float | None:
    seconds = pace.seconds_per_image(trial)
    return None if seconds is None else seconds * costs.images(trial) * trial.recipe.epochs / 3600
