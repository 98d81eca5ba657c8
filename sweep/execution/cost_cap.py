"""Caps on the cost of a sweep: which trials may start, and when the running ones have to stop.

The methods of a row stay comparable: at every moment, the numbers of their completed seeds differ by at most one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ...store import CostUnit, PlannedTrial, Record
from ..cost_ledger import CostCaps, CostLedger
from ..find import row_of
from ..terminal.counts import counted

Row = tuple[str, str]
"""Dataset and name of a row of the main table."""
Round = tuple[Row, int]
"""Row and index of a seed: the trials of all methods of a row with their seed of this index."""

MARGIN = 1.1
"""Factor between the estimated cost of a whole sweep and the cap that is suggested for its rest."""


class CostCapReached(Exception):
    """End of a sweep at a cap, with unfinished trials. Its text has the cost so far and an estimate of the rest."""

    def __init__(self, text: str, sufficient: CostCaps) -> None:
        """Create the exception; `sufficient` has the caps that all trials will probably need."""
        super().__init__(text)
        self.sufficient = sufficient


class CostCap:
    """Rounds of seeds that fit into the caps of a sweep.

    A round includes the unfinished teachers and backbones of its trials. It begins if the round before it in each of
    its rows has ended, and if the estimate of all begun rounds with this one fits into the rest of the caps. Until an
    epoch is measured, one round runs at a time. If an estimate was too low, the cap ends the sweep within the round.
    """

    def __init__(
        self, trials: Iterable[PlannedTrial], limits: Mapping[CostUnit, float], ledgers: Mapping[CostUnit, CostLedger]
    ) -> None:
        """Create the rounds.

        Args:
            trials: Trials to run.
            limits: Cap of each unit.
            ledgers: Costs of all trials of the sweep so far, for each of these units.
        """
        self._trials = {trial.key: trial for trial in trials}
        self._limits = limits
        self._ledgers = ledgers
        self._unended = set(self._trials)
        self._rows: defaultdict[Row, list[PlannedTrial]] = defaultdict(list)
        self._members: defaultdict[Round, set[str]] = defaultdict(set)
        for trial in self._trials.values():
            if trial.role == "result":
                self._rows[_row(trial)].append(trial)
                self._members[_row(trial), trial.seed_index] |= self._with_sources(trial.key)
        for key in self._trials.keys() - set[str]().union(*self._members.values()):  # such as a teacher alone
            self._members[("", key), 0] = self._with_sources(key)
        self._rounds: defaultdict[str, list[Round]] = defaultdict(list)  # rounds that need a trial, by its key
        for each, keys in self._members.items():
            for key in keys:
                self._rounds[key].append(each)
        self._begun: set[Round] = set()
        self._refused: set[Round] = set()  # rounds that cannot begin until something is recorded or ends

    def admits(self, trial: PlannedTrial) -> bool:
        """Return True if a trial may start: its round has begun or begins now, and no cap is passed."""
        if self.is_passed():
            return False
        rounds = self._rounds[trial.key]
        return any(each in self._begun for each in rounds) or any(map(self._begins, rounds))

    def ended(self, key: str) -> None:
        """Record that a trial will not run again."""
        self._unended.discard(key)
        self._refused.clear()

    def record(self, key: str, record: Record) -> None:
        """Record a completed epoch of a trial."""
        for ledger in self._ledgers.values():
            ledger.record(self._trials[key], record)
        self._refused.clear()

    def is_passed(self) -> bool:
        """Return True if a cap is used up."""
        return any(self._ledgers[unit].used >= limit for unit, limit in self._limits.items())

    def reached(self) -> CostCapReached:
        """Return the exception that ends the sweep, with the cost so far and an estimate of the rest."""
        unended = [self._trials[key] for key in self._unended]
        used, left, sufficient = [], [], {}
        for unit, limit in self._limits.items():
            ledger = self._ledgers[unit]
            rest = ledger.left(unended)
            used.append(f"{ledger.used:.3g} of {limit:g} {unit}")
            left += [] if rest is None else [f"about {rest:.3g} {unit}"]
            sufficient[unit] = max(limit, _rounded_up(MARGIN * (ledger.used + (limit if rest is None else rest))))
        text = f"Cost cap reached: {', '.join(used)} used. Left: {', '.join([counted(len(unended), 'trial'), *left])}"
        caps = CostCaps(max_device_hours=sufficient.get("device-hours"), max_joules=sufficient.get("joules"))
        return CostCapReached(text, caps)

    def _begins(self, each: Round) -> bool:
        """Begin a round if it may begin, and return True then."""
        if each in self._refused:
            return False
        added = self._members[each] & self._unended
        if self._are_next(added) and self._fit(added):
            self._begun.add(each)
            return True
        self._refused.add(each)
        return False

    def _are_next(self, added: set[str]) -> bool:
        """Return True if no other trial with an earlier seed is unfinished in the rows of these trials."""
        latest: dict[Row, int] = {}
        for trial in (self._trials[key] for key in added):
            if trial.role == "result":
                latest[_row(trial)] = max(latest.get(_row(trial), 0), trial.seed_index)
        return not any(
            trial.seed_index < index and trial.key in self._unended and trial.key not in added
            for row, index in latest.items()
            for trial in self._rows[row]
        )

    def _fit(self, added: set[str]) -> bool:
        committed = set[str]().union(*(self._members[each] for each in self._begun)) & self._unended
        together = [self._trials[key] for key in committed | added]
        for unit, limit in self._limits.items():
            left = self._ledgers[unit].left(together)
            if (left is None and committed) or (left is not None and self._ledgers[unit].used + left > limit):
                return False
        return True

    def _with_sources(self, key: str) -> set[str]:
        """Return the keys of a trial, and of the trials to run that it needs."""
        sources = (source for source in self._trials[key].depends_on if source in self._trials)
        return {key}.union(*map(self._with_sources, sources))


def _row(trial: PlannedTrial) -> Row:
    return trial.configuration.dataset, row_of(trial)


def _rounded_up(number: float) -> float:
    """Return a positive number rounded up to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / unit) * unit:.2g}")
