"""Studies in a real PostgreSQL server whose connections are closed and which stops and restarts."""

import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psycopg
import pytest
from exeunt.store.trial_store import Store
from exeunt.sweep.execution.shutdown import Shutdown
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.search import Studies, Tuning
from exeunt.sweep.terminal.progress import make_board
from optuna.trial import TrialState
from rich.console import Console
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from ...command_line import meanwhile, wait_until

pytestmark = pytest.mark.slow

PATIENCE = 60
"""Seconds in which a server must start or stop."""
PASSWORD = "p@ss/w:rd %40#?"
BUDGET = 4
SEARCH = """\
name: stored
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512, crop: none, flip: false}
resources: {cpu: 1}
methods: {baseline: {}, eed: {exits: all, output_loss: kl}}
search:
  budget: 4
  studies: %s
  recipe: {learning_rate: {low: 0.01, high: 0.5, log: true}}
  methods: {eed: {temperature: {low: 1, high: 8}}}
"""
SPACES = ("baseline/resnet8", "eed/resnet8")


class Postgres:
    """A PostgreSQL server with a fixed address and password, running or stopped."""

    def __init__(self, programs: Path, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = next(user for user in pwd.getpwall() if user.pw_name in ("postgres", "nobody"))
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = [
            programs / "initdb", "--pgdata", folder / "data", "--username", "exeunt", "--pwfile", secret,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ]  # fmt: skip
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._as)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"):
            words += ["-c", setting]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self._folder, **self._as)
        patience = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < patience, "the server never answered"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server, which closes all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def answers(self) -> bool:
        """Return True if the server accepts connections."""
        with suppress(psycopg.OperationalError), self.connected():
            return True
        return False

    def connected(self, name: str = "postgres") -> psycopg.Connection:
        """Return a connection to one of its databases."""
        at = {"host": "127.0.0.1", "port": self.port, "user": "exeunt", "password": PASSWORD, "dbname": name}
        return psycopg.connect(**at, connect_timeout=5, autocommit=True)

    def url(self, name: str, password: str = "$STUDIES_PASSWORD") -> str:
        """Return the URL of one of its databases, as in a sweep file."""
        return f"postgresql+psycopg://exeunt:{password}@127.0.0.1:{self.port}/{name}"


def programs_of_postgres() -> Path | None:
    """Return the directory of `initdb` and `postgres`, which is not in PATH on Debian."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wanted = ("initdb", "postgres")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A real PostgreSQL server on loopback."""
    programs = programs_of_postgres()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed; Debian's package is postgresql")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:  # pytest's are for one user only
        server = Postgres(programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def search(server, tmp_path, request, monkeypatch) -> SimpleNamespace:
    """A search with its own database: file, storage, and functions that read the database."""
    name = re.sub(r"\W", "_", request.node.name.removeprefix("test_"))[-60:].strip("_").lower()
    with server.connected() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("STUDIES_PASSWORD", PASSWORD)
    file = tmp_path / "search.yaml"
    file.write_text(SEARCH % server.url(name))
    storage = tmp_path / "runs"

    def trials() -> list[list[optuna.trial.FrozenTrial]]:
        """Return the trials of each study."""
        studies = Studies(read_sweep(file), Store(storage))
        return [studies.of(space).get_trials(deepcopy=False) for space in studies.search.spaces]

    def finished() -> int:
        """Return the number of complete trials, with a query that works while a search runs."""
        with server.connected(name) as connection:
            found = connection.execute("SELECT to_regclass('trials') IS NOT NULL").fetchone()[0]
            query = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
            return connection.execute(query).fetchone()[0] if found else 0

    words = ("search", file, "--storage", storage)
    return SimpleNamespace(file=file, storage=storage, name=name, trials=trials, finished=finished, words=words)


def results(storage: Path) -> dict[str, int]:
    """Return the time at which each result was written, by key."""
    return {path.parent.name: path.stat().st_mtime_ns for path in storage.glob("trials/*/result.json")}


def check_whole(search, answer) -> None:
    """Check a finished search: exact budgets, no running trial, and no trial that was retrained."""
    assert answer.status == 0, answer.out + answer.err
    check_silent(answer)
    assert "tuned" in answer.out
    for trials in search.trials():
        assert [trial.number for trial in trials] == list(range(BUDGET))
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
        assert all((search.storage / "trials" / trial.user_attrs["key"] / "result.json").exists() for trial in trials)
    tried = {trial.user_attrs["key"] for trials in search.trials() for trial in trials}
    assert len(tried) == BUDGET * len(SPACES), "some settings were tried twice"


def check_silent(answer) -> None:
    printed = answer.out + answer.err
    assert "Traceback" not in printed, printed
    assert PASSWORD not in printed
    assert "w:rd" not in printed
    assert "p%40ss" not in printed


def attempts(storage: Path) -> set[str]:
    """Return the file names of the attempts of all trials."""
    return {path.name for path in storage.glob("trials/*/attempt-*")}


def test_a_search_whose_studies_are_there(search, exeunt):
    answer = exeunt(*search.words)
    check_whole(search, answer)
    assert attempts(search.storage) == {"attempt-00001.json"}
    before = results(search.storage)
    answer = exeunt(*search.words)
    check_whole(search, answer)
    assert results(search.storage) == before, "the second run trained a trial"
    assert not (search.storage / "sweeps/stored/studies.journal").exists()


@contextmanager
def connections_ended(server: Postgres, begun: Callable[[], object]) -> Iterator[list[int]]:
    """Close all connections every second after `begun` holds; yield the number of closed connections each time."""
    over, ended = threading.Event(), []
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )

    def end() -> None:
        wait_until(lambda: begun() or over.is_set())
        with server.connected() as connection:
            while not over.wait(1):
                ended.append(connection.execute(query).fetchone()[0])

    with meanwhile(end):
        try:
            yield ended
        finally:
            over.set()


