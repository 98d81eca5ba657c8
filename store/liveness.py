"""Processes that announce themselves in a file, and whether they still run, on this machine or another."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..specs import SpecError
from .records import Check, Record, is_count, is_text, is_time

HEARTBEAT_INTERVAL_S = 10.0
"""Seconds between two heartbeats."""
STALE_AFTER_S = 60.0
"""Seconds without a heartbeat after which a process on another machine may be dead, and is observed for a while."""

PROCESS: dict[str, Check] = {
    "host": is_text,
    "pid": is_count,
    "born": is_text,
    "namespace": is_text,
    "seen": is_time,
}
"""Shape of a process's record."""


def this_process() -> Record:
    """Return the record of this process."""
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "born": _born(pid),
        "namespace": _namespace(),
        "seen": time.time(),
    }


def is_alive(process: Record, again: Callable[[], Record | None], *, must_beat: bool = False) -> bool:
    """Return True if a process runs: on this machine it is looked up, on another its heartbeat is observed.

    Args:
        process: its record.
        again: function that reads the record once more; called after 15 s if the last heartbeat is old.
        must_beat: True if a process of this machine without a recent heartbeat counts as dead too.
    """
    fresh = 0 <= time.time() - process["seen"] < STALE_AFTER_S
    if (process["host"], process["namespace"]) == (socket.gethostname(), _namespace()):
        return process["born"] == _born(process["pid"]) and (fresh or not must_beat)
    if fresh:
        return True
    time.sleep(1.5 * HEARTBEAT_INTERVAL_S)  # its clock may be wrong
    later = again()
    return later is not None and later["seen"] != process["seen"]


@contextmanager
def heartbeat(beat: Callable[[], bool]) -> Iterator[None]:
    """Call `beat` every few seconds in a thread while the context lasts, until it returns False.

    A beat that cannot be written is skipped: other writes to the storage report the problem.
    """
    finished = threading.Event()

    def live() -> None:
        while not finished.wait(HEARTBEAT_INTERVAL_S):
            with suppress(SpecError):
                if not beat():
                    return

    thread = threading.Thread(target=live, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _born(pid: int) -> str | None:
    """Return a value that distinguishes a process from a later one with its PID; None if there is no such process."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:  # a process of another user
        pass
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # not Linux
        return "alive"
    return None if state == "Z" else facts[18]  # its start time, in clock ticks


def _namespace() -> str:
    """Return a value that distinguishes this machine's PIDs from those of a container with the same host name."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
