"""How MLflow is reached, by whoever reads or writes it."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from ..specs import SpecError

TIMEOUT_S = 10
"""Seconds that a database has to answer."""
RUNS_PER_PAGE = 1000
"""MLflow takes about three seconds for so many."""

_SQLITE = "sqlite:///"
_SQLITE_BEGINS = b"SQLite format 3\0"
_REASONS = {
    r"\[Errno -?\d+\] ([^\"')]+)": r"\1",
    r"[Tt]imeout|timed out": "no answer in time",
    r"too many (\d+) error responses": r"it answers with status \1",
    r"failed with error code (\d+)": r"it answers with status \1",
}
"""What stands in MLflow's messages, and what it means."""


class TrackingError(SpecError):
    """MLflow cannot be reached, or does not do what it is asked to."""


def connect(tracking_uri: str) -> MlflowClient:
    """A client for a server or a database that is there already.

    Raises `TrackingError` for an SQLite file that is missing, which MLflow would create, though reading must not
    write; and for one that is damaged or a database that is away, which MLflow would try to open for minutes.
    """
    path = sqlite_file(tracking_uri)
    if path is not None:
        if not path.exists():
            raise TrackingError(f"tracking URI {tracking_uri!r}: there is no such database, no sweep has run there.")
        if path.is_dir():
            raise TrackingError(f"tracking URI {tracking_uri!r}: {path} is a folder; name a file in it.")
        with path.open("rb") as file:
            if file.read(len(_SQLITE_BEGINS)) != _SQLITE_BEGINS:
                raise TrackingError(f"tracking URI {tracking_uri!r}: {path} is no SQLite database, or is damaged.")
    with answering(tracking_uri):
        if path is None and not tracking_uri.startswith(("http", "databricks")):
            _open_once(tracking_uri)
        return MlflowClient(tracking_uri)


def _open_once(database: str) -> None:
    """Raises what keeps a database from being opened, which MLflow would try ten times, with pauses."""
    try:
        url = make_url(database)
    except ValueError as error:
        raise TrackingError(shown(f"tracking URI {database!r}: {error}.")) from error
    waits = url.get_backend_name() in ("postgresql", "mysql")
    engine = create_engine(url, connect_args={"connect_timeout": TIMEOUT_S} if waits else {})
    engine.connect().close()
    engine.dispose()


def shown(text: str) -> str:
    """The text, with *** for each password in a URI."""
    return re.sub(r"(?<=://)([^\s:/@]*):\S*@", r"\1:***@", text)


def runs_of(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    """All runs of an experiment that are not deleted."""
    token = None
    while True:
        # Oldest first: a run that starts while we read lands on the last page and shifts no other.
        page = client.search_runs(
            [experiment_id], max_results=RUNS_PER_PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        if not (token := page.token):
            return


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of an SQLite database; None for any other."""
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Whatever MLflow or a database raises inside is raised as a `TrackingError` that says it in a line."""
    try:
        yield
    except (MlflowException, sqlite3.Error, SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error)
        raise TrackingError(shown(f"MLflow at {tracking_uri}: {_reason(reason)}.")) from error


def _reason(message: str) -> str:
    for pattern, meaning in _REASONS.items():
        if found := re.search(pattern, message):
            return found.expand(meaning)
    return message.strip().partition("\n")[0][:300].rstrip(".")
