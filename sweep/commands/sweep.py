import math
from contextlib import closing
from typing import Annotated

import typer

from ._options import (
    Data,
    Download,
    Plugins,
    Storage,
    SweepFile,
    Tracking,
    app,
    load_plan,
    option_words,
    resume_command,
    tracking_uri,
)
from .submit import send

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of a Ray cluster: auto on one of its machines, HOST:6379, or ray://HOST:10001 to send it there as a job.",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METHOD/ARCH",
        help="Train a part, and the teachers that it needs: eed/resnet18, 'eed/*', '*/resnet*'. May be said again.",
        show_default=False,
    ),
]
MaxConcurrent = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Train no more at once, whatever Ray has.", show_default=False)
]
TimeBudget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Write checkpoints and stop after 90s, 30min, 4h or 1d.", show_default=False),
]


@app.command()
def sweep(
    file: SweepFile,
    storage: Storage = "runs",
    data: Data = None,
    download: Download = False,
    tracking: Tracking = None,
    only: Only = None,
    max_concurrent: MaxConcurrent = None,
    time_budget: TimeBudget = None,
    address: Address = None,
    plugin: Plugins = None,
) -> None:
    """Train what the sweep file asks for and is not there yet; then print the comparison table.

    Run it again after any interruption: it goes on where it was, and trains nothing twice. Add a value to an axis
    and only what is new is trained.

    Ctrl-C once: what is training writes a checkpoint and stops. Twice: leave at once.

    Exit status: 0 all is trained; 1 some trials failed; 2 a mistake in the sweep file or the options;
    3 the time budget is over; 130 interrupted.
    """
    limits = {"--max-concurrent": max_concurrent, "--time-budget": time_budget, "--only": only}
    options = resume_command(limits, data=data, tracking=tracking, download=download)
    if address is not None and address.startswith("ray://"):
        send(file, storage, address, options, plugin)
        return
    options += option_words({"--address": address, "--plugin": plugin})

    from rich.console import Console

    from ...specs import SpecError
    from ...training import DataSource, datasets
    from ..execution.cluster import ray_at
    from ..execution.shutdown import Shutdown
    from ..planning.durations import duration, seconds_of
    from ..planning.only import selected
    from ..store.lease import hold_lease
    from ..terminal.progress import make_board
    from ..terminal.tables import publish
    from ._exit import leaving

    shutdown = Shutdown(math.inf if time_budget is None else seconds_of(time_budget))
    plan, store = load_plan(file, storage, plugin)
    recorded_at = tracking_uri(store, tracking)
    console, source = Console(), DataSource(directory=data, download=download)
    again = ["exeunt", "sweep", str(file), "--storage", storage, *options]
    chosen = {trial.key for trial in selected(plan, only or [])}

    if plan.sweep.search is not None:
        raise SpecError(f"{file} has a `search` part, so it is run by: exeunt search {file}", field="search")
    with hold_lease(store.sweep_folder(plan.sweep.name), plan.sweep.name) as driver:
        todo = [trial for trial in store.missing(plan) if trial.key in chosen]
        store.save_sweep(plan)
        of_them = f", {len(chosen)} of them chosen" if only else ""
        console.print(f"{plan.sweep.name}: {len(plan.trials)} trials{of_them}, {len(todo)} to train", highlight=False)
        if todo:
            for name in {trial.spec.dataset.name for trial in todo}:
                datasets[name].load(source)  # fetched once, and what is wrong with it is said before anything runs
            board = make_board(todo, len(chosen) - len(todo), console)
            with leaving(console, again), closing(board), ray_at(address) as ray_ready:
                from ..execution.runner import launch  # while Ray starts

                most = max_concurrent or math.inf
                launch(plan, store, source, board, ray_ready, recorded_at, driver=driver, shutdown=shutdown, most=most)
            board.say(f"{board.counts} after {duration(board.elapsed)}")
        publish(plan, store, recorded_at, console)
        if any(trial.key in chosen for trial in store.missing(plan)):
            raise typer.Exit(1)
