"""Comparison table of a sweep: printed, and written as CSV and LaTeX."""

import tempfile
from pathlib import Path

import pandas as pd
from rich.console import Console

from ...results import comparison, main, render, to_rich
from ...results.mlflow_client import TrackingError, answering
from ...specs import masked, sqlite_uri
from ...store import Plan, Store
from ..recorded import load_planned, sync_command
from ..tracking.writer import Mirror

FILES = {"csv": "table.csv", "latex": "table.tex"}


def publish(plan: Plan, store: Store, tracking_uri: str, console: Console) -> None:
    """Update MLflow, print the comparison table of its runs, and print the paths of the written files.

    If MLflow cannot be reached, build the table from the store, and print the command that updates MLflow later.
    """
    problem = None
    try:
        table = main(comparison(_recorded(plan, store, tracking_uri)))
    except TrackingError as error:
        problem = error
        with tempfile.TemporaryDirectory() as scratch:
            table = main(comparison(_recorded(plan, store, sqlite_uri(Path(scratch) / "mlflow.db"))))
    console.print()
    if console.is_terminal:
        console.print(to_rich(table))
    else:
        console.out(render(table, "text"), highlight=False)
    folder = store.sweep_directory(plan.name)
    for form, name in FILES.items():
        folder.write(name, render(table, form).encode())
        console.print(f"{form + ':':7}{folder.located(name)}", markup=False, highlight=False, soft_wrap=True)
    where = masked(tracking_uri) if problem is None else _not_recorded(problem, plan, store, tracking_uri)
    console.print(f"MLflow: {where}", markup=False, highlight=False, soft_wrap=True)


def _recorded(plan: Plan, store: Store, tracking_uri: str) -> pd.DataFrame:
    with answering(tracking_uri):
        mirror = Mirror(plan, store, tracking_uri)
        mirror.update_all()
        mirror.update_groups()
    return load_planned(plan, store, tracking_uri, warn=lambda _: None)  # MLflow lacks no trial now


def _not_recorded(problem: TrackingError, plan: Plan, store: Store, tracking_uri: str) -> str:
    command = sync_command(plan.name, store, tracking_uri)
    return f"incomplete. {problem} The table was built from the storage. To update MLflow, run: {command}"
