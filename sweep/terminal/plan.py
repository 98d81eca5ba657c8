"""Table of the trials of a sweep file by architecture and method: states in the store, and cost."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from ...store import State
from ..planning.estimate import Cost, CostRow, Estimate
from ..planning.planned_power import PlannedPower
from .counts import counted
from .grid import Grid
from .status import traceback_hint

STATES: tuple[State, ...] = ("waiting", "running", "done", "pruned", "diverged", "failed")
NAMES = {"running": "started"}
"""Printed names of states. The store records that a trial has started, but not that a process still trains it."""
PREFIXES = ((1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))
SHOWN_PROBLEMS = 20


def overview(estimate: Estimate) -> Group:
    """Return a table of trials and cost by architecture, method and state, and the reason of each failed trial."""
    parts: list[RenderableType] = [_table(estimate), *map(Text, _sentences(estimate))]
    for trial, state, reason in estimate.problems[:SHOWN_PROBLEMS]:
        parts.append(Text(f"{state}: {trial} (trial {trial.key}): {reason}"))
    failed = next((trial.key for trial, state, _ in estimate.problems if state == "failed"), None)
    if failed is not None:
        parts.append(traceback_hint(estimate.name, failed, estimate.storage))
    if (more := len(estimate.problems) - SHOWN_PROBLEMS) > 0:
        parts.append(Text(f"and {more:,} more; list all with: exeunt plan FILE --json"))
    return Group(*parts)


def _table(estimate: Estimate) -> Grid:
    states = sum((row.states for row in estimate.rows), Counter[State]())
    shown: list[State] = [state for state in STATES if state == "done" or states[state]]
    title = Text(f"{estimate.name}: {counted(estimate.total.trials, 'trial')} in {estimate.storage}")
    table = Grid(title=title, title_justify="left")
    for heading in ("architecture", "method"):
        table.add_column(heading, overflow="fold")
    headings = ["trials", *(NAMES.get(state, state) for state in shown), "multiply-\nadds"]
    if estimate.pace is not None:
        headings.append("device-\nhours")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)

    def numbers(states: Counter[State], effort: Cost) -> Iterable[str]:
        yield f"{effort.trials:,}"
        yield from (f"{states[state]:,}" if states[state] else "-" for state in shown)
        yield _with_prefix(effort.multiply_adds)
        if estimate.pace is not None:
            yield _hours(effort.hours)

    for row in estimate.rows:
        table.add_row(row.architecture, _method(row), *numbers(row.states, row.total))
    table.add_section()
    table.add_row("all", "", *numbers(states, estimate.total))
    return table


def _sentences(estimate: Estimate) -> Iterable[str]:
    if estimate.flat_grid is not None:
        yield _saved(estimate, estimate.flat_grid)
        yield from (axis.note for axis in estimate.merged_axes if not axis.is_whole)  # others are warnings
    trials = counted(estimate.left.trials, "trial")
    left = f"Remaining: {trials}, {_with_prefix(estimate.left.multiply_adds)} multiply-adds"
    if estimate.pace is not None:
        left += f", {_hours(estimate.left.hours)} device-hours"
    yield f"{left}. Only training is counted, not evaluation or waiting."
    if estimate.pace is not None:
        pace = estimate.pace
        yield f"Device-hours for one trial at a time on each device, {pace.origin}: {pace.device}."
        yield from (f"Not measured: {problem}" for problem in pace.problems)
    if estimate.price:
        yield estimate.price
    if estimate.power is not None:
        yield from _power(estimate.power)


def _power(found: PlannedPower) -> Iterable[str]:
    chance = f"{found.power:.0%} with {counted(found.pairs, 'paired seed')}"
    needed = f"80% requires {counted(found.seeds, 'seed')}"
    if found.comparisons > 1:
        chance += f", {found.worst_power:.0%} as the worst of {found.comparisons} Holm-corrected comparisons"
        needed += f", {found.worst_seeds} as the worst of {found.comparisons}"
    points = f"{found.difference:g} percentage point{'s' * (found.difference != 1)}"
    yield f"Power to detect {points}: {chance}. {needed}."
    spread = f"Standard deviation of the paired differences: {found.spread.value:.3g} percentage points"
    remedy = "; set it with `detect: {difference: NUMBER, spread: NUMBER}`" if found.spread.origin == "assumed" else ""
    yield f"{spread}, {found.spread.origin}{remedy}."


def _saved(estimate: Estimate, flat_grid: int) -> str:
    merged, roles = estimate.asked - estimate.results, Counter[str]()
    for row in estimate.rows:
        roles[row.role] += row.total.trials
    others = (f" and {counted(roles[role], role)}" for role in ("teacher", "backbone") if roles[role])
    saved = f"Full grid: {counted(flat_grid, 'network')}. Plan: {counted(estimate.results, 'trial')}{''.join(others)}."
    if merged:
        repeated = "" if estimate.merged_axes else " The file lists them more than once, in axes or blocks."
        saved += f" Skipped: {counted(merged, 'duplicate')} of other trials.{repeated}"
    return saved


def _method(row: CostRow) -> str:
    return row.method if row.role == "result" else f"{row.method} ({row.role})"


def _with_prefix(number: float) -> str:
    """Return a number with three significant digits and an SI prefix."""
    for size, prefix in PREFIXES:
        if number >= size:
            return f"{number / size:.3g} {prefix}" if number < 999.5 * size else f"{number / size:.0f} {prefix}"
    return f"{number:.0f}"


def _hours(hours: float | None) -> str:
    if hours is None:
        return "?"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}" if hours >= 0.01 else "< 0.01"
