"""Submission of a sweep as a Ray job, which continues if this machine disconnects."""

import asyncio
import logging
import re
import secrets
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from ray.job_submission import JobStatus, JobSubmissionClient

from ...specs import SpecError, masked
from ...store import PLUGINS, LocalDirectory, keep_plugins
from ..planning.sweep_file import Sweep
from .runtime_env import packed

FILE = "sweep.yaml"
COMMAND_FILE = "command.sh"
"""File with the command of the job. Ray shows a job's entrypoint, and the command may contain credentials."""

NO_AGENT = "No available agent"
STARTING = (NO_AGENT, "Initialization failure")
"""Parts of the error messages of a cluster that has just started."""
START_TIMEOUT_S = 60.0
"""Seconds within which a new cluster has to accept the job."""
PORT_TAKEN = (
    "another Ray on its machine may use port 52365, which jobs need; "
    "start the cluster with `ray start --dashboard-agent-listen-port=0`, which chooses a free port"
)
"""Possible cause of `NO_AGENT` (ray 2.60): Ray starts without that port and reports no error."""


class SubmittedSweep:
    """Ray job that runs a sweep."""

    def __init__(self, client: JobSubmissionClient, name: str) -> None:
        """Wrap a job that was submitted through the client."""
        self._client = client
        self.name = name

    def lines(self) -> Iterator[str]:
        """Iterate over the output of the job until it ends."""
        stream = self._client.tail_job_logs(self.name)
        loop = asyncio.new_event_loop()
        try:
            while True:
                try:
                    yield loop.run_until_complete(anext(stream))
                except StopAsyncIteration:
                    return
        finally:
            loop.close()

    def succeeded(self) -> bool:
        """Return True if the job succeeded. Call this after the job has ended."""
        return self._client.get_job_status(self.name) == JobStatus.SUCCEEDED


def submit(sweep: Sweep, address: str | None, storage: str, options: list[str]) -> SubmittedSweep:
    """Submit this package, the sweep file and its plugins as a job that runs `exeunt sweep` on a cluster.

    Args:
        sweep: sweep to run; weight files that it names must exist at the same paths on the cluster.
        address: address of the cluster's dashboard, such as `http://127.0.0.1:8265`, or of the cluster.
        storage: URI or absolute path that all nodes of the cluster share.
        options: further arguments of `exeunt sweep`.

    Raises:
        SpecError: if no cluster accepts jobs at the address, or if the storage is a relative path.
    """
    if "://" not in storage and not Path(storage).is_absolute():
        rule = "a cluster needs an absolute path that all nodes share, or a URI such as s3://BUCKET/FOLDER"
        raise SpecError(f"--storage {storage}: {rule}.", field="storage")
    for talkative in ("ray.dashboard", "ray._private.runtime_env"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    command = "sweep" if sweep.search is None else "search"
    words = ["python", "-m", "exeunt.sweep", command, FILE, "--address", "auto", "--storage", storage, *options]
    words += [word for plugin in sweep.plugins for word in ("--plugin", f"{PLUGINS}/{plugin.name}")]
    name = f"exeunt-{re.sub(r'[^A-Za-z0-9_-]', '-', sweep.name)}-{secrets.token_hex(4)}"
    with packed() as package:
        (package / FILE).write_text(sweep.text, encoding="utf-8")
        (package / COMMAND_FILE).write_text(f"exec {shlex.join(words)}\n", encoding="utf-8")
        keep_plugins(LocalDirectory(package), sweep.plugins)
        patience = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                client = JobSubmissionClient(address)
                client.submit_job(
                    entrypoint=f"sh {COMMAND_FILE}",
                    submission_id=name,
                    runtime_env={"working_dir": str(package)},
                    metadata={"sweep": sweep.name, "command": masked(shlex.join(words))},
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                if any(sign in str(error) for sign in STARTING) and time.monotonic() < patience:
                    time.sleep(1)
                    continue
                raise _refusal(address, error) from error
            return SubmittedSweep(client, name)


def require_jobs(address: str) -> None:
    """Raise `SpecError` if no cluster accepts jobs at an address."""
    try:
        JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _refusal(address, error) from error


def _refusal(address: str | None, error: Exception) -> SpecError:
    reason = masked(str(error), address or "").strip().splitlines()[0].rstrip(".")
    advice = f". Possible cause: {PORT_TAKEN}" if NO_AGENT in reason else ""
    problem = f"no cluster accepts jobs there: {reason}{advice}"
    return SpecError(f"--address {masked(address or '')}: {problem}.", field="address")
