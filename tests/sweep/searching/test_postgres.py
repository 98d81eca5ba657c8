"""Studies in a real PostgreSQL, whose connections end and which goes away and comes back."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import optuna
import psycopg
import pytest
from exeunt.sweep.planning.file import read_sweep
from exeunt.sweep.searching import Studies
from exeunt.sweep.storage.store import Store
from optuna.trial import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]

PATIENCE = 60
"""Seconds after which a server neither starts nor stops."""
PASSWORD = "p@ss/w:rd %40#?"  # noqa: S105 (of a server that lives as long as these tests)
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
    """At one address and with one password, whether it runs or not."""

    def __init__(self, programs: Path, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:  # as whom it refuses to run
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
        """Starts it and waits until it answers."""
        words = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"):
            words += ["-c", setting]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self._folder, **self._as)
        patience = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < patience, "it never answered"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends all connections, and then itself."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def answers(self) -> bool:
        """Whether it is there."""
        with suppress(psycopg.OperationalError), self.connected():
            return True
        return False

    def connected(self, name: str = "postgres") -> psycopg.Connection:
        """A connection to one of its databases."""
        at = {"host": "127.0.0.1", "port": self.port, "user": "exeunt", "password": PASSWORD, "dbname": name}
        return psycopg.connect(**at, connect_timeout=5, autocommit=True)

    def url(self, name: str, password: str = "$STUDIES_PASSWORD") -> str:
        """Of one of its databases, as a sweep file has it."""
        return f"postgresql+psycopg://exeunt:{password}@127.0.0.1:{self.port}/{name}"


def programs_of_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`; Debian has it outside of the search path."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if all((folder / name).exists() for name in ("initdb", "postgres"))), None)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A real PostgreSQL, on loopback."""
    programs = programs_of_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here; Debian's package is postgresql")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:  # pytest's own folders are for one user only
        server = Postgres(programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
