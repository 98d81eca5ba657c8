"""URIs: databases as URIs, and texts without the credentials of the URIs in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from .errors import SpecError
from .text import is_printable

HIDDEN = "***"
"""Replacement of credentials."""

_URI = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>`]*)""")
_WITHOUT_SLASHES = re.compile(
    r"""\b((?:https?|s3|gs|ray|postgres\w*|mysql|mssql)(?:\+\w+)?:/?)[^\s"'<>`/:]+:[^\s"'<>`]*@"""
)
"""Pattern of a mistyped URI with a password, such as `s3:/KEY:SECRET@`."""
_WITHOUT_SCHEME = re.compile(r"(?:\w+:)?/{0,2}([^\s/:]+:[^\s]+)@\S*")
"""Pattern of an address with a password, such as `user:password@host:5000`."""
_NOT_IN_URIS = re.compile(r"""[\s"'<>`]""")
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///([^?]*)")
_SHOWN = ("endpoint_override", "region", "scheme", "sslmode", "connect_timeout", "timeout")
"""Names of query values that hold no credentials."""
_PLAIN = re.compile(r"[\w.:/-]*")
"""Pattern of query values that are shown; an @ would end credentials of an inner URI."""
_SHORTEST = 4
"""Characters of the shortest credential that is searched for outside its URI."""


def masked(text: str, *uris: str) -> str:
    """Replace the credentials of all URIs in a text by `***`: user, password, token, and most query values.

    Args:
        text: a URI, a message or a command line.
        uris: URIs whose credentials the text may contain alone, as messages of libraries do.
    """
    for uri in uris:
        for credential in sorted(_credentials(uri), key=len, reverse=True):
            text = text.replace(credential, HIDDEN)
    text = _WITHOUT_SLASHES.sub(rf"\1{HIDDEN}@", text)
    return _URI.sub(lambda found: found[1] + _masked(found[2]), text)


def _masked(rest: str) -> str:
    """Return the part of a URI after `://` without credentials."""
    user, place, query = _split(rest)
    if not rest.startswith("/"):
        place = _without_parameters(place)
    shown = (f"{HIDDEN}@{place}" if place else HIDDEN) if user else place
    parts = dict.fromkeys(part if _is_public(part) else HIDDEN for part in query)
    return shown + ("?" + "&".join(parts) if parts else "")


def _without_parameters(place: str) -> str:
    """Return host and path without parameters after a semicolon and without a fragment, unless that is a path."""
    path, mark, fragment = place.partition("#")
    path = re.sub(";[^/]+", f";{HIDDEN}", path)
    is_path = fragment.startswith("/") and _PLAIN.fullmatch(fragment)  # a page of MLflow
    return path + mark + (fragment if is_path or not fragment else HIDDEN)


def _split(rest: str) -> tuple[str, str, list[str]]:
    """Return user info, place and query of the part of a URI after `://`; a user info may contain any character."""
    address, _, query = rest.partition("?")
    if rest.startswith("/"):  # a path without a host, as in sqlite:///FILE
        user, place = "", address
    elif "@" in query:  # it ends either a user info with a question mark, or a query value
        return rest, "", []
    else:
        user, _, place = address.rpartition("@")
    return user, place, re.split("[&;]", query) if query else []


def _is_public(part: str) -> bool:
    name, _, value = part.partition("=")
    return name in _SHOWN and _PLAIN.fullmatch(unquote(value)) is not None


def _credentials(uri: str) -> Iterator[str]:
    """Iterate over the credentials in a URI, and in the URIs in its query, as written and decoded."""
    rest = uri.partition("://")[2]
    user = "" if rest.startswith("/") else rest.rpartition("@")[0]
    if "://" not in uri and (found := _WITHOUT_SCHEME.fullmatch(uri)) is not None:
        user = found[1]
    name, _, password = user.partition(":")
    values = [
        part.partition("=")[2] or part for part in re.split("[&;]", rest.partition("?")[2]) if not _is_public(part)
    ]
    for credential in (user, password or name, *values):
        yield from (text for text in (credential, unquote(credential)) if len(text) >= _SHORTEST)
    for inner in {*values, *map(unquote, values)}:
        if "://" in inner:
            yield from _credentials(inner)


def has_secret(uri: str) -> bool:
    """Return True if a URI contains a password, in its user info or as a query value."""
    user, _, query = _split(uri.partition("://")[2])
    names = (part.partition("=")[0] for part in query if not part.endswith("="))
    return bool(user.partition(":")[2]) or any(re.search("(?i)pass(word)?$|secret|token", name) for name in names)


def require_printable(text: str, option: str) -> None:
    """Raise `SpecError` if a path or URI is empty, has control characters, or is no valid Unicode text."""
    if not text or not is_printable(text):
        problem = "it must be printable text, without line breaks, control characters and invalid UTF-8"
        raise SpecError(f"--{option} {masked(ascii(text))}: {problem}.", field=option)


def require_uri(uri: str, option: str, *, without: str = "") -> None:
    """Raise `SpecError` if a URI contains blanks, quotes, < or >, or one of the characters in `without`."""
    if wrong := _NOT_IN_URIS.search(uri) or (without and re.search(f"[{re.escape(without)}]", uri)):
        scheme = uri.partition("://")[0]  # the character may be part of a password, so no more is shown
        fix = f"write {wrong[0]!r} as {quote(wrong[0], safe='')}"
        raise SpecError(f"--{option} {scheme}://...: a URI cannot contain {wrong[0]!r}; {fix}.", field=option)


def sqlite_uri(path: Path) -> str:
    """Return the URI of an SQLite database, for MLflow and SQLAlchemy."""
    if not re.search("[%?]", str(path)):
        return f"sqlite:///{path}"
    # MLflow creates the directory of a `sqlite:///` URI without decoding it (3.17), but not with a driver's name.
    return f"sqlite+pysqlite:///{quote(str(path))}"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of an SQLite database; None for any other URI."""
    found = _SQLITE.match(uri)
    return Path(unquote(found[1])) if found and not found[1].startswith("file:") else None
