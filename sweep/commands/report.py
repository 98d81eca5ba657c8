from pathlib import Path
from typing import Annotated

import typer

from ...specs import SpecError, masked
from ._options import Storage, SweepName, Tracking, app, tracking_uri, warn

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Output file (default: sweeps/NAME/report.html in the storage)", show_default=False
    ),
]


@app.command()
def report(name: SweepName, storage: Storage = "runs", tracking: Tracking = None, out: Out = None) -> None:
    """Write a report of a sweep as one self-contained HTML file: summary, tables, figures, trials."""
    from ...results import history
    from ...results.report import Origin, experiment_url
    from ...results.report import report as written
    from ...store import LocalDirectory, Store
    from ..recorded import load_planned
    from ..terminal.steps import shown_steps

    if out is not None and out.is_dir():
        raise SpecError(f"--out {out} is a directory; give the path of a file.", field="out")
    store = Store(storage)
    plan = store.plan(name)
    uri = tracking_uri(store, tracking)
    where = ["--storage", masked(storage)]
    where += ["--tracking", masked(tracking)] if tracking else []
    origin = Origin(
        storage=masked(storage),
        file=masked(plan.text),
        planned=len(plan.trials) + sum(number for _, number in plan.coming),
        commands=_commands(name, where, is_search=plan.command == "search"),
        tracking=masked(tracking or ""),
        experiment=experiment_url(uri, name),
        margins=plan.margins,
    )
    with shown_steps() as step:
        step("Reading MLflow runs")
        page = written(load_planned(plan, store, uri, warn), history(uri, name), origin, step)
    folder = store.sweep_directory(name) if out is None else LocalDirectory(out.parent)
    file = "report.html" if out is None else out.name
    folder.write(file, page.encode())
    typer.echo(f"{name}: report written to {folder.located(file)}")


def _commands(name: str, where: list[str], *, is_search: bool) -> tuple[str, ...]:
    """Return the commands that reproduce the sweep and its results from its file."""
    from shlex import join

    words = [
        ["search" if is_search else "sweep", f"{name}.yaml"],
        ["table", name],
        ["figures", name],
        ["report", name],
    ]
    return tuple(join(["exeunt", *command, *where]) for command in words)
