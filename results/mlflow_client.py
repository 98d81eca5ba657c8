"""Connections to MLflow, for reading and writing. MLflow and SQLAlchemy are imported when a client is needed."""

import logging
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..specs import SpecError, masked, sqlite_file
from ..specs.lazy import LazyModule

if TYPE_CHECKING:
    import mlflow
    import sqlalchemy
    from mlflow import MlflowClient
    from mlflow.entities import Run
else:
    mlflow = LazyModule("mlflow")
    sqlalchemy = LazyModule("sqlalchemy")

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # it logs each migration of a new database
for talkative in ("mlflow.store.db.utils", "urllib3.connectionpool"):
    logging.getLogger(talkative).setLevel(logging.ERROR)  # they log each retry with its URI; the last error is raised

TIMEOUT_S = 10
"""Timeout of a database connection, in seconds."""
RUNS_PER_PAGE = 1000
"""Page size of a query; MLflow needs about three seconds per page."""

_ERRORS = {"mlflow.exceptions": "MlflowException", "sqlalchemy.exc": "SQLAlchemyError"}
"""Base classes of the errors of MLflow and of databases, by module."""
_SQLITE_BEGINS = b"SQLite format 3\0"
_REASONS = {
    r"\[Errno -?\d+\] ([^\"')]+)": r"\1",
    r"[Tt]imeout|timed out": "no answer in time",
    r"too many (\d+) error responses": r"the server returned status \1",
    r"failed with error code (\d+)": r"the server returned status \1",
}
"""Patterns of MLflow's messages, and their short forms."""


class TrackingError(SpecError):
    """Failure to reach MLflow, or a request that MLflow refuses."""


def connect(tracking_uri: str) -> "MlflowClient":
    """Return a client for an existing server or database.

    A missing SQLite file is an error, because MLflow would create it and reading must not write. A damaged file or an
    unreachable database fails here at once, because MLflow would retry for minutes.

    Raises:
        TrackingError: If the file is missing or damaged, or the database cannot be opened.
    """
    path = existing_file(tracking_uri)
    with answering(tracking_uri):
        if path is None and not tracking_uri.startswith(("http", "databricks")):
            _open_once(tracking_uri)
        return mlflow.MlflowClient(tracking_uri)


def existing_file(tracking_uri: str) -> Path | None:
    """Return the file of an SQLite database; None for any other URI.

    Raises:
        TrackingError: If the file is missing, or is not an SQLite database.
    """
    path = sqlite_file(tracking_uri)
    named = f"tracking URI {masked(tracking_uri)!r}"
    if path is not None:
        if not path.exists():
            raise TrackingError(f"{named}: no such database; check the path, or run a sweep.")
        if path.is_dir():
            raise TrackingError(f"{named}: {path} is a directory; name a file in it.")
        with path.open("rb") as file:
            if file.read(len(_SQLITE_BEGINS)) != _SQLITE_BEGINS:
                raise TrackingError(f"{named}: {path} is not an SQLite database, or is damaged.")
    return path


def _open_once(database: str) -> None:
    """Open a database once and raise its error; MLflow would retry ten times, with pauses."""
    try:
        url = sqlalchemy.make_url(database)
    except ValueError as error:
        raise TrackingError(masked(f"tracking URI {database!r}: {error}.", database)) from error
    waits = url.get_backend_name() in ("postgresql", "mysql")
    engine = sqlalchemy.create_engine(url, connect_args={"connect_timeout": TIMEOUT_S} if waits else {})
    engine.connect().close()
    engine.dispose()


def runs_of(client: "MlflowClient", experiment_id: str) -> "Iterator[Run]":
    """Iterate over all runs of an experiment that are not deleted."""
    token = None
    while True:
        # Oldest first: a run that starts meanwhile comes last and does not shift the pages.
        page = client.search_runs(
            [experiment_id], max_results=RUNS_PER_PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        if not (token := page.token):
            return


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Convert errors of MLflow or of a database in the block to a one-line `TrackingError`."""
    try:
        yield
    except _errors() as error:
        reason = str(getattr(error, "orig", None) or error)
        told = masked(f"MLflow at {tracking_uri}: {_reason(reason)}.", tracking_uri)
        raise TrackingError(told) from error


def _errors() -> tuple[type[Exception], ...]:
    """Return the errors of MLflow and of databases. A library that is not imported has raised none."""
    imported = (getattr(sys.modules[module], name) for module, name in _ERRORS.items() if module in sys.modules)
    return (sqlite3.Error, ImportError, *imported)


def _reason(message: str) -> str:
    for pattern, meaning in _REASONS.items():
        if found := re.search(pattern, message):
            return found.expand(meaning)
    return message.strip().partition("\n")[0][:300].rstrip(".")
