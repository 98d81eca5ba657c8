"""Detection and removal of files in the store that are no longer needed."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..store import Directory, FileInfo, LocalDirectory, Plan, PlannedTrial, Store, lease_owner
from .status import QUIET_AFTER_S

Kind = Literal["orphan", "checkpoint", "damaged file", "temporary file"]

KINDS: dict[Kind, str] = {
    "orphan": "trials that are no longer part of any sweep in this storage",
    "checkpoint": "checkpoints of trials that have ended",
    "damaged file": "damaged files that were renamed",
    "temporary file": "incomplete files of processes that no longer run",
}
DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True)
class Removable:
    """File or directory that can be removed."""

    kind: Kind
    directory: Directory
    name: str | None
    """File name in the directory; None for the whole directory."""
    size: int
    """Size in bytes."""

    def __str__(self) -> str:
        return self.directory.located(self.name or "").rstrip("/")

    def remove(self) -> None:
        """Remove it. Raises `StorageError` if that fails."""
        if self.name is not None:
            self.directory.remove(self.name)
            return
        self.directory.remove("result.json")  # first, so that a partly removed trial does not look complete
        self.directory.remove_all()


def find_removable(store: Store, plans: Iterable[Plan]) -> Iterator[Removable]:
    """Iterate over the files and directories that can be removed without loss.

    A trial is skipped if it was written to in the last 15 minutes, or if its sweep is running.

    Args:
        store: trial store to search.
        plans: plans of all sweeps that were launched in this store.
    """
    planned: set[str] = set()
    running: set[str] = set()
    for plan in plans:
        keys = {trial.key for trial in plan.trials}
        planned |= keys | {directory for trial in plan.trials if (directory := _teacher_folder(trial))}
        if lease_owner(store.sweep_directory(plan.name)) is not None:
            running |= keys
    begun = store.keys()
    for key in begun:
        entries = store.trial(key).directory.entries()
        if key not in running and not _is_active(entries.values()):
            yield from _of_trial(store, key, entries, is_planned=key in planned)
    if isinstance(root := store.root, LocalDirectory):
        yield from _temporary_files(root)


def _teacher_folder(trial: PlannedTrial) -> str:
    """Return the name of the directory that trained weights are read from; it may be a trial directory."""
    return Path(trial.configuration.weights).parent.name


def _is_active(entries: Iterable[FileInfo]) -> bool:
    return any(time.time() - entry.modified < QUIET_AFTER_S for entry in entries)


def _of_trial(store: Store, key: str, entries: dict[str, FileInfo], *, is_planned: bool) -> Iterator[Removable]:
    directory = store.trial(key).directory
    if not is_planned:
        size = sum(entry.size for entry in entries.values())
        yield Removable(kind="orphan", directory=directory, name=None, size=size)
        return
    for name, entry in entries.items():
        if name.startswith("damaged-"):
            yield Removable(kind="damaged file", directory=directory, name=name, size=entry.size)
    checkpoints = [name for name in entries if name.startswith("checkpoint-")]
    if checkpoints and store.progress(key).result is not None:
        for name in checkpoints:
            yield Removable(kind="checkpoint", directory=directory, name=name, size=entries[name].size)


def _temporary_files(root: LocalDirectory) -> Iterator[Removable]:
    """Iterate over incomplete files, and directories in which the creation of a database was interrupted."""
    inside = [(root.inside(part), name) for part in ("trials", "sweeps") for name in root.inside(part).subdirectories()]
    for directory in (root, *(parent.inside(name) for parent, name in inside)):
        for left in directory.leftovers():
            if time.time() - left.facts.modified > DAY_S and not _lives(left.pid):
                place = directory.inside(left.name) if left.is_directory else directory
                name = None if left.is_directory else left.name
                yield Removable(kind="temporary file", directory=place, name=name, size=left.facts.size)


def _lives(pid: int) -> bool:
    """Return True if a process with this PID runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # process of another user
        pass
    return True
