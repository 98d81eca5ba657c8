from typing import Annotated

import typer

from ._options import Storage, Tracking, app, load_launched_plan, tracking_uri

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Of a sweep; without it, all trials.", show_default=False)
]


@app.command()
def verify(name: Name = None, storage: Storage = "runs", tracking: Tracking = None) -> None:
    """Check every result against its key, its weights, its history and its MLflow run.

    Exit status: 0 all is well, 1 it is not.
    """
    from rich.console import Console
    from rich.progress import track

    from ...results.mlflow_client import TrackingError, answering
    from ..planning.yaml_document import DocumentError
    from ..store.trial_store import Store
    from ..terminal.verify import problems_table
    from ..verify import Problem, Verifier, run_problems

    store, console = Store(storage), Console()
    recorded_at = tracking_uri(store, tracking)
    problems: list[Problem] = []
    sweeps: dict[str, list[str]] = {}
    for sweep in store.sweeps() if name is None else [name]:
        try:
            sweeps[sweep] = [trial.key for trial in load_launched_plan(sweep, storage)[0].trials]
        except DocumentError as error:  # what it names may have been moved since
            problems.append(Problem(subject=sweep, what=str(error), remedy="launch it again as it is to be"))
    begun = store.keys()
    keys = begun if name is None else [key for key in sweeps.get(name, []) if key in set(begun)]
    verifier = Verifier(store)
    looked_at = track(keys, "looking at trials", console=console, transient=True, disable=not console.is_terminal)
    problems += [problem for key in looked_at for problem in verifier.problems_of(key)]
    compared = "and MLflow"
    try:
        with answering(recorded_at):
            for sweep, of_sweep in sweeps.items():
                problems += run_problems(store, sweep, of_sweep, recorded_at)
    except TrackingError as error:
        compared = f"but not MLflow. {error}"
    if problems:
        console.print(problems_table(problems))
    count = {0: "no problems", 1: "1 problem"}.get(len(problems), f"{len(problems)} problems")
    trials = "1 trial" if len(keys) == 1 else f"{len(keys)} trials"
    console.print(
        f"{trials} in {store.location} looked at, {compared}: {count}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if problems:
        raise typer.Exit(1)
