"""A plan beside what the store holds of it, method by method."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..planning.plan import Plan, PlannedTrial
from ..storage.store import State, Store

STATES: tuple[State, ...] = ("waiting", "running", "done", "pruned", "diverged", "failed")
NAMES = {"running": "begun"}
"""The store knows that a trial has begun, not whether somebody trains it at this moment."""


def overview(plan: Plan, store: Store) -> Group:
    """A table of the trials by method and state, and the reasons of those that did not end well."""
    counts: dict[tuple[str, str], Counter[State]] = {}
    problems = []
    for trial in plan.trials:
        progress = store.progress(trial.key, plan.sweep.stopping)
        counts.setdefault(_row(trial), Counter())[progress.state] += 1
        if progress.reason:
            problems.append(Text(f"{progress.state}: {trial} (trial {trial.key}): {progress.reason}"))
    table = Table(title=f"{plan.sweep.name}: {len(plan.trials)} trials in {store.location}", title_justify="left")
    for heading in ("architecture", "method"):
        table.add_column(heading)
    shown: list[State] = [
        state for state in STATES if state == "done" or any(count[state] for count in counts.values())
    ]
    for state in ("trials", *shown):
        table.add_column(NAMES.get(state, state), justify="right")
    for (architecture, method), count in counts.items():
        table.add_row(architecture, method, *_numbers(count, shown))
    total = sum(counts.values(), Counter[State]())
    table.add_section()
    table.add_row("all", "", *_numbers(total, shown))
    return Group(table, *problems)


def _row(trial: PlannedTrial) -> tuple[str, str]:
    method = trial.spec.method.name
    return trial.spec.architecture.name, f"{method} (teacher)" if trial.role == "teacher" else method


def _numbers(count: Counter[State], states: list[State]) -> Iterator[str]:
    yield str(count.total())
    for state in states:
        yield str(count[state] or "-")
