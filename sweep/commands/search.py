import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import (
    Data,
    Download,
    Overrides,
    Plugins,
    Storage,
    Tracking,
    app,
    job_options,
    load_plan,
    resume_command,
    tracking_uri,
    warn,
)
from .submit import send
from .sweep import Address, MaxConcurrent, OnEnd, TimeBudget, Try, refuse_on_end, shown_on_end

if TYPE_CHECKING:
    from rich.console import Console

    from ...store import Store
    from ...training import DataSource
    from ..planning.plan import SweepPlan

FileOrName = Annotated[
    str,
    typer.Argument(
        metavar="FILE|NAME",
        help="Sweep file (YAML), or with --show the name of the sweep",
        show_default=False,
    ),
]
Show = Annotated[bool, typer.Option("--show", help="Results and figures of the search so far, without training")]


@app.command()
def search(
    context: typer.Context,
    file: FileOrName,
    override: Overrides = None,
    storage: Storage = "runs",
    data: Data = None,
    download: Download = False,
    tracking: Tracking = None,
    max_concurrent: MaxConcurrent = None,
    time_budget: TimeBudget = None,
    on_end: OnEnd = None,
    address: Address = None,
    plugin: Plugins = None,
    show: Show = False,
    try_: Try = True,
) -> None:
    """Tune every method with the same budget on validation images, then confirm the best settings on the test set.

    The confirmation trains the best settings of each method and the settings
    of FILE on all training images, with the seeds of FILE.
    It evaluates each trained network once on the test set.
    To resume after an interruption, run the same command again.

    Exit status: as for `exeunt sweep`.
    """
    if show:
        from ...specs import SpecError
        from ...store import Store

        if override:
            raise SpecError(f"{override[0]}: --show reads a search that was launched; leave the value out.")
        _show(Store(storage), file)
        return

    if address is not None and address.startswith("ray://"):
        refuse_on_end(on_end)
        send(Path(file), storage, address, job_options(context), plugin, override)
        return

    from ...specs import SpecError
    from ...store import hold_lease
    from ...training import DataSource
    from ..execution.shutdown import Shutdown
    from ..planning.durations import seconds_of
    from ..terminal.console import TerminalConsole

    shutdown = Shutdown(math.inf if time_budget is None else seconds_of(time_budget))
    plan, store = load_plan(Path(file), storage, plugin, override)
    if plan.sweep.search is None:
        raise SpecError(f"{file} has no `search` part; add one, or run: exeunt sweep {file}", field="search")
    recorded_at = tracking_uri(store, tracking)
    console, source = TerminalConsole(), DataSource(directory=data, download=download)

    from ..run import convert
    from ._exit import leaving
    from ._on_end import notifying

    again = resume_command(context, file, override, storage, shown_on_end(on_end))
    notified = notifying(on_end, plan, store, warn)
    with notified, hold_lease(store.sweep_directory(plan.name), plan.name) as driver, leaving(console, again):
        convert(store, console, plan.text)
        store.save_sweep(plan)
        how = {"driver": driver, "shutdown": shutdown, "most": max_concurrent or math.inf, "tries": try_}
        _tune_and_confirm(store, source, console, recorded_at, address, plan, **how)


def _tune_and_confirm(
    store: "Store",
    source: "DataSource",
    console: "Console",
    recorded_at: str,
    address: str | None,
    plan: "SweepPlan",
    **how: Any,
) -> None:
    """Use up the budget of each study, train the best settings with all seeds, and print the comparison table."""
    from ...specs import SpecError
    from ..planning.plan import missing
    from ..search import Studies, is_over, outcomes, search_plan
    from ..terminal.counts import counted
    from ..terminal.search import search_table
    from ..terminal.tables import publish

    def train(**more: Any) -> None:
        _train(store, source, console, recorded_at, address, plan, **how, **more)

    def is_confirmed() -> bool:
        return all(trial.role != "result" for trial in missing(plan, store))

    studies = Studies(plan.sweep, store)
    studies.mend()
    studied = counted(len(studies.search.spaces), "study", "studies")
    console.print(f"{plan.name}: {studied}, each {studies.record.effort}", highlight=False, soft_wrap=True)
    if not is_over(outcomes(studies)):
        train(search=studies)
        plan = search_plan(plan.sweep, store)
        store.save_sweep(plan)
    console.print(search_table(outcomes(studies)))
    if not is_over(outcomes(studies)):
        raise how["shutdown"].outcome() if how["shutdown"].is_requested() else typer.Exit(1)
    if not any(outcome.best for outcome in outcomes(studies)):
        problem = f"{plan.name}: the search has found no settings: all trials failed or violate a constraint"
        raise SpecError(f"{problem}. Change the ranges or the constraints.", field="search")
    if not is_confirmed():
        train()
    publish(plan, store, recorded_at, console)
    if not is_confirmed():
        raise typer.Exit(1)


def _train(
    store: "Store",
    source: "DataSource",
    console: "Console",
    recorded_at: str,
    address: str | None,
    plan: "SweepPlan",
    **how: Any,
) -> None:
    """Train the missing trials of a plan, except failed trials of the search: they count towards its budget."""
    from ..execution.cluster import ray_at
    from ..failure import failure_command
    from ..planning.durations import duration
    from ..planning.plan import missing
    from ..terminal.progress import make_board

    board = make_board([trial for trial in missing(plan, store) if trial.role != "search"], 0, console)
    ray = ray_at(address, trials=how["most"], resources=plan.sweep.resources.each, wait_for=board.wait_for)
    with closing(board), ray as ray_ready:
        from ..execution.runner import launch  # while Ray starts

        launch(plan, store, source, board, ray_ready, recorded_at, **how)
    board.say(f"{board.counts} after {duration(board.elapsed)}")
    if board.first_failed is not None:
        board.say(f"Traceback: {failure_command(plan.name, board.first_failed, store.location)}")


def _show(store: "Store", name: str) -> None:
    """Print the results of the search of a sweep, and the directories of its figures.

    Everything is read from the plan and the studies: no code from the storage runs.
    """
    import re
    from functools import partial

    from ...specs import SpecError
    from ..search import StudyReader, summaries
    from ..search.plots import write_figures
    from ..terminal.console import TerminalConsole
    from ..terminal.counts import counted
    from ..terminal.search import search_table

    search = store.plan(name).search
    if search is None:
        raise SpecError(f"--show: sweep {name!r} has no search; name a sweep of `exeunt search`.", field="name")
    console, studies = TerminalConsole(), StudyReader(name, search, store)
    console.print(search_table(summaries(studies)))
    place = Path(store.sweep_directory(name).located("figures")) if store.is_local else Path(f"{name}-figures")
    for study_name, space in search.spaces.items():
        study = studies.steadily(partial(studies.existing, study_name))
        if study is None:
            continue
        unique = [*search.spaces.values()].count(space) == 1
        folder = place / re.sub(r"[^\w.-]|^\.+", "-", space if unique else study_name)
        written = studies.steadily(partial(write_figures, study, folder))
        console.print(f"{folder}: {counted(len(written), 'file')}", markup=False, highlight=False, soft_wrap=True)
