"""Power of the comparisons that a sweep plans, for the difference that it should detect."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...store import Store
from .plan import SweepPlan, labels_of, merged
from .sweep_file import Requested

ASSUMED_SPREAD = 0.5
"""Standard deviation of paired differences without recorded pairs, in percentage points."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviation of paired differences before the sweep, in percentage points."""

    value: float
    origin: str
    """Source of the value: `assumed`, `set in the sweep file`, or the number of recorded pairs."""


@dataclass(frozen=True, kw_only=True)
class PlannedPower:
    """Power of the paired t-tests of a plan, and the number of seeds for a power of 80%."""

    difference: float
    """Difference to detect, in percentage points."""
    spread: Spread
    comparisons: int
    """Number of comparisons with a baseline, over which the tests are Holm-corrected."""
    pairs: int
    """Number of paired seeds; the smallest if comparisons differ."""
    power: float
    """Power of a single comparison."""
    worst_power: float
    """Power as the worst case of the Holm correction, at the level 0.05 / comparisons."""
    seeds: int
    """Number of seeds at which the power of a single comparison is 80%."""
    worst_seeds: int
    """Number of seeds at which the power in the worst case is 80%."""

    def to_dict(self) -> dict[str, Any]:
        """Return the power as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Comparison:
    method: Requested
    baseline: Requested

    @property
    def pairs(self) -> int:
        """Number of seeds that both have."""
        return len({*self.method.seeds} & {*self.baseline.seeds})


def planned_power(plan: SweepPlan, store: Store) -> PlannedPower | None:
    """Return the power of a plan; None if its file names no difference to detect, or has nothing to compare.

    Args:
        plan: plan of a sweep.
        store: storage whose recorded trials estimate the spread.
    """
    difference = plan.margins.detect
    if difference is None or not (comparisons := list(_comparisons(plan))):
        return None
    from ...results.power import power, seeds_needed  # noqa: PLC0415 (imports NumPy and SciPy)

    spread, pairs = _spread(plan, comparisons, store), min(one.pairs for one in comparisons)
    tests = len(comparisons)
    return PlannedPower(
        difference=difference,
        spread=spread,
        comparisons=tests,
        pairs=pairs,
        power=power(difference, spread=spread.value, pairs=pairs),
        worst_power=power(difference, spread=spread.value, pairs=pairs, tests=tests),
        seeds=seeds_needed(difference, spread=spread.value),
        worst_seeds=seeds_needed(difference, spread=spread.value, tests=tests),
    )


def _comparisons(plan: SweepPlan) -> Iterable[_Comparison]:
    """Iterate over the cells of the comparison table that have a baseline in their row and share a seed with it."""
    requested = merged(plan.sweep)
    rows: dict[tuple[object, ...], list[Requested]] = {}
    baselines: dict[tuple[object, ...], Requested] = {}
    for (id, label), one in zip(labels_of(requested).items(), requested.values(), strict=True):
        row = one.trial.dataset.name, one.trial.architecture.name, label.row
        rows.setdefault(row, []).append(requested[id])
        if one.trial.method.name == "baseline" and not label.column:
            baselines[row] = one
    for row, baseline in baselines.items():
        found = (_Comparison(method, baseline) for method in rows[row] if method is not baseline)
        yield from (one for one in found if one.pairs)


def _spread(plan: SweepPlan, comparisons: Sequence[_Comparison], store: Store) -> Spread:
    """Return the spread: set in the file, of recorded pairs of the same configurations, or assumed."""
    if plan.margins.spread is not None:
        return Spread(value=plan.margins.spread, origin="set in the sweep file")
    recorded = [differences for differences in _recorded(comparisons, store) if len(differences) > 2]
    freedom = sum(len(differences) - 1 for differences in recorded)
    squares = sum(statistics.variance(differences) * (len(differences) - 1) for differences in recorded)
    if squares > 0:
        pairs = f"{freedom + len(recorded)} recorded pairs of {len(recorded)}"
        return Spread(value=math.sqrt(squares / freedom), origin=f"from {pairs} comparison{'s' * (len(recorded) > 1)}")
    return Spread(value=ASSUMED_SPREAD, origin="assumed")


def _recorded(comparisons: Sequence[_Comparison], store: Store) -> Iterable[list[float]]:
    """Iterate over the paired differences of the recorded trials, with any seeds, of each comparison."""
    sides = {side.trial.configuration: side for one in comparisons for side in (one.method, one.baseline)}
    started = store.keys()
    progress = store.progress_of(key for key in started if key.rpartition("-s")[0] in sides)
    values: dict[str, dict[str, float]] = {id: {} for id in sides}
    for key, trial in progress.items():
        id, _, seed = key.rpartition("-s")
        metric = f"{'validation' if sides[id].trial.protocol == 'tuning' else 'test'}/final/top1"
        if trial.state == "done" and trial.result is not None and metric in trial.result["metrics"]:
            values[id][seed] = trial.result["metrics"][metric]
    for one in comparisons:
        method, baseline = (values[side.trial.configuration] for side in (one.method, one.baseline))
        yield [method[seed] - baseline[seed] for seed in method.keys() & baseline.keys()]
