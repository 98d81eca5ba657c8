"""Fixture: an MLflow server that can be killed and restarted."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

PATIENCE = 120
"""Seconds within which a server has to start."""


@pytest.fixture
def run(run_on_store):
    return run_on_store


class MlflowServer:
    """MLflow server with a fixed address and database, running or not."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        words = [
            Path(sys.executable).with_name("mlflow"), "server", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}",
            "--default-artifact-root", str(self._folder / "artifacts"),
        ]  # fmt: skip
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                words, stdout=log, stderr=log, start_new_session=True, env=environment, cwd=self._folder
            )
        patience = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < patience, "it never answered"
            time.sleep(0.1)

    def answers(self) -> bool:
        """Return True if the server answers."""
        with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
            return answer.status == 200
        return False

    def pause(self) -> None:
        """Let the server accept requests without answering them."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server answer again."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server and its worker."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None


@pytest.fixture
def server(tmp_path: Path, database: Path) -> Iterator[MlflowServer]:
    """Yield a server that has not started."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(database, folder / "server.db")
    server = MlflowServer(folder)
    yield server
    server.kill()