@pytest.mark.nightly
def test_connections_that_end_again_and_again_cost_nothing(server, search, exeunt):
    with connections_ended(server, lambda: search.finished() >= 1) as ended:
        answer = exeunt(*search.words)
    assert sum(ended) > 2, "no connection was closed"
    check_whole(search, answer)
    assert attempts(search.storage) == {"attempt-00001.json"}


@pytest.mark.nightly
def test_a_server_that_goes_away_ends_the_search_which_goes_on_when_it_is_back(server, search, exeunt):
    def stop_the_server():
        wait_until(lambda: search.finished() >= 2)
        server.stop()

    try:
        with meanwhile(stop_the_server):
            answer = exeunt(*search.words)
        assert answer.status == 2, answer.out + answer.err
        check_silent(answer)
        again = f"Cannot use the studies. Resume with: exeunt search {search.file} --storage {search.storage}\n"
        assert again in answer.out
        reason = f'connection to server at "127.0.0.1", port {server.port} failed: Connection refused'
        assert answer.err.endswith(f"exeunt: the studies of the search are unavailable: {reason}.\n")
        before = results(search.storage)
        assert 2 <= len(before) < BUDGET * len(SPACES)
        answer = exeunt(*search.words)
        assert (answer.status, answer.out) == (2, "")
        assert f"127.0.0.1:{server.port}/{search.name} cannot be used: connection to server" in answer.err
        assert len(answer.err.splitlines()) == 1
    finally:
        server.start()
    check_whole(search, exeunt(*search.words))
    after = results(search.storage)
    assert {key: after[key] for key in before} == before, "a completed trial was retrained"


@contextmanager
def connection_ended_at(server: Postgres, number: int) -> Iterator[list[str]]:
    """Close the connection just before the statement with this number; yield all statements."""
    met = []

    def execute(dialect: DefaultDialect, cursor: psycopg.Cursor, statement: str, *about: Any) -> None:
        met.append(statement)
        if len(met) == number:
            with server.connected() as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", [cursor.connection.info.backend_pid])
        really(dialect, cursor, statement, *about)

    really = DefaultDialect.do_execute
    DefaultDialect.do_execute = execute
    try:
        yield met
    finally:
        DefaultDialect.do_execute = really


def test_a_connection_that_ends_at_any_statement_of_opening_the_studies_costs_nothing(server, search, monkeypatch):
    monkeypatch.setattr("exeunt.sweep.search.studies.PAUSES", (0.0,) * 3)
    for number in itertools.count(1):
        studies = Studies(read_sweep(search.file), Store(search.storage))
        with connection_ended_at(server, number) as met:
            for space in studies.search.spaces:
                studies.of(space)
        if len(met) < number:
            break
    assert number > 10, "too few statements for a test"
    assert search.trials() == [[], []]


