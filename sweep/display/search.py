"""What a search found, as a table."""

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..planning.durations import duration
from ..searching.outcome import Outcome

SHOWN = 5
"""Settings of a Pareto front that are shown of each method."""


def search_table(stand: Iterable[Outcome]) -> Group:
    """For each method: how much of its budget is used, and the best settings so far.

    Whether the budgets are equal is said below, and so is a method of whose trials at least half failed.
    """
    stand = list(stand)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("method")
    table.add_column("architecture")
    for heading in ("trials", "complete", "pruned", "failed", "trained"):
        table.add_column(heading, justify="right")
    table.add_column("best", justify="right")
    table.add_column("settings")
    for outcome in stand:
        table.add_row(*_row(outcome))
    return Group(table, *map(Text, _sentences(stand)))


def _row(outcome: Outcome) -> list[str]:
    counts = [outcome.count(state) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)]
    spec = outcome.space.default
    best = outcome.best[:SHOWN]
    return [
        spec.method.name,
        spec.architecture.name,
        str(len(outcome.trials)),
        *map(str, counts),
        duration(outcome.seconds),
        "\n".join(_values(trial) for trial in best),
        "\n".join(_settings(trial) for trial in best),
    ]


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}" for value in trial.values)


def _settings(trial: FrozenTrial) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in trial.params.items()
    )


def _sentences(stand: list[Outcome]) -> Iterable[str]:
    short = [outcome for outcome in stand if not outcome.is_full]
    search = stand[0].search
    if short:
        yield f"Not over: each method gets {search.effort}."
    else:
        yield f"Equal budgets: each method had {search.effort}."
    for outcome in stand:
        if outcome.mostly_failed:
            failed = outcome.count(TrialState.FAIL)
            yield f"{outcome.space.name}: {failed} of its {len(outcome.trials)} trials failed."
