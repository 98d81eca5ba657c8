import math
from dataclasses import asdict
from typing import Annotated

import typer

from ...specs import SpecError
from ._options import (
    Data,
    Download,
    Overrides,
    Plugins,
    Storage,
    SweepFile,
    Tracking,
    app,
    job_options,
    load_plan,
    resume_command,
    tracking_uri,
    warn,
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

MaxDeviceHours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="Cap on the device-hours of all trials of the sweep, in all its runs (default: no cap)",
        show_default=False,
    ),
]
MaxJoules = Annotated[
    float | None,
    typer.Option(
        metavar="JOULES",
        help="Cap on the energy of all trials of the sweep, in all its runs (default: no cap)",
        show_default=False,
    ),
]
OnEnd = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND|URL",
        envvar="EXEUNT_ON_END",
        help="Shell command, or http(s) address for a POST, that gets the state of the sweep as JSON at its end",
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
    context: typer.Context,
    file: SweepFile,
    override: Overrides = None,
    storage: Storage = "runs",
    data: Data = None,
    download: Download = False,
    tracking: Tracking = None,
    only: Only = None,
    max_concurrent: MaxConcurrent = None,
    time_budget: TimeBudget = None,
    max_device_hours: MaxDeviceHours = None,
    max_joules: MaxJoules = None,
    on_end: OnEnd = None,
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
    3 time budget used up; 4 cost cap reached; 130 interrupted.
    """
    if address is not None and address.startswith("ray://"):
        refuse_on_end(on_end)
        send(file, storage, address, job_options(context), plugin, override)
        return

    from ...training import DataSource
    from ..cost_ledger import CostCaps
    from ..execution.cost_cap import CostCapReached
    from ..execution.shutdown import Shutdown
    from ..planning.durations import seconds_of
    from ..run import run_sweep
    from ..terminal.console import TerminalConsole
    from ._exit import CAPPED, leave, leaving
    from ._on_end import notifying

    shutdown = Shutdown(math.inf if time_budget is None else seconds_of(time_budget))
    caps = CostCaps(max_device_hours=max_device_hours, max_joules=max_joules)
    plan, store = load_plan(file, storage, plugin, override)
    console = TerminalConsole()
    shown = shown_on_end(on_end)
    with notifying(on_end, plan, store, warn):
        try:
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
                interruptions=leaving(console, resume_command(context, file, override, storage, shown)),
                caps=caps,
            )
        except CostCapReached as reached:
            higher = {name: f"{cap:.12g}" for name, cap in asdict(reached.sufficient).items() if cap is not None}
            again = resume_command(context, file, override, storage, shown | higher)
            raise leave(console, str(reached), again, CAPPED) from None
        if not is_complete:
            raise typer.Exit(1)


def refuse_on_end(on_end: str | None) -> None:
    """Raise `SpecError` for a notification with a job: its options are shown on the cluster."""
    if on_end is not None:
        rule = "cannot be combined with --address ray://"
        raise SpecError(f"--on-end {rule}; set EXEUNT_ON_END in the environment of the cluster.", field="on-end")


def shown_on_end(on_end: str | None) -> dict[str, str]:
    """Return the notification without secrets, for the command that resumes this one."""
    from ._on_end import shown

    return {} if on_end is None else {"on_end": shown(on_end)}
