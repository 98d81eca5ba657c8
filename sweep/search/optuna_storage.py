"""The database that the studies of a search are in, and why it cannot be used."""

import os
import re
from urllib.parse import quote

from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

EXAMPLES = "postgresql+psycopg://USER:$PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE"
PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "30000"}
"""What PostgreSQL's client waits for, in seconds and in milliseconds: by itself it waits for many minutes."""

UNAVAILABLE = (OptunaError, SQLAlchemyError, OSError)
"""What is raised where studies cannot be read or written."""


class BadUrlError(ValueError):
    """A URL is none of a database that can be used. The message has no password in it."""


def open_database(written: str) -> RDBStorage:
    """The database at a URL as a sweep file has it.

    Raises:
        BadUrlError: where there is none that can be used, in one sentence.
        SQLAlchemyError, OptunaError: where it was there and went away in this moment.
    """
    url = _url(_filled(written))
    at = url.set(query={}).render_as_string()  # its password as ***
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise BadUrlError(f"{at} is a database in memory, which keeps nothing; name a file, as {EXAMPLES}.")
    if re.match(r"postgresql($|\+psycopg)", url.drivername):
        url = url.set(query=PATIENCE | dict(url.query))
    try:
        return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
    except NoSuchModuleError as error:
        rule = f"no database is known by {url.drivername!r}; name one as {EXAMPLES}"
        raise BadUrlError(f"{at} cannot be used: {rule}.") from error
    except ImportError as error:
        reason = f"the package that speaks with it is missing ({reason_of(error.__cause__ or error)})"
        if url.get_backend_name() == "postgresql":
            reason += "; write postgresql+psycopg:// and install it with: pip install 'exeunt[postgresql]'"
        raise BadUrlError(f"{at} cannot be used: {reason}") from error
    except Exception as error:  # whatever the database's driver raises
        if _went_away(error):
            raise
        raise BadUrlError(f"{at} cannot be used: {reason_of(error)}.") from error


def reason_of(error: BaseException) -> str:
    """What an error says, in a line, without the errors around it."""
    error = _cause(error)
    if isinstance(error, DBAPIError) and error.orig:
        error = error.orig
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return said.removeprefix("connection failed: ").rstrip(".")


def _cause(error: BaseException) -> BaseException:
    """Optuna's own error for a statement that failed hides the one with the reason."""
    return error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error


def _went_away(error: BaseException) -> bool:
    """Whether a database that was there ended the connection, or is about to start or stop.

    The connection itself may not have noticed yet, so PostgreSQL's SQLSTATE (57P01 to 57P05) is looked at too.
    """
    error = _cause(error)
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith("57P")


def _filled(written: str) -> str:
    """A URL with what the environment says. A password from there stands as it is, whatever its characters."""

    def password(found: re.Match[str]) -> str:
        if (value := os.environ.get(found["name"])) is None:
            raise BadUrlError(f"the environment variable {found['name']}, which holds the password, is not set.")
        return f":{quote(value, safe='')}@"

    return os.path.expandvars(re.sub(r":\$(?P<brace>\{)?(?P<name>\w+)(?(brace)\})@", password, written))


def _url(text: str) -> URL:
    begin = text.partition("://")[0]
    shown = repr(f"{begin}://..." if "://" in text else text)  # where a password stands is not known
    if text.count("@") > 1:
        raise BadUrlError(f"{shown} has more than one @; in a name or a password write it as %40.")
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        raise BadUrlError(f"{shown} is no URL of a database; name one as {EXAMPLES}.") from error
