"""Attempts at a trial are numbered, and the newer one wins.

A worker that was cut off from its cluster goes on for seconds before it notices. By then another may train the trial.
"""

import json
import os
import socket
import time
from dataclasses import dataclass

from ...training import Folder, TrialDirectory

PREFIX = "attempt-"


class StaleAttemptError(Exception):
    """Another attempt at the trial, or another driver of the sweep, has begun: this one may write nothing more."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One of the attempts at the trial that has this folder."""

    folder: Folder
    number: int
    """From 1."""

    def require_newest(self) -> None:
        """Raises `StaleAttemptError` if a newer one has begun."""
        if (newest := newest_attempt(self.folder)) > self.number:
            raise StaleAttemptError(f"attempt {self.number} gives way to attempt {newest}")

    def require_unclaimed(self) -> None:
        """Raises `StaleAttemptError` if this number or a newer one is taken."""
        if (newest := newest_attempt(self.folder)) >= self.number:
            raise StaleAttemptError(f"attempt {newest} has begun elsewhere")


def begin_attempt(folder: Folder) -> TrialDirectory:
    """The trial's files for a new attempt: they change only until a newer one begins.

    A file such as `attempt-00002.json` says where the attempt runs and since when.
    Raises `StaleAttemptError` if another attempt begins at the same time.
    """
    attempt = Attempt(folder=folder, number=newest_attempt(folder) + 1)
    whose = {"host": socket.gethostname(), "pid": os.getpid(), "began": time.time()}
    claimed = folder.guarded(attempt.require_unclaimed)
    claimed.write(f"{PREFIX}{attempt.number:05d}.json", json.dumps(whose).encode())
    directory = TrialDirectory(folder.guarded(attempt.require_newest))
    directory.forget_failure()
    return directory


def newest_attempt(folder: Folder) -> int:
    """The number of the newest attempt at a trial, 0 before the first."""
    names = [name for name in folder.entries() if name.startswith(PREFIX)]
    return int(names[-1].removeprefix(PREFIX).removesuffix(".json")) if names else 0
