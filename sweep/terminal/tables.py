"""Comparison table of a sweep: printed, and written as CSV and LaTeX."""

import tempfile
from pathlib import Path

import pandas as pd
from rich.console import Console

from ...results import comparison, main, render, to_rich
from ...results.mlflow_client import TrackingError, answering
from ...specs import masked, one_line, sqlite_uri
from ...store import Plan, Store
from ..recorded import load_planned, sync_command
from ..tracking.artifacts import Artifacts
from ..tracking.trackers import Trackers, tracker_problem
from ..tracking.writer import Mirror
from .width import text_width

FILES = {"csv": "table.csv", "latex": "table.tex"}


def publish(plan: Plan, store: Store, tracking_uri: str, console: Console) -> None:
    """Update MLflow, print the comparison table of its runs, and print the paths of the written files.

    If MLflow cannot be reached, build the table from the store, and print the command that updates MLflow later.
    """
    problem = mirror = None
    try:
        mirror, frame = _recorded(plan, store, tracking_uri)
        table = main(comparison(frame), plan.margins)
    except TrackingError as error:
        problem = error
        with tempfile.TemporaryDirectory() as scratch:
            _, frame = _recorded(plan, store, sqlite_uri(Path(scratch) / "mlflow.db"))
            table = main(comparison(frame), plan.margins)
    console.print()
    if console.is_terminal:
        console.print(to_rich(table, console.width))
    else:
        console.out(render(table, "text", width=text_width()), highlight=False)
    folder = store.sweep_directory(plan.name)
    for form, name in FILES.items():
        folder.write(name, render(table, form).encode())
        console.print(f"{form + ':':7}{folder.located(name)}", markup=False, highlight=False, soft_wrap=True)
    if mirror is not None and problem is None:
        where = masked(tracking_uri) + _log_files(mirror, plan, store, tracking_uri)
    else:
        where = _not_recorded(problem, plan, store, tracking_uri)
    console.print(f"MLflow: {where}", markup=False, highlight=False, soft_wrap=True)
    for line in write_to_trackers(plan, store):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_to_trackers(plan: Plan, store: Store) -> list[str]:
    """Write all trials to the trackers besides MLflow. Return a line per tracker, or one with the problem."""
    trackers = Trackers(plan, store)
    try:
        trackers.update(plan.trials)
    except Exception as error:  # results do not depend on trackers
        return [f"{tracker_problem(error)} To repeat it, run: exeunt sync {plan.name}"]
    return [f"{name}: {place}" for name, place in trackers.places.items()]


def _recorded(plan: Plan, store: Store, tracking_uri: str) -> tuple[Mirror, pd.DataFrame]:
    """Update MLflow, and return its mirror and the recorded trials."""
    with answering(tracking_uri):
        mirror = Mirror(plan, store, tracking_uri)
        mirror.update_all()
        mirror.update_groups()
    return mirror, load_planned(plan, store, tracking_uri, warn=lambda _: None)  # MLflow lacks no trial now


def _log_files(mirror: Mirror, plan: Plan, store: Store, tracking_uri: str) -> str:
    """Log the files of the sweep to MLflow. Return why that failed, for the end of a line; empty if it did not."""
    try:
        with answering(tracking_uri):
            if mirror.has_own_artifacts:
                Artifacts(mirror, plan, store).log_sweep()
                return ""
        reason = f"MLflow keeps the artifacts of this experiment in {masked(mirror.artifact_location)}."
    except (TrackingError, OSError) as error:  # results do not depend on these files
        reason = one_line(masked(str(error), tracking_uri))
    command = f"{sync_command(plan.name, store, tracking_uri)} --artifacts"
    return f" without the files of the sweep. {reason} To log them, run: {command}"


def _not_recorded(problem: TrackingError | None, plan: Plan, store: Store, tracking_uri: str) -> str:
    command = sync_command(plan.name, store, tracking_uri)
    return f"incomplete. {problem} The table was built from the storage. To update MLflow, run: {command}"