@contextmanager
def answers_lost(statement: str, row: int) -> Iterator[list[str]]:
    """Lose the replies of `row` commits from the second and fifth such statement on, although the commits succeed."""
    met, lost, losing = itertools.count(1), [], 0

    def begin(*about: Any) -> None:
        nonlocal losing
        if about[2].startswith(statement) and next(met) in (2, 5):
            losing = row

    def commit(dialect: DefaultDialect, pooled: Any) -> None:
        nonlocal losing
        really(dialect, pooled)
        if losing:
            losing -= 1
            lost.append(statement)
            pooled.dbapi_connection.close()
            raise psycopg.OperationalError("the connection is lost")

    really = DefaultDialect.do_commit
    event.listen(Engine, "before_cursor_execute", begin)
    DefaultDialect.do_commit = commit
    try:
        yield lost
    finally:
        DefaultDialect.do_commit = really
        event.remove(Engine, "before_cursor_execute", begin)


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO trials ",
        "INSERT INTO trial_params",
        "INSERT INTO trial_user",
        "UPDATE trials",
        "INSERT INTO studies",
    ],
)
def test_what_was_written_without_an_answer_is_written_once(statement, row, search, ended, monkeypatch):
    monkeypatch.setattr("exeunt.sweep.search.studies.PAUSES", (0.0,) * 3)
    monkeypatch.setattr("time.sleep", lambda _: None)  # Optuna sleeps between its own retries
    store, shutdown = Store(search.storage), Shutdown()
    studies = Studies(read_sweep(search.file), store)
    with answers_lost(statement, row) as lost:
        tuning = Tuning(studies, store, make_board([], 0, Console(quiet=True)), shutdown, {})
        while (planned := tuning.propose(())) is not None:
            metrics = {"validation/final/top1": float(planned.seed_index)}
            store.trial(planned.key).write_result(ended("done", metrics=metrics))
            tuning.ended(planned.key, "done")
    assert not shutdown.is_requested(), shutdown.outcome()
    assert len(lost) in (row, 2 * row)
    for trials in search.trials():
        assert [trial.number for trial in trials] == list(range(BUDGET))
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * BUDGET
        assert [trial.value for trial in trials] == [trial.number for trial in trials]
        assert [trial.user_attrs["seconds"] for trial in trials] == [1.0] * BUDGET


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql+psycopg://exeunt:$STUDIES_PASSWORD@127.0.0.1:1/none", "port 1 failed: Connection refused."),
        ("postgresql+psycopg://exeunt:$WRONG@127.0.0.1:PORT/none", "password authentication failed for user"),
        (
            "postgresql+psycopg://exeunt:w:rd@127.0.0.1:PORT/none",
            "the URL contains a password, but a sweep file is kept",
        ),
        ("postgresql+psycopg://127.0.0.1:PORT/none?password=w:rd", "write the password as an environment variable"),
        ("postgresql+psycopg://exeunt:$UNSET@127.0.0.1:PORT/none", "the environment variable UNSET, which holds the"),
        ("postgresql+psycopg://exeunt:${STUDIES_PASSWORD}@127.0.0.1:PORT/none", 'database "none" does not exist.'),
        ("postgresql+psycopg://exeunt@w@127.0.0.1:PORT/none", "has more than one @; write an @ in a user name or"),
        ("postgresql+psycopg://exeunt:port", "is not a database URL; use one such as postgresql+psycopg://"),
        ("postgress://exeunt@127.0.0.1/none", "unknown database type 'postgress'; use a URL such as"),
        ("postgresql+pg8000://exeunt@127.0.0.1/none", "(No module named 'pg8000'); write postgresql+psycopg://"),
        ("mysql+pymysql://exeunt@127.0.0.1/none", "its Python driver is not installed (No module named"),
        ("studies.db", "'studies.db' is not a database URL; use one such as"),
        ("''", "'' is not a database URL; use one such as"),
        ("sqlite://", "is an in-memory database, which is lost at exit; use a URL such as"),
        ("sqlite:////there/is/none.db", "cannot be used: unable to open database file."),
    ],
)
def test_a_url_that_cannot_be_used_is_one_message_before_anything_is_trained(
    url, reason, server, tmp_path, run, monkeypatch
):
    monkeypatch.setenv("STUDIES_PASSWORD", PASSWORD)
    monkeypatch.setenv("WRONG", "swordfish")
    file = tmp_path / "search.yaml"
    file.write_text(SEARCH % url.replace("PORT", str(server.port)))
    status, out, err = run("search", file, "--storage", tmp_path / "runs")
    assert (status, out) == (2, "")
    assert err.startswith(f"exeunt: {file}:10: search.studies: ")
    assert reason in err
    assert len(err.splitlines()) == 1
    for secret in (PASSWORD, "w:rd", "swordfish"):
        assert secret not in err
    assert not (tmp_path / "runs").exists()
