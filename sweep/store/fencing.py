"""Fencing of the attempts at a trial: attempts are numbered, and only the newest may write.

A worker that loses its cluster continues for seconds before it notices. By then another may train the trial.
"""

import json
import os
import socket
import time
from dataclasses import dataclass

from ...training import Folder, TrialDirectory

PREFIX = "attempt-"


class StaleAttemptError(Exception):
    """Write by an attempt at a trial, or a driver of a sweep, that a newer one has replaced."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Attempt at the trial with this directory."""

    folder: Folder
    number: int
    """Number of the attempt, from 1."""

    def require_newest(self) -> None:
        """Raise `StaleAttemptError` if a newer attempt has started."""
        if (newest := newest_attempt(self.folder)) > self.number:
            raise StaleAttemptError(f"attempt {self.number} was replaced by attempt {newest}")

    def require_unclaimed(self) -> None:
        """Raise `StaleAttemptError` if this number or a newer one is taken."""
        if (newest := newest_attempt(self.folder)) >= self.number:
            raise StaleAttemptError(f"attempt {newest} has started in another process")


def begin_attempt(folder: Folder) -> TrialDirectory:
    """Start a new attempt and return its view of the trial's files, writable until a newer attempt starts.

    A file such as `attempt-00002.json` records the host, the process and the start time of the attempt.

    Raises:
        StaleAttemptError: if another attempt starts at the same time.
    """
    attempt = Attempt(folder=folder, number=newest_attempt(folder) + 1)
    whose = {"host": socket.gethostname(), "pid": os.getpid(), "began": time.time()}
    claimed = folder.guarded(attempt.require_unclaimed)
    claimed.write(f"{PREFIX}{attempt.number:05d}.json", json.dumps(whose).encode())
    directory = TrialDirectory(folder.guarded(attempt.require_newest))
    directory.forget_failure()
    return directory


def newest_attempt(folder: Folder) -> int:
    """Return the number of the newest attempt at a trial; 0 before the first."""
    names = [name for name in folder.entries() if name.startswith(PREFIX)]
    return int(names[-1].removeprefix(PREFIX).removesuffix(".json")) if names else 0
