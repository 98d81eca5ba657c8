"""What a search found, as a table."""

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..search import Outcome, settings

SHOWN = 5
"""Settings of a Pareto front that are shown of each method."""


def search_table(stand: Iterable[Outcome]) -> Group:
    """For each method: how much of its budget is used, and the best settings so far.

    Whether the budgets are equal is said below, and so is a method of whose trials at least half failed.
    """
    stand = list(stand)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("study", overflow="fold")
    for heading in ("trials", "pruned", "failed", "device-hours", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in stand:
        table.add_row(
            outcome.space.name,
            str(len(outcome.trials)),
            str(outcome.count(TrialState.PRUNED)),
            str(outcome.count(TrialState.FAIL)),
            f"{outcome.seconds / 3600:.2f}",
            "\n".join(_values(trial) for trial in outcome.best[:SHOWN]),
        )
    return Group(table, *map(Text, [*_settings(stand), *_sentences(stand)]))


def _settings(stand: list[Outcome]) -> Iterable[str]:
    for outcome in stand:
        for trial in outcome.best[:SHOWN]:
            yield f"best of {outcome.space.name}, trial {trial.number}: {settings(trial.params)}"


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}" for value in trial.values)


def _sentences(stand: list[Outcome]) -> Iterable[str]:
    short = [outcome for outcome in stand if not outcome.is_full]
    efforts = {outcome.effort for outcome in stand}
    if short:
        yield f"Not over: each method gets {stand[0].search.effort}."
    elif len(efforts) == 1:
        yield f"Equal budgets: each method had {efforts.pop()}."
    else:
        yield "Budgets differ: " + "; ".join(f"{outcome.space.name} had {outcome.effort}" for outcome in stand) + "."
    for outcome in stand:
        if outcome.mostly_failed:
            failed = outcome.count(TrialState.FAIL)
            yield f"{outcome.space.name}: {failed} of its {len(outcome.trials)} trials failed."
