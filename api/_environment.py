"""Values of arguments that are left out: those of the environment variables that the command line reads."""

import os
from pathlib import Path

from ..store import Store
from ..sweep.tracking.address import tracking_uri
from ..training import DataSource


def data_source(data: Path | str | None, download: bool) -> DataSource:
    """Return the location of the datasets: a directory, or that of the environment variable `EXEUNT_DATA`."""
    data = data or os.environ.get("EXEUNT_DATA")
    return DataSource(directory=None if data is None else Path(data).absolute(), download=download)


def store_at(storage: Path | str | None) -> Store:
    """Return the storage at a place, or at that of the environment variable `EXEUNT_STORAGE`, or in `runs`."""
    return Store(storage or os.environ.get("EXEUNT_STORAGE") or "runs")


def tracked_at(store: Store, tracking: str | None) -> str:
    """Return a tracking URI, or that of `EXEUNT_TRACKING`, or of `MLFLOW_TRACKING_URI`, or the storage's database."""
    named = tracking or os.environ.get("EXEUNT_TRACKING") or os.environ.get("MLFLOW_TRACKING_URI")
    return tracking_uri(store, named or None)
