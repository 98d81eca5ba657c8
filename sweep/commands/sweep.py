import os
import shlex
from typing import TYPE_CHECKING

import typer

from .program import Data, Download, Storage, SweepFile, Tracking, app, planned, tracking_uri

if TYPE_CHECKING:
    from rich.console import Console

    from ...training import DataSource
    from ..planning.plan import Plan, PlannedTrial
    from ..storage.store import Store


INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended."""


@app.command()
def sweep(
    file: SweepFile,
    storage: Storage = "runs",
    data: Data = None,
    download: Download = False,
    tracking: Tracking = None,
) -> None:
    """Train what the sweep file asks for and is not there yet; then print the comparison table.

    Run it again after any interruption: it goes on where it was, and trains nothing twice. Add a value to an axis
    and only what is new is trained.
    """
    from rich.console import Console

    from ...training import DataSource

    plan, store = planned(file, storage)
    recorded_at = tracking_uri(store, tracking)
    console = Console()
    todo = store.missing(plan)
    store.remember(plan)
    console.print(f"{plan.sweep.name}: {len(plan.trials)} trials, {len(todo)} to train", highlight=False)
    if todo:
        try:
            _train(plan, store, DataSource(directory=data, download=download), todo, console, recorded_at)
        except KeyboardInterrupt:
            options = [*_option("--data", data, "EXEUNT_DATA"), *_option("--tracking", tracking, "MLFLOW_TRACKING_URI")]
            again = shlex.join(["exeunt", "sweep", str(file), "--storage", str(storage), *options])
            console.print(f"interrupted; go on with: {again}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
    from ..display.tables import publish

    publish(plan, store, recorded_at, console)
    if store.missing(plan):
        raise typer.Exit(1)


def _option(name: str, value: object, variable: str) -> list[str]:
    """As it has to be said again, if the environment does not say it."""
    return [] if value is None or variable in os.environ else [name, str(value)]


def _train(
    plan: "Plan",
    store: "Store",
    source: "DataSource",
    todo: "list[PlannedTrial]",
    console: "Console",
    recorded_at: str,
) -> None:
    from ...training import datasets
    from ..display.board import duration, make_board
    from ..running.cluster import embedded_ray

    for name in {trial.spec.dataset.name for trial in todo}:
        datasets[name].load(source)  # fetched once, and what is wrong with it is said before anything runs
    board = make_board(todo, len(plan.trials) - len(todo), console)
    try:
        with embedded_ray() as ray_ready:
            from ..running.launch import launch  # while Ray starts

            launch(plan, store, source, board, ray_ready, recorded_at)
    finally:
        board.close()
    console.print(f"{board.counts} after {duration(board.elapsed)}", highlight=False)
