"""Ray clusters whose machines are process groups on this machine."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 120
TOKEN = "0123456789abcdef" * 4


def free_port() -> int:
    """Return a free port above Ray's worker ports (below 20000) and below the ephemeral ports (from 32768)."""
    while True:
        port = 20000 + secrets.randbelow(12768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class Cluster:
    """Ray cluster with token authentication; each node is a process group on this machine."""

    folder: Path
    port: int = field(default_factory=free_port)
    dashboard: int = field(default_factory=free_port)
    client: int = field(default_factory=free_port)
    machines: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        (self.folder / "token").write_text(TOKEN)
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_health_check_failure_threshold": "2",
        }

    def start(self, *options: object) -> subprocess.Popen[str]:
        ray = Path(sys.executable).with_name("ray")
        log = (self.folder / f"machine{len(self.machines)}.log").open("w")
        here = ["--node-ip-address=127.0.0.1", "--dashboard-agent-listen-port=0"]  # another Ray may use its port
        words = [ray, "start", "--block", "--disable-usage-stats", *here, *map(str, options)]
        machine = subprocess.Popen(
            words, stdout=log, stderr=subprocess.STDOUT, text=True, env=self.environment, start_new_session=True
        )
        self.machines.append(machine)
        self.until(lambda: "block forever" in Path(log.name).read_text(), machine)
        return machine

    def start_head(self, cpus: int, *, dashboard: bool = True) -> None:
        """Start the first machine, with or without the dashboard, which accepts jobs."""
        head = self.start(
            "--head", f"--port={self.port}", f"--dashboard-port={self.dashboard}", f"--num-cpus={cpus}",
            f"--ray-client-server-port={self.client}", f"--include-dashboard={str(dashboard).lower()}",
            f"--temp-dir={self.folder / 'r'}",
        )  # fmt: skip
        if dashboard:
            self.until(lambda: listens(self.dashboard) and listens(self.client), head)

    def join(self, *options: object) -> subprocess.Popen[str]:
        """Start a further machine."""
        return self.start(f"--address={self.address}", *options)

    def until(self, condition: Callable[[], object], machine: subprocess.Popen[str]) -> None:
        patience = time.monotonic() + PATIENCE
        while not condition():
            assert machine.poll() is None, "it ended"
            assert time.monotonic() < patience, "it never happened"
            time.sleep(0.05)

    def stop(self) -> None:
        for machine in reversed(self.machines):
            pids = [machine.pid, *children(machine.pid)] if machine.poll() is None else []
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            machine.wait()


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as folder:  # pytest's names are too long for Ray's sockets
        cluster = Cluster(Path(folder))
        try:
            yield cluster
        finally:
            cluster.stop()
