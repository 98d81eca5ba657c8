"""Status of a sweep, read only from the files that its trials have written."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..store import (
    ENDED,
    CostUnit,
    FileInfo,
    Plan,
    PlannedTrial,
    Progress,
    Record,
    State,
    Store,
    lease_owner,
    newest_attempt,
)
from .cost_ledger import CostLedger, cost_lines, read_ledgers, recall, units_shown
from .eta import TimeEstimator, trained_epochs

QUIET_AFTER_S = 900.0
"""Seconds without a write after which a trial may have died: a training trial writes at least every ten minutes."""
ACCURACIES = {
    "validation/final/top1": "validation",
    "test_by_epoch/final/top1": "test",
    "train/final/top1": "train",
}
"""Accuracy metrics of an unfinished trial and the images they are measured on, in order of preference."""


@dataclass(frozen=True, kw_only=True)
class ActiveTrial:
    """Trial that has started and not ended."""

    trial: PlannedTrial
    epoch: int
    """Number of completed epochs."""
    seconds: float
    """Training time of these epochs."""
    accuracy: float | None
    """Top-1 accuracy of the final exit after these epochs, in percent."""
    images: str
    """Images that the accuracy is measured on: `validation`, `test` or `train`."""
    silent: float
    """Seconds since its last write."""

    @property
    def is_quiet(self) -> bool:
        """True if the trial may have died."""
        return self.silent > QUIET_AFTER_S


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """Status of a sweep at one moment."""

    plan: Plan
    location: str
    driver: dict[str, Any] | None
    """Process that runs the sweep (`host`, `pid` and `since`); None if there is none."""
    progress: dict[str, Progress]
    """Progress by trial key. A trial that has started is `running`, even if no process trains it."""
    active: tuple[ActiveTrial, ...]
    costs: tuple[str, ...]
    """Sentences about caps and price; empty without any."""
    seconds_left: float | None
    """Estimate from the epochs so far; None if the sweep is not running or no epoch has ended."""

    @property
    def counts(self) -> Counter[State]:
        """Number of trials in each state."""
        return Counter(progress.state for progress in self.progress.values())

    @property
    def is_over(self) -> bool:
        """True if no trial runs or waits, and no more trials will be planned."""
        return not (self.plan.coming or self.counts["running"] or self.counts["waiting"])


class StatusReader:
    """Reader of a sweep's status; it reads each ended trial only once."""

    def __init__(self, plan: Plan, store: Store, replan: Callable[[], Plan] | None = None) -> None:
        """Create a reader; `replan` returns the current plan of a sweep that grows, such as a search."""
        self._plan = plan
        self._replan = replan
        self._store = store
        self._ended: dict[str, Progress] = {}
        self._trained: dict[str, tuple[int, float]] = {}
        """Epochs that an ended trial has trained and their seconds, by key."""
        self._ledgers: dict[CostUnit, CostLedger] = {}

    def read(self) -> SweepStatus:
        """Return the current status of the sweep."""
        if self._replan is not None:
            self._plan = self._replan()
        left = [trial for trial in self._plan.trials if trial.key not in self._ended]
        known = set(self._store.keys())
        found = self._store.progress_of((trial.key for trial in left), self._plan.stopping)
        self._ended |= {key: progress for key, progress in found.items() if progress.state in ENDED}
        begun = []
        for trial in left:
            files = self._store.trial(trial.key)
            may_run = found[trial.key].state in ("running", "waiting") and trial.key in known
            if may_run and newest_attempt(files.directory):
                found[trial.key] = Progress(state="running")
                history = files.history()
                begun.append(_begun(trial, history, silent=_silence(files.directory.entries())))
        everything = self._ended | found
        progress = {trial.key: everything[trial.key] for trial in self._plan.trials}
        driver = lease_owner(self._store.sweep_directory(self._plan.name))
        return SweepStatus(
            plan=self._plan,
            location=self._store.location,
            driver=driver,
            progress=progress,
            active=tuple(begun),
            costs=self._costs(left, progress),
            seconds_left=None if driver is None else self._seconds_left(progress, begun),
        )

    def _costs(self, changed: list[PlannedTrial], progress: dict[str, Progress]) -> tuple[str, ...]:
        """Return the sentences about caps and price, given the trials that had not ended before this read."""
        limits, price = self._store.caps(self._plan.name), self._plan.price
        units = units_shown(limits, price)
        if not units <= self._ledgers.keys():
            self._ledgers = read_ledgers(self._plan, self._store, units)
        else:
            recall(self._ledgers, (trial for trial in changed if progress[trial.key].state != "waiting"), self._store)
        rest = (trial for trial in self._plan.trials if progress[trial.key].state not in ENDED)
        return tuple(cost_lines(limits, price, self._ledgers, rest))

    def _seconds_left(self, progress: dict[str, Progress], begun: list[ActiveTrial]) -> float | None:
        estimator = TimeEstimator(self._plan.trials)
        for one in begun:
            estimator.recall(one.trial, one.epoch, one.seconds)
            if not one.is_quiet:
                estimator.start(one.trial.key)
        not_done: set[str] = set()
        for trial in self._plan.trials:
            now = progress[trial.key]
            if now.state in (*ENDED, "failed"):
                trained = self._trained.get(trial.key) or trained_epochs(trial, now, self._store)
                estimator.recall(trial, *trained)
                if now.state in ENDED:
                    self._trained[trial.key] = trained
            elif not_done.isdisjoint(trial.depends_on):
                continue
            estimator.end(trial.key)
            if now.state != "done":
                not_done.add(trial.key)
        for like, number in self._plan.coming:
            estimator.add_expected(like, number)
        return estimator.seconds_left()


def _begun(trial: PlannedTrial, history: list[Record], silent: float) -> ActiveTrial:
    metric = next((name for name in ACCURACIES for record in history if name in record), "")
    last = next((record for record in reversed(history) if metric in record), {})
    return ActiveTrial(
        trial=trial,
        epoch=len(history),
        seconds=sum(record["seconds"] for record in history),
        accuracy=last.get(metric),
        images=ACCURACIES.get(metric, ""),
        silent=silent,
    )


def _silence(entries: Mapping[str, FileInfo]) -> float:
    """Return the seconds since the last write of a training, which may have stalled while its heartbeat continues."""
    wrote = [entry.modified for name, entry in entries.items() if not name.startswith("attempt-")]
    return max(0.0, time.time() - max(wrote, default=time.time()))
