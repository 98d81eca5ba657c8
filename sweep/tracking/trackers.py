"""Trackers besides MLflow: each gets the history of every trial that has ended."""

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ...specs import SpecError, one_line
from ...store import DamagedFileError, Plan, PlannedTrial, Record, State, Store, digest
from .catalog import MLFLOW, TRACKERS, require_package
from .groups import RunGroups

_LEDGER = "written.json"
_HISTORY = "history.jsonl"


class Tracker(Protocol):
    """Writer of the trials of one sweep in the format of another program."""

    def open(self, plan: Plan, directory: Path) -> None:
        """Prepare to write to the directory, which exists and belongs to this tracker and sweep."""
        ...

    def write(self, trial: PlannedTrial, name: str, records: Sequence[Record], state: State) -> None:
        """Write a trial that has ended, instead of all that was written of it before.

        Args:
            trial: the trial.
            name: label, architecture and varying settings of its configuration.
            records: metrics by name for each epoch, with `epoch` and `time` in seconds since 1970.
            state: `done`, `pruned`, `diverged` or `failed`.
        """
        ...

    def close(self) -> None:
        """Finish all writes."""
        ...


def tracker_problem(error: Exception) -> str:
    """Return an error of a tracker as one sentence."""
    return f"Not written to all trackers: {one_line(f'{type(error).__name__}: {error}').rstrip('.')}."


class Trackers:
    """Trackers of a sweep, each with a directory `sweeps/NAME/TRACKER` in the storage.

    A ledger in the directory has the digest of each trial's data, so that no trial is written twice.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        """Open the trackers of a plan.

        Raises:
            SpecError: if a package is not installed, or the storage is not a local directory.
        """
        self._plan = plan
        self._store = store
        self._groups = RunGroups(plan)
        self.places: dict[str, Path] = {}
        """Directory of each tracker."""
        for name in (name for name in plan.tracking if name != MLFLOW):
            require_package(name)
            if not store.is_local:
                rule = f"{name} writes to a local directory, but the storage is {store.location}"
                raise SpecError(f"tracking: {rule}; remove {name}, or use a local storage.", field="tracking")
            self.places[name] = Path(store.sweep_directory(plan.name).located(name))

    def update(self, trials: Iterable[PlannedTrial]) -> None:
        """Write the trials that have ended and are not written yet."""
        if not self.places:
            return
        own = {trial.key: trial for trial in trials}
        progress = self._store.progress_of(own, self._plan.stopping)
        ended: list[tuple[PlannedTrial, State]] = [(trial, progress[key].state) for key, trial in own.items()]
        for name, place in self.places.items():
            self._write(name, place, [(trial, state) for trial, state in ended if state not in ("waiting", "running")])

    def _write(self, name: str, place: Path, trials: Sequence[tuple[PlannedTrial, State]]) -> None:
        directory = self._store.sweep_directory(self._plan.name).inside(name)
        try:
            ledger = dict(json.loads(directory.read(_LEDGER) or b"{}"))
        except (ValueError, TypeError):  # everything is written again
            ledger = {}
        due: list[Callable[[Tracker], None]] = []
        for trial, state in trials:
            title = f"{trial.label} {self._groups.place(trial.configuration)}"
            files = self._store.trial(trial.key)
            written = digest("\n".join((state, title)).encode() + (files.directory.read(_HISTORY) or b""))
            if ledger.get(trial.key) == written:
                continue
            try:
                records = files.history()
            except DamagedFileError:  # `exeunt verify` reports it
                continue
            ledger[trial.key] = written
            due.append(lambda tracker, of=(trial, title, records, state): tracker.write(*of))
        if due:
            place.mkdir(parents=True, exist_ok=True)
            entry = TRACKERS[name]
            tracker: Tracker = getattr(importlib.import_module(f".{entry.module}", __package__), entry.name)()
            tracker.open(self._plan, place)
            for write in due:
                write(tracker)
            tracker.close()
            directory.write(_LEDGER, json.dumps(ledger).encode())  # last: a killed write is repeated
