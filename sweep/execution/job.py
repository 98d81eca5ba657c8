"""A sweep that runs on a cluster as a job, and goes on when this machine leaves."""

import asyncio
import logging
import re
import secrets
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from ray.job_submission import JobStatus, JobSubmissionClient

from ...specs import SpecError
from ...training import LocalFolder
from ..planning.sweep_file import Sweep
from ..store.plugins import FOLDER as PLUGINS
from ..store.plugins import keep
from .runtime_env import packed

FILE = "sweep.yaml"

NO_AGENT = "No available agent"
STARTING = (NO_AGENT, "Initialization failure")
"""What a cluster says that has just started."""
START_TIMEOUT_S = 60.0
"""Seconds in which it may find a process for the job."""
PORT_TAKEN = (
    "its machine may run another Ray, which has the port 52365 that jobs come through; "
    "`ray start --dashboard-agent-listen-port=0` takes a free one"
)
"""Why a cluster may never find one (ray 2.60): Ray starts without that port and tells nobody."""


class SubmittedSweep:
    """A job that was sent to a cluster."""

    def __init__(self, client: JobSubmissionClient, name: str) -> None:
        """Of a job that the client knows."""
        self._client = client
        self.name = name

    def lines(self) -> Iterator[str]:
        """What the job prints, as it does, until its end."""
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
        """Whether it ended well. Call it once it has ended."""
        return self._client.get_job_status(self.name) == JobStatus.SUCCEEDED


def submit(sweep: Sweep, address: str | None, storage: str, options: list[str]) -> SubmittedSweep:
    """Sends this package, the sweep's file and its plugins to a cluster, which runs `exeunt sweep` there.

    Args:
        sweep: what to run; files of weights that it names must be where it says on the cluster.
        address: of the cluster's dashboard, such as `http://127.0.0.1:8265`, or of the cluster.
        storage: a URI or an absolute path that all machines of the cluster share.
        options: more words for `exeunt sweep`.

    Raises:
        SpecError: where there is no cluster, or the storage means something else on each machine.
    """
    if "://" not in storage and not Path(storage).is_absolute():
        rule = "on a cluster it is an absolute path that all machines share, or a URI such as s3://BUCKET/FOLDER"
        raise SpecError(f"--storage {storage}: {rule}.", field="storage")
    for talkative in ("ray.dashboard", "ray._private.runtime_env"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    command = "sweep" if sweep.search is None else "search"
    words = ["python", "-m", "exeunt.sweep", command, FILE, "--address", "auto", "--storage", storage, *options]
    words += [word for plugin in sweep.plugins for word in ("--plugin", f"{PLUGINS}/{plugin.name}")]
    name = f"exeunt-{re.sub(r'[^A-Za-z0-9_-]', '-', sweep.name)}-{secrets.token_hex(4)}"
    with packed() as package:
        (package / FILE).write_text(sweep.text, encoding="utf-8")
        keep(LocalFolder(package), sweep.plugins)
        patience = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                client = JobSubmissionClient(address)
                client.submit_job(
                    entrypoint=shlex.join(words),
                    submission_id=name,
                    runtime_env={"working_dir": str(package)},
                    metadata={"sweep": sweep.name},
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                if any(sign in str(error) for sign in STARTING) and time.monotonic() < patience:
                    time.sleep(1)
                    continue
                raise _refusal(address, error) from error
            return SubmittedSweep(client, name)


def require_jobs(address: str) -> None:
    """Raises `SpecError` where no cluster takes jobs at an address."""
    try:
        JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _refusal(address, error) from error


def _refusal(address: str | None, error: Exception) -> SpecError:
    reason = str(error).strip().splitlines()[0].rstrip(".")
    advice = f". Perhaps {PORT_TAKEN}" if NO_AGENT in reason else ""
    return SpecError(f"--address {address or ''}: no cluster takes jobs there: {reason}{advice}.", field="address")
