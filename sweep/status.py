"""How a sweep stands, from what its trials have written and from nothing else."""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..training import Record
from .planning.plan import Plan, PlannedTrial
from .store.fencing import newest_attempt
from .store.lease import lease_owner
from .store.trial_store import ENDED, Progress, State, Store

QUIET_AFTER_S = 900.0
"""Seconds of silence after which a trial may be dead: while it trains, it writes a checkpoint every ten minutes."""
ACCURACIES = {
    "validation/final/top1": "validation",
    "test_by_epoch/final/top1": "test",
    "train/final/top1": "train",
}
"""What may be known of an unfinished trial, the most telling first."""


@dataclass(frozen=True, kw_only=True)
class ActiveTrial:
    """A trial that has begun and not ended."""

    trial: PlannedTrial
    epoch: int
    """How many are done."""
    accuracy: float | None
    """Top-1 of the final exit after them, in percent."""
    images: str
    """On which."""
    silent: float
    """Seconds since it last wrote anything."""

    @property
    def is_quiet(self) -> bool:
        """Whether it may be dead."""
        return self.silent > QUIET_AFTER_S


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """Of a sweep at one moment."""

    plan: Plan
    location: str
    driver: dict[str, Any] | None
    """The process that runs the sweep: `host`, `pid` and `since`."""
    progress: dict[str, Progress]
    """By key. A trial that has begun is `running`, whether somebody trains it or not."""
    active: tuple[ActiveTrial, ...]
    seconds_left: float | None
    """An estimate from the epochs so far; None where nobody runs the sweep, or nothing is known."""

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in each state."""
        return Counter(progress.state for progress in self.progress.values())

    @property
    def is_over(self) -> bool:
        """Whether no trial runs or waits, and none is to come."""
        return not (self.plan.coming or self.counts["running"] or self.counts["waiting"])


class StatusReader:
    """Looks at a sweep again and again, and reads what has ended once."""

    def __init__(self, plan: Plan, store: Store, replan: Callable[[], Plan] | None = None) -> None:
        """Of a sweep in a store; `replan` is asked at each look where the plan grows, as that of a search does."""
        self._plan = plan
        self._replan = replan
        self._store = store
        self._ended: dict[str, Progress] = {}

    def read(self) -> SweepStatus:
        """How the sweep stands now."""
        if self._replan is not None:
            self._plan = self._replan()
        left = [trial for trial in self._plan.trials if trial.key not in self._ended]
        known = set(self._store.keys())
        found = self._store.progress_of((trial.key for trial in left), self._plan.sweep.stopping)
        self._ended |= {key: progress for key, progress in found.items() if progress.state in ENDED}
        histories: dict[str, list[Record]] = {}
        begun = []
        for trial in left:
            directory = self._store.trial(trial.key)
            may_run = found[trial.key].state in ("running", "waiting") and trial.key in known
            if may_run and newest_attempt(directory.folder):
                found[trial.key] = Progress(state="running")
                history = histories[trial.key] = directory.history()
                wrote = max(entry.modified for entry in directory.folder.entries().values())
                begun.append(_begun(trial, history, silent=max(0.0, time.time() - wrote)))
        everything = self._ended | found
        progress = {trial.key: everything[trial.key] for trial in self._plan.trials}
        driver = lease_owner(self._store.sweep_folder(self._plan.sweep.name))
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
        """All epochs that are left, at the pace of the like ones so far, as many trials at once as now."""
        pace: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
        for trial in self._plan.trials:
            for seconds in _epoch_seconds(trial, progress[trial.key], histories.get(trial.key, [])):
                for likeness in _likenesses(trial):
                    pace[likeness].append(seconds)
        if not pace:
            return None
        left = 0.0
        for trial in self._plan.trials:
            if progress[trial.key].state in ("running", "waiting"):
                epochs = trial.spec.recipe.epochs - len(histories.get(trial.key, []))
                left += epochs * statistics.fmean(next(pace[like] for like in _likenesses(trial) if like in pace))
        return left / max(1, sum(not one.is_quiet for one in begun))


def _begun(trial: PlannedTrial, history: list[Record], silent: float) -> ActiveTrial:
    last = history[-1] if history else {}
    metric = next((name for name in ACCURACIES if name in last), "")
    return ActiveTrial(
        trial=trial, epoch=len(history), accuracy=last.get(metric), images=ACCURACIES.get(metric, ""), silent=silent
    )


def _epoch_seconds(trial: PlannedTrial, progress: Progress, history: list[Record]) -> Iterator[float]:
    """What an epoch of this trial took, if that is known."""
    if history:
        yield statistics.fmean(record["seconds"] for record in history)
    elif progress.state == "done" and progress.result is not None:
        yield progress.result["seconds"] / trial.spec.recipe.epochs


def _likenesses(trial: PlannedTrial) -> Iterable[tuple[str, ...]]:
    """Trials that share the first of these take about as long, then those that share the second, and so on."""
    spec = trial.spec
    most_alike = (spec.dataset.name, spec.architecture.name, spec.method.name)
    return [most_alike[:length] for length in (3, 2, 1, 0)]
