from typing import Annotated

import typer

from ._options import Storage, Tracking, app, tracking_uri

Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="Name of a sweep (default: all trials in the storage)", show_default=False),
]


@app.command()
def verify(name: Name = None, storage: Storage = "runs", tracking: Tracking = None) -> None:
    """Check every result against its key, its weights, its teacher, its history and its MLflow run.

    Exit status: 0 no problems; 1 at least one problem.
    """
    from rich.progress import track

    from ...results.mlflow_client import TrackingError, answering
    from ...specs import SpecError
    from ...store import DamagedFileError, Store
    from ..terminal.console import TerminalConsole
    from ..terminal.counts import counted
    from ..terminal.verify import problems_table
    from ..verify import Problem, problem_of, run_problems, trial_problems

    store, console = Store(storage), TerminalConsole()
    recorded_at = tracking_uri(store, tracking)
    problems: list[Problem] = []
    sweeps: dict[str, list[str]] = {}
    for sweep in store.sweeps() if name is None else [name]:
        try:
            sweeps[sweep] = [trial.key for trial in store.plan(sweep).trials]
        except SpecError as error:
            if name is not None and not isinstance(error, DamagedFileError):
                raise
            problems.append(problem_of(sweep, error))
    begun = store.keys()
    keys = begun if name is None else [key for key in sweeps.get(name, []) if key in set(begun)]
    looked_at = track(keys, "checking trials", console=console, transient=True, disable=not console.is_terminal)
    problems += [problem for key in looked_at for problem in trial_problems(store, key)]
    checked, reason = " and MLflow", ""
    try:
        with answering(recorded_at):
            for sweep, of_sweep in sweeps.items():
                problems += run_problems(store, sweep, of_sweep, recorded_at)
    except TrackingError as error:
        checked, reason = ", but not MLflow", f". {error}"
    if problems:
        console.print(problems_table(problems))
    count = counted(len(problems), "problem") if problems else "no problems"
    console.print(
        f"Checked {counted(len(keys), 'trial')} in {store.location}{checked}: {count}{reason}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if problems:
        raise typer.Exit(1)
