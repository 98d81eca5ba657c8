import math
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError
from ._options import Storage, Tracking, app, sweep_names, tracking_uri

if TYPE_CHECKING:
    from ..verify import Check

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="Name of a sweep (default: all trials in the storage)",
        show_default=False,
        autocompletion=sweep_names,
    ),
]


Repair = Annotated[
    bool,
    typer.Option(
        "--repair", help="Repair: specs from the plan, MLflow from the storage; a contradictory result is set aside"
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --repair: list of the repairs only")]
MaxDuration = Annotated[
    str | None,
    typer.Option("--max-duration", metavar="TIME", help="Time for checking trials, in random order: 10min, 2h"),
]


@app.command()
def verify(
    name: Name = None,
    storage: Storage = "runs",
    tracking: Tracking = None,
    repair: Repair = False,
    dry_run: DryRun = False,
    max_duration: MaxDuration = None,
) -> None:
    """Check every result against its key, its weights, its teacher, its history and its MLflow run.

    Exit status: 0 no problems, or all repaired; 1 at least one problem.
    """
    from rich.progress import track

    from ...results.mlflow_client import TrackingError, answering
    from ...store import Store
    from ..planning.durations import seconds_of
    from ..terminal.console import TerminalConsole
    from ..terminal.counts import counted
    from ..terminal.verify import problems_table
    from ..verify import Check

    if dry_run and not repair:
        raise SpecError("--dry-run lists repairs; add --repair, or leave it out.", field="dry_run")
    check, console = Check(store=Store(storage)), TerminalConsole()
    seconds = seconds_of(max_duration) if max_duration else math.inf
    recorded_at = tracking_uri(check.store, tracking)
    check.read_plans(name)
    trials = check.trials(seconds)
    number = len(check.keys)
    for _ in track(trials, "checking trials", number, console=console, transient=True, disable=not console.is_terminal):
        pass
    checked, reason = " and MLflow", ""
    try:
        with answering(recorded_at):
            check.runs(recorded_at)
    except TrackingError as error:
        checked, reason = ", but not MLflow", f". {error}"
    if check.problems:
        console.print(problems_table(check.problems))
    count = counted(len(check.problems), "problem") if check.problems else "no problems"
    share = f"{check.checked} of " if check.checked < number else ""
    what = f"Checked {share}{counted(number, 'trial')} in {check.store.location}{checked}: {count}{reason}"
    console.print(what, markup=False, highlight=False, soft_wrap=True)
    if check.problems and not (repair and _repaired(check, recorded_at, dry_run=dry_run)):
        raise typer.Exit(1)


def _repaired(check: "Check", recorded_at: str, *, dry_run: bool) -> bool:
    """Repair what can be repaired, or list the repairs; return True if nothing is left."""
    from ..repair import repair_steps
    from ..terminal.counts import counted

    for step in repair_steps(check.problems, check.store, recorded_at):
        typer.echo(f"would {step.text}" if dry_run else step.text)
        if not dry_run:
            step.act()
    left = sum(problem.repair is None for problem in check.problems)
    if left:
        typer.echo(f"not repaired: {counted(left, 'problem')}, whose fix is above")
    return not dry_run and not left
