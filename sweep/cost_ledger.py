"""Device-hours or energy that the trials of a sweep have used, and the estimate for the others."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..specs import require
from ..store import CostUnit, DamagedFileError, Plan, PlannedTrial, Price, Record, Store
from ..store.trial_store import READERS


@dataclass(frozen=True, kw_only=True)
class CostCaps:
    """Limits of what all trials of a sweep may use in all, in this run and in earlier ones."""

    max_device_hours: float | None = None
    """Device-hours of training; a share of a GPU counts as its share. None for no limit."""
    max_joules: float | None = None
    """Energy of training in joules. None for no limit."""

    def __post_init__(self) -> None:
        for name, limit in (("max_device_hours", self.max_device_hours), ("max_joules", self.max_joules)):
            if limit is not None:
                require(0 < limit < math.inf, f"{name} is above 0 and finite", **{name: limit})

    @property
    def limits(self) -> dict[CostUnit, float]:
        """Limits by unit, without those that are not set."""
        limits: dict[CostUnit, float | None] = {"device-hours": self.max_device_hours, "joules": self.max_joules}
        return {unit: limit for unit, limit in limits.items() if limit is not None}


class CostLedger:
    """Ledger of the recorded epochs of trials, in one unit. An epoch that is trained again counts once.

    The estimate of an epoch is the cost per multiply-add of the most similar trials that have been measured, times the
    multiply-adds of this epoch.
    """

    def __init__(self, unit: CostUnit) -> None:
        """Create an empty ledger."""
        self.unit: CostUnit = unit
        self.used = 0.0
        """Cost of all recorded epochs."""
        self._epochs: defaultdict[str, dict[int, float]] = defaultdict(dict)
        """Cost of each epoch by number, by the key of the trial."""
        self._costs: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._multiply_adds: defaultdict[tuple[str, ...], float] = defaultdict(float)

    def record(self, trial: PlannedTrial, record: Mapping[str, float]) -> None:
        """Add an epoch. An epoch without a measured cost counts as 0, and as completed."""
        measured, epochs = _cost(self.unit, record), self._epochs[trial.key]
        epoch, cost = int(record["epoch"]), measured or 0.0
        self.used += cost - epochs.get(epoch, 0.0)
        if measured is not None and epoch not in epochs:
            for group in trial.configuration.cost_groups:
                self._costs[group] += cost
                self._multiply_adds[group] += _epoch_multiply_adds(trial)
        epochs[epoch] = cost

    def left(self, trials: Iterable[PlannedTrial]) -> float | None:
        """Return the estimated cost of the epochs that trials have not recorded; None if no epoch is measured."""
        return sum(map(self._left, trials)) if self._multiply_adds[()] else None

    def _left(self, trial: PlannedTrial) -> float:
        about = trial.configuration
        measured = next(group for group in about.cost_groups if self._multiply_adds[group])
        epochs = max(0, about.epochs - len(self._epochs[trial.key]))
        return epochs * _epoch_multiply_adds(trial) * self._costs[measured] / self._multiply_adds[measured]


def read_ledgers(plan: Plan, store: Store, units: Iterable[CostUnit]) -> dict[CostUnit, CostLedger]:
    """Return a ledger for each unit, with the epochs of all trials of a plan that the store has recorded."""
    ledgers: dict[CostUnit, CostLedger] = {unit: CostLedger(unit) for unit in units}
    if ledgers:
        started = set(store.keys())
        recall(ledgers, (trial for trial in plan.trials if trial.key in started), store)
    return ledgers


def recall(ledgers: Mapping[CostUnit, CostLedger], trials: Iterable[PlannedTrial], store: Store) -> None:
    """Add the epochs of trials that the store has recorded and the ledgers do not have yet."""

    def history(trial: PlannedTrial) -> tuple[PlannedTrial, list[Record]]:
        try:
            return trial, store.trial(trial.key).history()
        except DamagedFileError:  # the sweep reports it
            return trial, []

    with ThreadPoolExecutor(READERS) as readers:
        for trial, records in readers.map(history, trials if ledgers else ()):
            for record in records:
                for ledger in ledgers.values():
                    ledger.record(trial, record)


def cost_lines(
    limits: Mapping[CostUnit, float],
    price: Price | None,
    ledgers: Mapping[CostUnit, CostLedger],
    left: Iterable[PlannedTrial],
) -> list[str]:
    """Return sentences about the caps and the price of a sweep, for status and report.

    Args:
        limits: Caps by unit.
        price: Price of a device-hour; None if not named.
        ledgers: Ledgers of these units, and of device-hours if there is a price.
        left: Trials that have not ended.
    """
    lines = [f"Cap: {ledgers[unit].used:.3g} of {limit:g} {unit} used." for unit, limit in limits.items()]
    if price is not None:
        ledger = ledgers["device-hours"]
        lines.append(price_line(price, ledger.used, ledger.left(left)))
    return lines


def price_line(price: Price, used: float, left: float | None) -> str:
    """Return the sentence on the cost of used and remaining device-hours; None if these are unknown."""
    rest = "remaining: unknown" if left is None else f"remaining: {price.of(left)}, total: {price.of(used + left)}"
    return f"Cost at {price}: {price.of(used)} spent, {rest}."


def units_shown(limits: Mapping[CostUnit, float], price: Price | None) -> set[CostUnit]:
    """Return the units of the ledgers that `cost_lines` needs."""
    return {*limits, *(["device-hours"] if price is not None else [])}


def _cost(unit: CostUnit, record: Mapping[str, float]) -> float | None:
    """Return the cost of an epoch; None if it was not measured."""
    if unit == "joules":
        return record.get("joules")
    return record.get("device_seconds", record["seconds"]) / 3600  # earlier versions recorded the seconds only


def _epoch_multiply_adds(trial: PlannedTrial) -> float:
    return trial.configuration.cost / trial.configuration.epochs
