"""Recorded trials of a planned sweep, as its tables, figures and report show them."""

import shlex
from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from ..results.frame import to_frame
from ..results.mlflow_reader import experiment_id, is_of_trial, runs_in
from ..results.mlflow_sqlite import RecordedRun
from ..specs import SpecError, masked, sqlite_file
from ..store import Plan, PlannedTrial, Progress, Store, lease_owner
from .terminal.counts import counted
from .tracking.records import params_of, tags_of


def load_planned(plan: Plan, store: Store, tracking_uri: str, warn: Callable[[str], object]) -> pd.DataFrame:
    """Read the recorded trials of a sweep from MLflow, as `results.load`, and add the trials that MLflow lacks.

    The state of an added trial is `not recorded` if the storage has it, otherwise `not run`. A recorded trial that is
    not planned has the role `unplanned`.

    Args:
        plan: plan of the sweep.
        store: storage of the sweep.
        tracking_uri: URI of the MLflow server or database.
        warn: is called with a line if MLflow lacks trials that the storage has, and no process is about to write them.

    Raises:
        SpecError: if MLflow has no trial of the plan, or a run was not written by Exeunt.
        TrackingError: a `SpecError`, if MLflow cannot be reached.
    """
    planned = {trial.key: trial for trial in plan.trials}
    recorded = _recorded(plan.name, tracking_uri)
    lacking = planned.keys() - {run.tags.get("exeunt.key") for run in recorded}
    progress = store.progress_of(lacking, plan.stopping)
    unrecorded = [key for key in lacking if progress[key].state != "waiting"]
    if unrecorded and lease_owner(store.sweep_directory(plan.name)) is None:
        what = f"{_place(tracking_uri)} lacks {counted(len(unrecorded), 'trial')} of sweep {plan.name!r}"
        problem = f"{what} that the storage has. To write them, run: {sync_command(plan.name, store, tracking_uri)}"
        if len(lacking) == len(planned):
            raise SpecError(problem)
        warn(problem)
    elif len(lacking) == len(planned):
        raise SpecError(f"{_place(tracking_uri)} has no trial of sweep {plan.name!r} yet; run the sweep.")
    runs = [run if run.tags.get("exeunt.key") in planned else _unplanned(run) for run in recorded]
    return to_frame({plan.name: [*runs, *(_absent(planned[key], progress[key]) for key in lacking)]})


def sync_command(name: str, store: Store, tracking_uri: str) -> str:
    """Return the command that writes a sweep's trials to MLflow, without passwords."""
    where = ["--storage", store.location, "--tracking", tracking_uri]
    return masked(shlex.join(["exeunt", "sync", name, *where]))


def _recorded(name: str, tracking_uri: str) -> list[RecordedRun]:
    """Return the runs of a sweep's trials; none if its experiment or the database does not exist."""
    if _is_lost(tracking_uri) or (found := experiment_id(tracking_uri, name)) is None:
        return []
    return [run for run in runs_in(tracking_uri, found) if is_of_trial(run)]


def _is_lost(tracking_uri: str) -> bool:
    """Return True if the URI names a file that does not exist."""
    path = sqlite_file(tracking_uri)
    return path is not None and not path.exists()


def _place(tracking_uri: str) -> str:
    return f"MLflow at {masked(tracking_uri)}" + (" (no such database)" if _is_lost(tracking_uri) else "")


def _unplanned(run: RecordedRun) -> RecordedRun:
    return run._replace(tags=run.tags | {"exeunt.role": "unplanned"})


def _absent(trial: PlannedTrial, progress: Progress) -> RecordedRun:
    """Return the record of a trial without a run."""
    state = "not run" if progress.state == "waiting" else "not recorded"
    tags = tags_of(trial, replace(progress, result=None)) | {"exeunt.state": state}
    return RecordedRun(run_id="", tags=tags, params=params_of(trial), metrics={})
