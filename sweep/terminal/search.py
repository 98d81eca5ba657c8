"""Table of the results of a search."""

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Group
from rich.text import Text

from ..search import StudySummary, repeats_of, settings
from .counts import counted
from .grid import Grid

SHOWN = 5
"""Maximum number of settings of a Pareto front that are shown for each study."""


def search_table(stand: Iterable[StudySummary]) -> Group:
    """Return a table with a row for each study: its used budget and its best values so far.

    Lines below the table name the best settings, compare the budgets, and name each study with at least half of its
    trials failed.
    """
    stand = list(stand)
    repeats = any(len(outcome.trials) != outcome.trainings for outcome in stand)
    table = Grid(box=box.SIMPLE_HEAD)
    table.add_column("study", overflow="fold")
    for heading in (*["settings"] * repeats, "trials", "pruned", "failed", "device-hours", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in stand:
        table.add_row(
            outcome.name,
            *[str(len(outcome.trials))] * repeats,
            str(outcome.trainings),
            str(outcome.count(TrialState.PRUNED)),
            str(outcome.count(TrialState.FAIL)),
            f"{outcome.seconds / 3600:.2f}",
            "\n".join(_values(trial) for trial in outcome.best[:SHOWN]),
        )
    return Group(table, *map(Text, [*_settings(stand), *_sentences(stand)]))


def _settings(stand: list[StudySummary]) -> Iterable[str]:
    for outcome in stand:
        for trial in outcome.best[:SHOWN]:
            seeds = f" (mean of {repeats_of(trial)} seeds)" if repeats_of(trial) > 1 else ""
            yield f"best of {outcome.name}, trial {trial.number}{seeds}: {settings(trial.params)}"


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}" for value in trial.values)


def _sentences(stand: list[StudySummary]) -> Iterable[str]:
    short = [outcome for outcome in stand if not outcome.is_full]
    efforts = {outcome.effort for outcome in stand}
    if short:
        yield f"Not finished: the budget of each method is {stand[0].search.effort}."
    elif len(efforts) == 1:
        yield f"Equal budgets: each method had {efforts.pop()}."
    else:
        yield "Budgets differ: " + "; ".join(f"{outcome.name} had {outcome.effort}" for outcome in stand) + "."
    for outcome in stand:
        if outcome.mostly_failed:
            failed = outcome.count(TrialState.FAIL)
            yield f"{outcome.name}: {failed} of {counted(outcome.trainings, 'trial')} failed."
        if outcome.untrained:
            yield f"{outcome.name}: {counted(outcome.untrained, 'setting')} violated a constraint and were not trained."
        if outcome.is_infeasible:
            yield f"{outcome.name}: no setting satisfied all constraints. Widen its ranges, or loosen `constraints`."
