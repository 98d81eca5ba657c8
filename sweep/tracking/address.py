"""URI of the MLflow server or database that a sweep is recorded at."""

import os
from pathlib import Path

from ...specs import SpecError, masked, require_printable, require_uri, sqlite_file
from ...store import Store

SERVERS = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""Accepted schemes of a tracking URI. MLflow accepts no new file stores."""

WAITING = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Environment variables of MLflow and their values, unless they are already set. By default MLflow waits four minutes
for each request without an answer (mlflow 3.17). A sweep repeats such a request anyway."""


def tracking_uri(store: Store, wanted: str | None) -> str:
    """Return the tracking URI of a sweep: the value of `--tracking`, or the database in the store.

    Also set the time limits of MLflow requests for this process (`WAITING`).

    Raises:
        SpecError: if the URI is neither a server nor a lasting database, or the storage cannot hold a database.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    if wanted is None:
        return store.tracking_uri
    require_printable(wanted, "tracking")
    scheme, separator, place = wanted.partition("://")
    kind = scheme.partition("+")[0]
    rule = ""
    if not separator or kind not in SERVERS:
        rule = "is neither a server nor a database; name http://HOST:PORT, https://HOST or sqlite:///FILE"
    elif kind == "sqlite" and (place == "" or sqlite_file(wanted) in (Path(), Path(":memory:"))):
        rule = "is a database in memory, which is lost at exit; name a file, sqlite:///FILE"
    if rule:
        raise SpecError(f"--tracking: {masked(wanted, wanted)!r} {rule}.", field="tracking")
    if kind != "sqlite":  # the path of a file may contain blanks and quotes
        require_uri(wanted, "tracking", without="?#" if kind.startswith("http") else "")
    return wanted
