"""The database of the Optuna studies of a search, and errors in its URL."""

import os
import re
from urllib.parse import quote

from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ...specs import has_secret, masked

EXAMPLES = "postgresql+psycopg://USER:$PASSWORD@HOST/NAME or sqlite:////DIRECTORY/FILE"
PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "30000"}
"""Timeouts of PostgreSQL's client, in seconds and in milliseconds; its defaults are many minutes."""
_VARIABLE = re.compile(r"\$(?P<brace>\{)?(?P<name>\w+)(?(brace)\})")

UNAVAILABLE = (OptunaError, SQLAlchemyError, OSError)
"""Exceptions that mean that studies cannot be read or written."""


class BadUrlError(ValueError):
    """URL of a database that cannot be used. The message contains no password."""


def open_database(written: str) -> RDBStorage:
    """Open the database at the URL of a sweep file.

    Args:
        written: URL with environment variables such as `$PASSWORD`.

    Raises:
        BadUrlError: for an invalid URL or a database that cannot be used.
        SQLAlchemyError, OptunaError: for a connection that was lost while the database was opened.
    """
    if has_secret(_VARIABLE.sub("", written)):
        rule = "the URL contains a password, but a sweep file is kept in the storage"
        raise BadUrlError(f"{rule}; write the password as an environment variable, such as {EXAMPLES}.")
    url = _url(filled := _filled(written))
    at = masked(filled)
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise BadUrlError(f"{at} is an in-memory database, which is lost at exit; use a URL such as {EXAMPLES}.")
    if re.match(r"postgresql($|\+psycopg)", url.drivername):
        url = url.set(query=PATIENCE | dict(url.query))
    try:
        return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
    except NoSuchModuleError as error:
        rule = f"unknown database type {url.drivername!r}; use a URL such as {EXAMPLES}"
        raise BadUrlError(f"{at} cannot be used: {rule}.") from error
    except ImportError as error:
        reason = f"its Python driver is not installed ({reason_of(error.__cause__ or error)})"
        if url.get_backend_name() == "postgresql":
            reason += "; write postgresql+psycopg:// and install it with: pip install 'exeunt[postgresql]'"
        raise BadUrlError(f"{at} cannot be used: {reason}") from error
    except Exception as error:  # each database driver has its own exceptions
        if _went_away(error):
            raise
        raise BadUrlError(masked(f"{at} cannot be used: {reason_of(error)}.", filled)) from error


def reason_of(error: BaseException) -> str:
    """Return the first line of the message of the innermost error."""
    error = _cause(error)
    if isinstance(error, DBAPIError) and error.orig:
        error = error.orig
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return said.removeprefix("connection failed: ").rstrip(".")


def _cause(error: BaseException) -> BaseException:
    """Return the database error inside Optuna's `StorageInternalError`, or the error itself."""
    return error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error


def _went_away(error: BaseException) -> bool:
    """Return True if the database closed the connection, is starting or is stopping.

    SQLAlchemy may not have detected it yet, so PostgreSQL's SQLSTATE (57P01 to 57P05) is checked too.
    """
    error = _cause(error)
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith("57P")


def _filled(written: str) -> str:
    """Return a URL with its environment variables expanded. Special characters of a password are quoted."""

    def password(found: re.Match[str]) -> str:
        if (value := os.environ.get(found["name"])) is None:
            variable = f"the environment variable {found['name']}, which holds the password,"
            raise BadUrlError(f"{variable} is not set; export it.")
        return f":{quote(value, safe='')}@"

    if written.startswith("sqlite"):  # a variable is part of a path, in which ? and % are quoted in a URL
        return _VARIABLE.sub(lambda found: quote(os.path.expandvars(found[0]), safe="/${}"), written)
    return os.path.expandvars(re.sub(f":{_VARIABLE.pattern}@", password, written))


def _url(text: str) -> URL:
    begin = text.partition("://")[0]
    shown = repr(f"{begin}://..." if "://" in text else text)  # without the part that may contain a password
    if text.count("@") > 1:
        raise BadUrlError(f"{shown} has more than one @; write an @ in a user name or password as %40.")
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        raise BadUrlError(f"{shown} is not a database URL; use one such as {EXAMPLES}.") from error
