"""Which process runs a sweep: one at a time, wherever it is."""

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
"""Seconds between two signs of life."""
STALE_AFTER_S = 60.0
"""Seconds without one after which a driver on another machine may be dead; it is watched before it is taken for so."""


class SweepLockedError(SpecError):
    """Another process runs the sweep."""


@contextmanager
def hold_lease(folder: Folder, name: str) -> Iterator[str]:
    """Makes this process the driver of the sweep with this folder, for as long as the context lasts.

    Yields a word by which its workers know it. A driver that has died holds nothing: one on this machine is known by
    its process, one elsewhere by its silence.

    Raises:
        SweepLockedError: where another process runs the sweep; the message says which, where and since when.
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
            raise SweepLockedError(
                f"sweep {name!r} is being run by {whose}; `exeunt status {name}` says how far it is."
            )

    def write(place: Folder) -> None:
        place.write(FILE, json.dumps(ours | {"seen": time.time()}).encode())

    require_free()
    write(folder.guarded(require_free))
    if not _is_ours(folder, ours):  # an object store has no locks: of two that began at once, the later one has it
        require_free()
    finished = threading.Event()

    def live() -> None:
        while not finished.wait(HEARTBEAT_INTERVAL_S):
            with suppress(StorageError):  # a full disk is told of by what needs it
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
    """The driver of the sweep with this folder: `host`, `pid` and `since`; None if there is none, or it is dead."""
    holder = _holder(folder)
    return holder if holder is not None and _is_alive(folder, holder) else None


def require_driver(folder: Folder, token: str) -> None:
    """For a worker: whether the sweep with this folder is still run by the driver that sent it.

    Raises:
        StorageError: where nothing of the driver is seen, since this machine has another folder at that place.
        StaleAttemptError: where another driver has taken over.
    """
    holder = _holder(folder)
    if holder is None:
        rule = "on several machines --storage is a folder that all of them share, or a URI such as s3://BUCKET/FOLDER"
        raise StorageError(f"{folder.located(FILE)} is not seen on {socket.gethostname()}: {rule}.")
    if holder["token"] != token:
        raise StaleAttemptError(f"process {holder['pid']} on {holder['host']} runs the sweep now")


def _holder(folder: Folder) -> dict[str, Any] | None:
    try:
        return json.loads(folder.read(FILE) or b"null")
    except ValueError:  # cut off by something that Exeunt has no hand in
        return None


def _is_ours(folder: Folder, ours: dict[str, Any]) -> bool:
    holder = _holder(folder)
    return holder is not None and holder["token"] == ours["token"]


def _is_alive(folder: Folder, holder: dict[str, Any]) -> bool:
    if (holder["host"], holder["namespace"]) == (socket.gethostname(), _namespace()):
        return holder["born"] == _born(holder["pid"])
    if 0 <= time.time() - holder["seen"] < STALE_AFTER_S:
        return True
    time.sleep(1.5 * HEARTBEAT_INTERVAL_S)  # its clock may be wrong
    later = _holder(folder)
    return later is not None and later["seen"] != holder["seen"]


def _born(pid: int) -> str | None:
    """What tells a process from a later one with its number; None if there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # another user's, but alive
        pass
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # not Linux
        return "alive"
    return None if state == "Z" else facts[18]  # when it began, in clock ticks


def _namespace() -> str:
    """What tells this machine's process numbers from those of a container with the same host name."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
