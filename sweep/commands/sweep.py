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
    note_merged_axes,
    option_words,
    resume_command,
    tracking_uri,
)
from .submit import send

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster: auto (on one of its nodes), HOST:6379, or ray://HOST:10001 for a job (default: a local Ray)",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METHOD/ARCH",
        help="Part to train, with its teachers: eed/resnet18, 'eed/*', '*/resnet*' (repeatable)",
        show_default=False,
    ),
]
MaxConcurrent = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Maximum number of trials at a time (default: as Ray's resources allow)",
        show_default=False,
    ),
]
TimeBudget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time until the sweep writes checkpoints and stops: 90s, 30min, 4h or 1d (default: no limit)",
        show_default=False,
    ),
]

Try = Annotated[
    bool,
    typer.Option(
        "--try/--no-try", help="One training step of each network with code from outside Exeunt, before the first trial"
    ),
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
    try_: Try = True,
) -> None:
    """Train every trial of FILE that has no result yet, then print the comparison table.

    To resume after an interruption, run the same command again.
    Completed trials are not retrained.
    Unfinished trials continue from their last complete checkpoint.
    If you add a value to an axis, only the new trials are trained.

    Ctrl-C once: running trials write a checkpoint and stop.
    Ctrl-C twice: the command stops at once.

    Exit status: 0 all trials completed; 1 some trials failed;
    2 error in the sweep file, the options or the storage;
    3 time budget used up; 130 interrupted.
    """
    limits = {"--max-concurrent": max_concurrent, "--time-budget": time_budget, "--only": only}
    options = resume_command(limits, data=data, tracking=tracking, download=download)
    if address is not None and address.startswith("ray://"):
        send(file, storage, address, options, plugin)
        return
    options += option_words({"--address": address, "--plugin": plugin}) + ["--no-try"] * (not try_)

    from rich.console import Console

    from ...specs import SpecError
    from ...store import hold_lease
    from ...training import DataSource
    from ..execution.shutdown import Shutdown
    from ..failure import failure_command
    from ..planning.durations import duration, seconds_of
    from ..planning.only import selected
    from ..planning.plan import missing
    from ..terminal.counts import counted

    shutdown = Shutdown(math.inf if time_budget is None else seconds_of(time_budget))
    plan, store = load_plan(file, storage, plugin)
    recorded_at = tracking_uri(store, tracking)
    console, source = Console(), DataSource(directory=data, download=download)
    again = ["exeunt", "sweep", str(file), "--storage", storage, *options]
    chosen = {trial.key for trial in selected(plan, only or [])}
    if plan.sweep.search is not None:
        raise SpecError(f"{file} has a `search` part; run: exeunt search {file}", field="search")

    from ..execution.cluster import ray_at
    from ..terminal.progress import make_board
    from ._exit import leaving
    from .migrate import convert

    with hold_lease(store.sweep_directory(plan.name), plan.name) as driver:
        convert(store, console, plan.text)
        todo = [trial for trial in missing(plan, store) if trial.key in chosen]
        store.save_sweep(plan)
        planned = counted(len(plan.trials), "trial") + (f", {len(chosen)} selected" if only else "")
        console.print(f"{plan.name}: {planned}, {len(todo)} to train", highlight=False)
        note_merged_axes(plan, console)
        if todo:
            board = make_board(todo, len(chosen) - len(todo), console)
            most = max_concurrent or math.inf
            ray = ray_at(address, trials=min(len(todo), most), resources=plan.sweep.resources, wait_for=board.wait_for)
            with leaving(console, again), closing(board), ray as ray_ready:
                from ..execution.runner import launch  # while Ray starts

                how = {"driver": driver, "shutdown": shutdown, "most": most, "tries": try_}
                launch(plan, store, source, board, ray_ready, recorded_at, **how)
            board.say(f"{board.counts} after {duration(board.elapsed)}")
            if board.first_failed is not None:
                board.say(f"Traceback: {failure_command(plan.name, board.first_failed, store.location)}")
        from ..terminal.tables import publish

        publish(plan, store, recorded_at, console)
        if any(trial.key in chosen for trial in missing(plan, store)):
            raise typer.Exit(1)
