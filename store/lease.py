"""Lease of a sweep: one process at a time runs it, on any machine."""

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from ..specs import SpecError
from .directory import Directory, StorageError
from .fencing import StaleAttemptError
from .liveness import PROCESS, heartbeat, is_alive, this_process
from .records import Record, RecordFile, is_text, is_time

FILE = "driver.json"
DRIVER = RecordFile(
    required=PROCESS | {"since": is_time, "token": is_text},
    remedy="If no process runs the sweep, remove the file.",
)


class SweepLockedError(SpecError):
    """Conflict with another process that runs the sweep."""


@contextmanager
def hold_lease(directory: Directory, name: str) -> Iterator[str]:
    """Make this process the driver of the sweep with this directory while the context lasts.

    The context yields a token by which workers identify the driver. The lease of a dead driver is void: on this
    machine its process is checked, on another machine its heartbeat.

    Raises:
        SweepLockedError: if another process runs the sweep; the message has its PID, host and start time.
    """
    token = secrets.token_hex(8)
    ours = this_process() | {"since": time.time(), "token": token}

    def require_free() -> None:
        if (owner := lease_owner(directory)) is not None:
            since = datetime.fromtimestamp(owner["since"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            whose = f"process {owner['pid']} on {owner['host']} since {since}"
            raise SweepLockedError(f"sweep {name!r} is being run by {whose}; follow it with `exeunt status {name}`.")

    def is_ours() -> bool:
        holder = _holder(directory)
        return holder is not None and holder["token"] == token

    def beat() -> bool:
        if is_ours():
            DRIVER.write(directory, FILE, ours | {"seen": time.time()})
            return True
        return False

    require_free()
    try:
        DRIVER.write(directory.guarded(require_free), FILE, ours)
        if not is_ours():  # an object store has no locks: of two drivers that start at once, the later one holds it
            require_free()
        with heartbeat(beat):
            yield token
    finally:
        with suppress(SpecError):
            if is_ours():
                directory.remove(FILE)


def lease_owner(directory: Directory) -> Record | None:
    """Return the live driver of the sweep with this directory: `host`, `pid`, `since`; None if there is none."""
    holder = _holder(directory)
    return holder if holder is not None and is_alive(holder, lambda: _holder(directory)) else None


def old_lease_owner(directory: Directory) -> Record | None:
    """Return the live driver if it is Exeunt 0.1.0, whose lease has no format version; None otherwise."""
    return None if b'"format"' in (directory.read(FILE) or b"") else lease_owner(directory)


def require_driver(directory: Directory, token: str) -> None:
    """Check, in a worker, that the driver that sent the trial still runs the sweep.

    Raises:
        StorageError: if there is no lease, because this machine has a different directory at that path.
        StaleAttemptError: if another driver has taken over.
    """
    holder = _holder(directory)
    if holder is None:
        rule = "on a cluster, --storage must be a directory that all nodes share, or a URI such as s3://BUCKET/FOLDER"
        raise StorageError(f"{directory.located(FILE)} does not exist on {socket.gethostname()}: {rule}.")
    if holder["token"] != token:
        raise StaleAttemptError(f"process {holder['pid']} on {holder['host']} runs the sweep now")


def _holder(directory: Directory) -> Record | None:
    return DRIVER.read(directory, FILE)
