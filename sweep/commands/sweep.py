import math
from pathlib import Path
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

    again = ["exeunt", "sweep", str(file), "--storage", storage, *options]
    train(
        file,
        storage,
        again,
        data=data,
        download=download,
        tracking=tracking,
        only=only,
        max_concurrent=max_concurrent,
        time_budget=time_budget,
        address=address,
        plugin=plugin,
        try_=try_,
    )


def train(
    file: Path,
    storage: str,
    again: list[str],
    *,
    data: Path | None = None,
    download: bool = False,
    tracking: str | None = None,
    only: list[str] | None = None,
    max_concurrent: int | None = None,
    time_budget: str | None = None,
    address: str | None = None,
    plugin: list[Path] | None = None,
    try_: bool = True,
) -> None:
    """Run the command `exeunt sweep` on this machine or a cluster; `again` is the command that resumes it.

    Raises:
        typer.Exit: with status 1 if trials failed, and the status of `leaving` if the command ends early.
    """
    from ...training import DataSource
    from ..execution.shutdown import Shutdown
    from ..planning.durations import seconds_of
    from ..run import run_sweep
    from ..terminal.console import TerminalConsole
    from ._exit import leaving

    shutdown = Shutdown(math.inf if time_budget is None else seconds_of(time_budget))
    plan, store = load_plan(file, storage, plugin)
    console = TerminalConsole()
    is_complete = run_sweep(
        file,
        plan,
        store,
        DataSource(directory=data, download=download),
        tracking_uri(store, tracking),
        console,
        only=only or [],
        most=max_concurrent or math.inf,
        address=address,
        tries=try_,
        shutdown=shutdown,
        interruptions=leaving(console, again),
    )
    if not is_complete:
        raise typer.Exit(1)
