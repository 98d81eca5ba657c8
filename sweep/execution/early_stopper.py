"""Early stopping of trials by Ray Tune's rules, among comparable trials."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...specs import content_key
from ...store import PlannedTrial
from ..planning.stopping import Stopping
from .tune import StoppingRule

Group = tuple[str | int, ...]
"""Key of comparable trials: dataset and number of epochs, in a search also method and architecture."""


class EarlyStopper:
    """Early stopper that compares trials epoch by epoch. It never stops trials that others need."""

    def __init__(self, stopping: Stopping, trials: Iterable[PlannedTrial]) -> None:
        """Create an early stopper for all trials of a plan."""
        self._stopping = stopping
        self._trials = {trial.key: trial for trial in trials}
        self._needed = {source for trial in self._trials.values() for source in trial.depends_on}
        self._rules: dict[tuple[Group, int], StoppingRule] = {}
        self._judged: dict[str, int] = {}  # last epoch by key; epochs after a checkpoint are trained again

    def expect(self, trial: PlannedTrial) -> None:
        """Add a trial."""
        self._trials[trial.key] = trial

    def recall(self, key: str, history: Iterable[Mapping[str, Any]]) -> None:
        """Add the records of a trial from before this run of the sweep."""
        for record in history:
            self.stops(key, record)

    def stops(self, key: str, record: Mapping[str, Any]) -> bool:
        """Return True if a trial is stopped after the epoch with this record."""
        trial = self._trials[key]
        epochs = trial.configuration.epochs
        if epochs <= self._stopping.grace or record["epoch"] >= epochs or Stopping.metric not in record:
            return False
        if record["epoch"] <= self._judged.get(key, 0):
            return False
        self._judged[key] = record["epoch"]
        return self._rule(trial).stops(key, record) and key not in self._needed

    def _rule(self, trial: PlannedTrial) -> StoppingRule:
        epochs = trial.configuration.epochs
        bracket = (
            bracket_of(content_key(trial.spec), self._stopping, epochs) if self._stopping.rule == "hyperband" else 0
        )
        place = (_group(trial), bracket)
        if place not in self._rules:
            first = self._stopping.grace * self._stopping.factor**bracket
            self._rules[place] = StoppingRule(self._stopping, epochs=epochs, first=first)
        return self._rules[place]


def _group(trial: PlannedTrial) -> Group:
    about = trial.configuration
    everyone = (about.dataset, about.epochs)
    # Trials of one method must not reduce the budget of another method.
    return (*everyone, *about.space) if trial.role == "search" else everyone


def bracket_of(spec_hash: str, stopping: Stopping, epochs: int) -> int:
    """Return HyperBand's bracket of a trial, drawn by the hash of its spec; bracket 0 stops trials the earliest.

    Bracket b first compares trials after `grace * factor**b` epochs. Its probability is its share of HyperBand's
    trials, (s_max + 1) / (s + 1) * factor**s with s = s_max - b (Li et al. 2018, algorithm 1).
    """
    last = _rungs(stopping, epochs)
    sizes = [(last + 1) / (last - b + 1) * stopping.factor ** (last - b) for b in range(last + 1)]
    drawn = int(spec_hash, 16) / 16 ** len(spec_hash) * sum(sizes)
    return next(b for b in range(last + 1) if drawn < sum(sizes[: b + 1]))


def _rungs(stopping: Stopping, epochs: int) -> int:
    """Return the number of times `grace` can be multiplied by `factor` without exceeding the epochs."""
    return int(math.log(epochs / stopping.grace) / math.log(stopping.factor) + 1e-9)
