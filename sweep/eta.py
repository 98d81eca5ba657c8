"""Estimate of the remaining time of a sweep, from the epochs that it has trained."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable

from ..store import PlannedTrial

Groups = tuple[tuple[str, ...], ...]
"""Cost groups of a trial, the most similar first."""


class TimeEstimator:
    """Estimator that measures epochs as they end; a trial's startup counts towards its first epoch."""

    def __init__(self, trials: Iterable[PlannedTrial], clock: Callable[[], float] = time.monotonic) -> None:
        """Create an estimator for the trials to come.

        Args:
            trials: trials to come, each with all its epochs; a resumed trial is corrected after its first epoch.
            clock: function that returns the time in seconds.
        """
        self._clock = clock
        self._left: dict[str, int] = {}
        self._networks: dict[str, Groups] = {}
        self._epochs_left: Counter[Groups] = Counter()
        for trial in trials:
            self.expect(trial)
        self._seconds: defaultdict[Hashable, float] = defaultdict(float)
        self._epochs: Counter[Hashable] = Counter()
        self._since: dict[str, float] = {}
        self._widest = 1

    def expect(self, trial: PlannedTrial) -> None:
        """Add a trial that will run."""
        network, epochs = trial.configuration.cost_groups, trial.configuration.epochs
        self._networks[trial.key], self._left[trial.key] = network, epochs
        self._epochs_left[network] += epochs

    def add_expected(self, like: PlannedTrial, number: int) -> None:
        """Add `number` trials like this one, or remove trials if it is negative."""
        self._epochs_left[like.configuration.cost_groups] += number * like.configuration.epochs

    def start(self, key: str) -> None:
        """Record that a trial has started or resumed."""
        self._since[key] = self._clock()
        self._widest = max(self._widest, len(self._since))

    def advance(self, key: str, epoch: int, epochs: int) -> None:
        """Record that a running trial has finished an epoch."""
        now = self._clock()
        network = self._networks[key]
        for group in network:
            self._seconds[group] += now - self._since[key]
            self._epochs[group] += 1
        self._since[key] = now
        self._leave(key, epochs - epoch)

    def pause(self, key: str) -> None:
        """Record that a trial has stopped and will resume."""
        self._since.pop(key, None)

    def end(self, key: str) -> None:
        """Record that a trial will not run again."""
        self.pause(key)
        self._leave(key, 0)

    def seconds_left(self) -> float | None:
        """Return the estimated seconds left at the highest concurrency so far; None before the first epoch."""
        if not self._epochs[()]:
            return None
        work = sum(epochs * self._seconds_per_epoch(network) for network, epochs in self._epochs_left.items())
        running = (self._left[key] * self._seconds_per_epoch(self._networks[key]) for key in self._since)
        return max([work / self._widest, *running])

    def _seconds_per_epoch(self, network: Groups) -> float:
        """Return the mean seconds per epoch of this network, or of the most similar ones that were measured."""
        measured = next(group for group in network if self._epochs[group])
        return self._seconds[measured] / self._epochs[measured]

    def _leave(self, key: str, epochs: int) -> None:
        self._epochs_left[self._networks[key]] += epochs - self._left[key]
        self._left[key] = epochs
