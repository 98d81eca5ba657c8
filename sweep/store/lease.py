"""Lease of a sweep: one process at a time runs it, on any machine."""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ...specs import SpecError
from ...training import Folder, StorageError
from .fencing import StaleAttemptError

FILE = "driver.json"
HEARTBEAT_INTERVAL_S = 10.0
"""Seconds between two heartbeats."""
STALE_AFTER_S = 60.0
"""Seconds without a heartbeat after which a driver on another machine may be dead, and is observed for a while."""


class SweepLockedError(SpecError):
    """Conflict with another process that runs the sweep."""


@contextmanager
def hold_lease(folder: Folder, name: str) -> Iterator[str]:
    """Make this process the driver of the sweep with this directory while the context lasts.

    The context yields a token by which workers identify the driver. The lease of a dead driver is void: on this
    machine its process is checked, on another machine its heartbeat.

    Raises:
        SweepLockedError: if another process runs the sweep; the message has its PID, host and start time.
    """
    ours = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "namespace": _namespace(),
        "since": time.time(),
        "token": secrets.token_hex(8),
    }

    def require_free() -> None:
        holder = _holder(folder)
        if holder is not None and _is_alive(folder, holder):
            since = datetime.fromtimestamp(holder["since"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            whose = f"process {holder['pid']} on {holder['host']} since {since}"
            raise SweepLockedError(f"sweep {name!r} is being run by {whose}; follow it with `exeunt status {name}`.")

    def write(place: Folder) -> None:
        place.write(FILE, json.dumps(ours | {"seen": time.time()}).encode())

    require_free()
    write(folder.guarded(require_free))
    if not _is_ours(folder, ours):  # an object store has no locks: if two start at once, the later write wins
        require_free()
    finished = threading.Event()

    def live() -> None:
        while not finished.wait(HEARTBEAT_INTERVAL_S):
            with suppress(StorageError):  # a full disk is reported by the trials
                if not _is_ours(folder, ours):
                    return
                write(folder)

    heart = threading.Thread(target=live, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield ours["token"]
    finally:
        finished.set()
        heart.join()
        with suppress(StorageError):
            if _is_ours(folder, ours):
                folder.remove(FILE)


def lease_owner(folder: Folder) -> dict[str, Any] | None:
    """Return the driver of the sweep with this directory (`host`, `pid`, `since`); None if there is none or it died."""
    holder = _holder(folder)
    return holder if holder is not None and _is_alive(folder, holder) else None


def require_driver(folder: Folder, token: str) -> None:
    """Check, in a worker, that the driver that started it still runs the sweep with this directory.

    Raises:
        StorageError: if there is no lease, because this machine has a different directory at that path.
        StaleAttemptError: if another driver has taken over.
    """
    holder = _holder(folder)
    if holder is None:
        rule = "on a cluster, --storage must be a directory that all nodes share, or a URI such as s3://BUCKET/FOLDER"
        raise StorageError(f"{folder.located(FILE)} does not exist on {socket.gethostname()}: {rule}.")
    if holder["token"] != token:
        raise StaleAttemptError(f"process {holder['pid']} on {holder['host']} runs the sweep now")


def _holder(folder: Folder) -> dict[str, Any] | None:
    try:
        return json.loads(folder.read(FILE) or b"null")
    except ValueError:  # truncated by something other than Exeunt
        return None


def _is_ours(folder: Folder, ours: dict[str, Any]) -> bool:
    holder = _holder(folder)
    return holder is not None and holder["token"] == ours["token"]


def _is_alive(folder: Folder, holder: dict[str, Any]) -> bool:
    if (holder["host"], holder["namespace"]) == (socket.gethostname(), _namespace()):
        return holder["born"] == _born(holder["pid"])
    if 0 <= time.time() - holder["seen"] < STALE_AFTER_S:
        return True
    time.sleep(1.5 * HEARTBEAT_INTERVAL_S)  # the clocks of the machines may differ
    later = _holder(folder)
    return later is not None and later["seen"] != holder["seen"]


def _born(pid: int) -> str | None:
    """Return the start time of a process, which a later process with its PID does not have; None if it ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # process of another user
        pass
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # not Linux
        return "alive"
    return None if state == "Z" else facts[18]  # start time in clock ticks


def _namespace() -> str:
    """Return the PID namespace; it differs between this machine and a container with the same host name."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
