"""Tests of URIs: no credential is shown, and every path is a valid database URI."""

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy
from exeunt.specs import SpecError, has_secret, masked, require_printable, require_uri, sqlite_file, sqlite_uri
from hypothesis import example, given
from hypothesis import strategies as st

BEGIN, END = "Zq7w", "w7qZ"
"""Ends of each made-up secret: no part of it may be shown."""
LETTERS = st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters="\"'<>`\x7f")
SECRETS = st.text(st.one_of(st.sampled_from("@/?#&=:;%+"), LETTERS), max_size=12)
PLACES = (
    "s3://KEY:{}@bucket/x",
    "http://{}@host:5000",
    "https://{}:@host/at",
    "postgresql+psycopg://user:{}@host/db?sslmode=require",
    "postgresql+psycopg://host/db?user=u&password={}",
    "mysql://u:p@host/db?a=b;ssl_key={}&region=eu",
    "s3://bucket/x?{}",
    "s3://bucket/x?region=eu&endpoint_override=http://{}@host",
    "sqlite:////folder/file.db?key={}",
)
TEXTS = (
    str,
    repr,
    shlex.quote,
    lambda uri: shlex.join(["exeunt", "sync", "x", "--storage", uri, "--tracking", uri]),
    lambda uri: f"MLflow at {uri}: refused ({uri}/api/2.0), and {uri}",
)


@example("@", "http://{}@host:5000", str, False)
@example("/", "s3://KEY:{}@bucket/x", str, False)
@example("&b=", "postgresql+psycopg://host/db?user=u&password={}", str, False)
@given(SECRETS, st.sampled_from(PLACES), st.sampled_from(TEXTS), st.booleans())
def test_no_part_of_a_secret_is_shown_wherever_it_stands_in_a_uri(middle, place, text, quoted):
    secret = BEGIN + middle + END
    shown = masked(text(place.format(quote(secret, safe="") if quoted else secret)))
    assert BEGIN not in shown
    assert END not in shown
    assert "***" in shown


@given(SECRETS, st.sampled_from(PLACES), st.booleans())
def test_a_message_of_a_library_may_have_the_secret_alone(middle, place, quoted):
    secret = BEGIN + middle + END
    written = quote(secret, safe="") if quoted else secret
    shown = masked(f"url: /at?x={written}/api; password {secret!s}: wrong", place.format(written))
    assert BEGIN not in shown
    assert END not in shown


@pytest.mark.parametrize(
    "plain",
    [
        "http://127.0.0.1:5000",
        "sqlite:////home/ann@work/runs/mlflow.db",
        "s3://bucket/sweeps?endpoint_override=http://127.0.0.1:9000&region=eu-west-1",
        "postgresql://host/db?sslmode=require&connect_timeout=3",
        "a message without a URI, but with ann@host and a?b=c",
        "/runs/a@b?c=d",
    ],
)
def test_what_is_no_credential_is_shown(plain):
    assert masked(plain, plain) == plain


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://KEY:SEC/RET@bucket/x?region=eu&token=ab&b=c", "s3://***@bucket/x?region=eu&***"),
        ("postgresql://u:p?ss@host/db", "postgresql://***"),
        ("http://TOKEN@", "http://***"),
        ("http://host/x#token=ab", "http://host/x#***"),
        ("http://host/#/experiments/3", "http://host/#/experiments/3"),
        ("http://host;token=ab/x", "http://host;***/x"),
        ("no such directory: /runs/s3:/KEY:SECRET@bucket/x", "no such directory: /runs/s3:/***@bucket/x"),
        ("postgresql+psycopg:user:pass@host/db", "postgresql+psycopg:***@host/db"),
        ("one http://a:b@h/x, two s3://k:s@b", "one http://***@h/x, two s3://***@b"),
    ],
)
def test_the_rest_of_a_uri_is_shown(uri, shown):
    assert masked(uri) == shown


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("postgresql://user:secret@host/db", True),
        ("postgresql://host/db?user=u&password=secret", True),
        ("postgresql://host/db?sslpassword=secret", True),
        ("postgresql://user@host/db", False),
        ("postgresql://user:@host/db?password=", False),
        ("postgresql://host/db?application_name=x&passfile=/x", False),
        ("sqlite:////a:b@c/db", False),
    ],
)
def test_a_password_is_found(uri, found):
    assert has_secret(uri) == found


@pytest.mark.parametrize("address", ["user:SECRET@host:5000", "//user:SECRET@host/x", "htp:/user:SECRET@host"])
def test_a_password_of_an_address_without_a_scheme_is_not_shown(address):
    assert "SECRET" not in masked(f"--tracking {address}: refused", address)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=20)


@given(NAMES)
def test_the_uri_of_a_path_names_that_path(name):
    path = Path("/folder") / name
    uri = sqlite_uri(path)
    assert sqlite_file(uri) == path
    assert sqlalchemy.make_url(uri).database == str(path)
    assert masked(uri, uri) == uri


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a b", "a'b\"c", "s3:", "~", "ü☃", "x?mode=ro", "a@b", "%"])
def test_a_database_is_opened_at_its_path_and_nothing_beside_it(name, tmp_path):
    path = tmp_path / name / "some.db"
    path.parent.mkdir()
    with sqlalchemy.create_engine(sqlite_uri(path)).begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE found (x)"))
    assert [*tmp_path.rglob("*")] == [path.parent, path]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("found",)]


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////x/a%3Fb.db?timeout=5", "/x/a?b.db"),
        ("sqlite+pysqlite:////x/y.db", "/x/y.db"),
        ("sqlite:///file:/x/y.db?uri=true", None),
        ("postgresql:///x", None),
        ("http://host", None),
    ],
)
def test_the_file_of_a_uri_is_that_of_sqlalchemy(uri, file):
    assert sqlite_file(uri) == (file and Path(file))


@pytest.mark.parametrize("text", ["", "a\nb", "a\0", "\x1b[31m", "a\x85b", "\udcff"])
def test_a_path_has_no_control_characters_and_is_unicode(text):
    with pytest.raises(SpecError, match=r"--storage '.*': it must be printable text") as error:
        require_printable(text, "storage")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("wrong", [" ", "\u00a0", '"', "'", "<", ">", "`", "#"])
def test_a_uri_has_no_blanks_and_quotes_and_the_message_shows_no_part_of_it(wrong):
    with pytest.raises(SpecError, match=r"--storage s3://\.\.\.: a URI cannot contain") as error:
        require_uri(f"s3://KEY:{BEGIN}{wrong}{END}@bucket", "storage", without="#")
    assert f"as {quote(wrong)}." in str(error.value)
    assert BEGIN not in str(error.value)
