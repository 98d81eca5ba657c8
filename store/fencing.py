"""Attempts at a trial: they are numbered, one of them runs at a time, and only the newest may write.

A worker that loses its cluster continues for seconds before it notices. By then its driver may have started another
attempt, whose larger number fences the first one off. Another sweep that shares the trial waits instead.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ..specs import SpecError
from .directory import Directory
from .liveness import PROCESS, heartbeat, is_alive, this_process
from .records import Record, RecordFile, is_text, one_of
from .trial_files import TrialFiles

ATTEMPT = RecordFile(
    required={name: PROCESS[name] for name in ("host", "pid")},
    optional=PROCESS | {"driver": is_text, "ended": one_of(True, False)},
    remedy="If no process trains the trial, remove the file.",
)


class StaleAttemptError(Exception):
    """Write by an attempt at a trial, or a driver of a sweep, that a newer one has replaced."""


class TrialBusyError(Exception):
    """Conflict with an attempt of another sweep, which trains the trial now."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Attempt at the trial with this directory."""

    directory: Directory
    number: int
    """Number of the attempt, from 1."""

    @property
    def name(self) -> str:
        """Name of the attempt's file."""
        return f"attempt-{self.number:05d}.json"

    def require_newest(self) -> None:
        """Raise `StaleAttemptError` if a newer attempt has started."""
        if (newest := newest_attempt(self.directory)) > self.number:
            raise StaleAttemptError(f"attempt {self.number} was replaced by attempt {newest}")

    def require_unclaimed(self) -> None:
        """Raise `TrialBusyError` if this number or a newer one is taken."""
        if (newest := newest_attempt(self.directory)) >= self.number:
            raise TrialBusyError(f"attempt {newest} has just started in another process")


@contextmanager
def hold_attempt(files: TrialFiles, driver: str) -> Iterator[TrialFiles]:
    """Start a new attempt and yield its view of the trial's files, writable until a newer attempt starts.

    A file such as `attempt-00002.json` records the process, its driver, and a heartbeat while the context lasts.

    Args:
        files: files of the trial.
        driver: token of the sweep's driver. An earlier attempt of the same driver is replaced even if it still runs.

    Raises:
        TrialBusyError: if an attempt of another driver runs, or another attempt starts at the same time.
    """
    directory = files.directory
    attempt = Attempt(directory=directory, number=newest_attempt(directory) + 1)
    if (rival := living_attempt(directory, driver)) is not None:
        raise TrialBusyError(f"process {rival['pid']} on {rival['host']} trains it for another sweep")
    record = this_process() | {"driver": driver, "ended": False}
    ATTEMPT.write(directory.guarded(attempt.require_unclaimed), attempt.name, record)
    if ATTEMPT.read(directory, attempt.name) != record:  # an object store has no locks: the later writer trains it
        raise TrialBusyError("another process has started to train it at the same time")
    ours = directory.guarded(attempt.require_newest)

    def beat() -> bool:
        with suppress(StaleAttemptError):
            ATTEMPT.write(ours, attempt.name, record | {"seen": this_process()["seen"]})
            return True
        return False

    try:
        with heartbeat(beat):
            view = files.at(ours)
            view.forget_failure()
            yield view
    finally:
        with suppress(SpecError, StaleAttemptError):
            ATTEMPT.write(ours, attempt.name, record | {"ended": True})


def living_attempt(directory: Directory, driver: str = "") -> Record | None:
    """Return the record of the newest attempt at a trial if it runs, and not for this driver; otherwise None."""
    number = newest_attempt(directory)
    name = Attempt(directory=directory, number=number).name
    record = ATTEMPT.read(directory, name) if number else None
    if record is None or record.get("ended") or record.get("driver") == driver:
        return None
    if not PROCESS.keys() <= record.keys():  # 0.1.0 records no heartbeat
        return None
    return record if is_alive(record, lambda: ATTEMPT.read(directory, name), must_beat=True) else None


def newest_attempt(directory: Directory) -> int:
    """Return the number of the newest attempt at a trial; 0 before the first."""
    numbers = (re.fullmatch(r"attempt-(\d+)\.json", name) for name in directory.entries())
    return max((int(number[1]) for number in numbers if number), default=0)
