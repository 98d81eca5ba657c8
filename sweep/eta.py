"""Estimate of the time left of a sweep, from the epochs that its trials have trained."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from ..store import DamagedFileError, PlannedTrial, Progress, Store

Groups = tuple[tuple[str, ...], ...]
"""Cost groups of a trial, the most similar first."""


class TimeEstimator:
    """Estimator of the time left. The board of a running sweep and `exeunt status` use it with the same records.

    The epochs that are left take as long as those that the most similar trials have trained. The time left is this work
    divided by the number of trials at a time, and at least that of the longest trial: of a running teacher with its
    students. Early stopping makes it shorter, because all trials count to their last epoch.
    """

    def __init__(self, trials: Iterable[PlannedTrial] = ()) -> None:
        """Create an estimator for trials to come."""
        self._left: dict[str, tuple[Groups, int]] = {}
        """Cost groups and epochs left of each trial, by key."""
        self._unfinished: Counter[tuple[Groups, int]] = Counter()
        """Number of trials, by their cost groups and epochs left."""
        self._students: defaultdict[str, dict[tuple[Groups, int], str]] = defaultdict(dict)
        """One dependent trial of each kind, by the key of each trial that it waits for."""
        self._seconds: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._epochs: Counter[tuple[str, ...]] = Counter()
        self._running: set[str] = set()
        self._widest = 1
        for trial in trials:
            self.expect(trial)

    def expect(self, trial: PlannedTrial) -> None:
        """Add a trial that will run."""
        kind = _kind(trial)
        self._left[trial.key] = kind
        self._unfinished[kind] += 1
        for source in trial.depends_on:
            self._students[source].setdefault(kind, trial.key)

    def add_expected(self, like: PlannedTrial, number: int) -> None:
        """Add `number` trials like this one, or remove trials if it is negative."""
        self._unfinished[_kind(like)] += number

    def recall(self, trial: PlannedTrial, epochs: int, seconds: float) -> None:
        """Add the epochs that a trial has trained so far, in this sweep or before, and their seconds."""
        for group in trial.configuration.cost_groups:
            self._seconds[group] += seconds
            self._epochs[group] += epochs
        if trial.key in self._left:
            self._leave(trial.key, trial.configuration.epochs - epochs)

    def start(self, key: str) -> None:
        """Record that a trial has started or resumed."""
        self._running.add(key)
        self._widest = max(self._widest, len(self._running))

    def advance(self, key: str, epochs_left: int, seconds: float) -> None:
        """Record that a running trial has finished an epoch, and its seconds."""
        for group in self._left[key][0]:
            self._seconds[group] += seconds
            self._epochs[group] += 1
        self._leave(key, epochs_left)

    def pause(self, key: str) -> None:
        """Record that a trial has stopped and will resume."""
        self._running.discard(key)

    def end(self, key: str) -> None:
        """Record that a trial will not run again."""
        self.pause(key)
        self._leave(key, 0)

    def seconds_left(self) -> float | None:
        """Return the estimated seconds left at the highest concurrency so far; None before the first epoch."""
        if not self._epochs[()]:
            return None
        trials = [(number, self._duration(*kind)) for kind, number in self._unfinished.items() if number > 0]
        work = sum(number * seconds for number, seconds in trials)
        longest = (seconds for _, seconds in trials)
        return max([work / self._widest, *longest, *map(self._with_students, self._running)])

    def _with_students(self, key: str) -> float:
        """Return the seconds until the last student of a trial, its first if it has several of a kind, has ended."""
        students = map(self._with_students, self._students.get(key, {}).values())
        return self._duration(*self._left[key]) + max(students, default=0.0)

    def _duration(self, groups: Groups, epochs: int) -> float:
        """Return the seconds of these epochs at the pace of the most similar trials that were measured."""
        measured = next(group for group in groups if self._epochs[group])
        return epochs * self._seconds[measured] / self._epochs[measured]

    def _leave(self, key: str, epochs: int) -> None:
        groups, before = self._left[key]
        self._left[key] = groups, epochs
        self._unfinished[groups, before] -= 1
        self._unfinished[groups, epochs] += 1


def trained_epochs(trial: PlannedTrial, progress: Progress, store: Store) -> tuple[int, float]:
    """Return the number of epochs that a trial has trained, and their seconds."""
    if progress.state == "waiting":
        return 0, 0.0
    if progress.state == "done" and progress.result is not None:
        return trial.configuration.epochs, progress.result["seconds"]
    try:
        history = store.trial(trial.key).history()
    except DamagedFileError:  # the trial counts as failed
        return 0, 0.0
    return len(history), sum(record["seconds"] for record in history)


def _kind(trial: PlannedTrial) -> tuple[Groups, int]:
    return trial.configuration.cost_groups, trial.configuration.epochs
