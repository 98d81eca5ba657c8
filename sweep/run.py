"""Run of a sweep: the missing trials of its plan, then its comparison table."""

import math
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from rich.console import Console

from ..specs import SpecError
from ..store import Store, hold_lease
from ..store.migration import migrate_trials
from ..training import DataSource
from .cost_ledger import CostCaps
from .execution.cluster import ray_at
from .execution.cost_cap import CostCapReached
from .execution.shutdown import Shutdown
from .failure import failure_command
from .planning.durations import duration
from .planning.only import selected
from .planning.plan import SweepPlan, missing
from .terminal.counts import counted
from .terminal.progress import make_board


def run_sweep(
    file: Path,
    plan: SweepPlan,
    store: Store,
    source: DataSource,
    tracking_uri: str,
    console: Console,
    *,
    only: list[str],
    most: float = math.inf,
    address: str | None = None,
    tries: bool = True,
    shutdown: Shutdown | None = None,
    interruptions: AbstractContextManager[None] | None = None,
    caps: CostCaps = CostCaps(),  # noqa: B008 (frozen)
) -> bool:
    """Train every selected trial of a plan that has no result yet, then print and write the comparison table.

    Args:
        file: Sweep file, for messages.
        plan: Plan of a sweep without a search.
        store: Storage of the sweep.
        source: Location of the images.
        tracking_uri: URI of the MLflow server or database.
        console: Console for the progress and the table.
        only: Patterns METHOD/ARCH of the trials to train; an empty list selects all.
        most: Maximum number of trials at a time.
        address: Ray cluster; None to start a local Ray, or to use the Ray that this process is connected to.
        tries: True to try a training step of each network and method with code from outside this package at first.
        shutdown: Request to end the sweep; it also holds the time budget.
        interruptions: Context of the training, which can report its early end.
        caps: Limits of the cost of all trials of the sweep.

    Returns:
        True if all selected trials have ended without failure.

    Raises:
        SpecError: if a pattern matches no trial, the plan has a search, or another process runs the sweep.
        KeyboardInterrupt: as in `launch`.
        TimeBudgetExceeded: as in `launch`.
        StorageError: as in `launch`.
        CostCapReached: as in `launch`, after the table.
    """
    chosen = {trial.key for trial in selected(plan, only)}
    if plan.sweep.search is not None:
        raise SpecError(f"{file} has a `search` part; run: exeunt search {file}", field="search")
    with hold_lease(store.sweep_directory(plan.name), plan.name) as driver:
        convert(store, console, plan.text)
        todo = [trial for trial in missing(plan, store) if trial.key in chosen]
        store.save_sweep(plan)
        store.save_caps(plan.name, caps.limits)
        planned = counted(len(plan.trials), "trial") + (f", {len(chosen)} selected" if only else "")
        console.print(f"{plan.name}: {planned}, {len(todo)} to train", highlight=False)
        for axis in plan.sweep.merged_axes:
            if not axis.is_whole:  # a warning about the others has been printed
                console.print(f"note: {axis.note}", markup=False, highlight=False, soft_wrap=True)
        reached: CostCapReached | None = None
        if todo:
            board = make_board(todo, len(chosen) - len(todo), console)
            resources = plan.sweep.resources.each
            ray = ray_at(address, trials=min(len(todo), most), resources=resources, wait_for=board.wait_for)
            with interruptions or nullcontext(), closing(board), ray as ready:
                from .execution.runner import launch  # noqa: PLC0415 (it is imported while Ray starts)

                how = {"driver": driver, "shutdown": shutdown or Shutdown(), "most": most, "tries": tries}
                try:
                    launch(plan, store, source, board, ready, tracking_uri, caps=caps, **how)
                except CostCapReached as end:
                    reached = end
            board.say(f"{board.counts} after {duration(board.elapsed)}")
            if board.first_failed is not None:
                board.say(f"Traceback: {failure_command(plan.name, board.first_failed, store.location)}")
        from .terminal.tables import publish  # noqa: PLC0415 (pandas is needed only at the end)

        publish(plan, store, tracking_uri, console)
        if reached is not None:
            raise reached
        return not any(trial.key in chosen for trial in missing(plan, store))


def convert(store: Store, console: Console, text: str) -> None:
    """Give trials of Exeunt 0.1.0 their new keys, so that the sweep with this file finds its results."""
    if converted := sum(not one.problem for one in migrate_trials(store, text)):
        console.print(f"{counted(converted, 'trial')} of Exeunt 0.1.0 converted", highlight=False)
