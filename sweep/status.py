"""Status of a sweep, read only from the files that its trials have written."""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..store import ENDED, FileInfo, Plan, PlannedTrial, Progress, Record, State, Store, lease_owner, newest_attempt

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

    def read(self) -> SweepStatus:
        """Return the current status of the sweep."""
        if self._replan is not None:
            self._plan = self._replan()
        left = [trial for trial in self._plan.trials if trial.key not in self._ended]
        known = set(self._store.keys())
        found = self._store.progress_of((trial.key for trial in left), self._plan.stopping)
        self._ended |= {key: progress for key, progress in found.items() if progress.state in ENDED}
        histories: dict[str, list[Record]] = {}
        begun = []
        for trial in left:
            files = self._store.trial(trial.key)
            may_run = found[trial.key].state in ("running", "waiting") and trial.key in known
            if may_run and newest_attempt(files.directory):
                found[trial.key] = Progress(state="running")
                history = histories[trial.key] = files.history()
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
            seconds_left=None if driver is None else self._seconds_left(progress, histories, begun),
        )

    def _seconds_left(
        self, progress: dict[str, Progress], histories: dict[str, list[Record]], begun: list[ActiveTrial]
    ) -> float | None:
        """Return the estimated seconds left, from the pace of similar trials and the current concurrency."""
        pace: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        for trial in self._plan.trials:
            for seconds in _epoch_seconds(trial, progress[trial.key], histories.get(trial.key, [])):
                for group in trial.configuration.cost_groups:
                    pace[group].append(seconds)
        if not pace:
            return None
        left = 0.0
        for trial in self._plan.trials:
            if progress[trial.key].state in ("running", "waiting"):
                epochs = trial.configuration.epochs - len(histories.get(trial.key, []))
                left += epochs * statistics.fmean(
                    next(pace[group] for group in trial.configuration.cost_groups if group in pace)
                )
        return left / max(1, sum(not one.is_quiet for one in begun))


def _begun(trial: PlannedTrial, history: list[Record], silent: float) -> ActiveTrial:
    metric = next((name for name in ACCURACIES for record in history if name in record), "")
    last = next((record for record in reversed(history) if metric in record), {})
    return ActiveTrial(
        trial=trial, epoch=len(history), accuracy=last.get(metric), images=ACCURACIES.get(metric, ""), silent=silent
    )


def _silence(entries: Mapping[str, FileInfo]) -> float:
    """Return the seconds since the last write of a training, which may have stalled while its heartbeat continues."""
    wrote = [entry.modified for name, entry in entries.items() if not name.startswith("attempt-")]
    return max(0.0, time.time() - max(wrote, default=time.time()))


def _epoch_seconds(trial: PlannedTrial, progress: Progress, history: list[Record]) -> Iterator[float]:
    """Yield the mean seconds per epoch of this trial, if known."""
    if history:
        yield statistics.fmean(record["seconds"] for record in history)
    elif progress.state == "done" and progress.result is not None:
        yield progress.result["seconds"] / trial.configuration.epochs
