"""Trial store: the files of all trials and sweeps."""

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...specs import SpecError, nearest
from ...training import DamagedFileError, Folder, LocalFolder, Record, TrialDirectory
from .fencing import begin_attempt
from .plugins import keep
from .pruning import reason_pruned, write_pruned

if TYPE_CHECKING:  # workers start faster without the modules that read sweep files
    from ..planning.plan import Plan, PlannedTrial
    from ..planning.stopping import Stopping

State = Literal["waiting", "running", "done", "pruned", "diverged", "failed"]
ENDED: tuple[State, ...] = ("done", "pruned", "diverged")
"""States of trials that are not trained again."""

MARK = "mark"
"""Name of the file with a sweep's ID, which is also a tag of its MLflow experiment."""

READERS = 16
"""Number of trials that are read at once; most of the time is spent waiting for a disk or a network."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """State of a trial."""

    state: State
    reason: str = ""
    """Cause of a divergence, a failure or an early stop, in one line."""
    result: Record | None = None


class Store:
    """Trial store that `--storage` names: trials by key, shared by all sweeps, and the files of each sweep."""

    def __init__(self, location: Path | str) -> None:
        """Open a directory, which may not exist yet, or a URI such as `s3://bucket/sweeps`. Raises `SpecError`."""
        self.location = str(location) if "://" in str(location) else str(Path(location).absolute())
        """Absolute path or URI, the same in every process."""
        if self.is_local and Path(self.location).is_file():
            raise SpecError(f"--storage {self.location} is a file; give a directory.", field="storage")

    @property
    def is_local(self) -> bool:
        """True if the store is a directory of this machine's file system."""
        return "://" not in self.location

    @property
    def root(self) -> Folder:
        """Root directory of the store."""
        if self.is_local:
            return LocalFolder(Path(self.location))
        from .object_store import RemoteFolder  # noqa: PLC0415 (pyarrow takes a while to load)

        return RemoteFolder(self.location)

    @property
    def database(self) -> Path | None:
        """Path of MLflow's database, beside the trials; None in an object store."""
        return Path(self.location) / "mlflow.db" if self.is_local else None

    @property
    def tracking_uri(self) -> str:
        """URI of MLflow's database. Raises `SpecError` in an object store, which cannot hold one."""
        if self.database is None:
            rule = "an object store cannot hold MLflow's database; choose one with --tracking"
            raise SpecError(f"{self.location}: {rule}, such as --tracking sqlite:///mlflow.db.", field="tracking")
        return f"sqlite:///{self.database}"

    def trial(self, key: str) -> TrialDirectory:
        """Return the files of the trial with this key, for reading."""
        return TrialDirectory(self.root.inside("trials", key))

    def start_attempt(self, key: str) -> TrialDirectory:
        """Start a new attempt at the trial with this key, which replaces all others, and return its files."""
        return begin_attempt(self.root.inside("trials", key))

    def keys(self) -> list[str]:
        """Return the keys of all trials that have started."""
        return self.root.inside("trials").folders()

    def sweeps(self) -> list[str]:
        """Return the names of all sweeps that were launched."""
        return [
            name for name in self.root.inside("sweeps").folders() if "sweep.yaml" in self.sweep_folder(name).entries()
        ]

    def sweep_folder(self, name: str) -> Folder:
        """Return the directory of a sweep, with its sweep file and its tables."""
        return self.root.inside("sweeps", name)

    def progress(self, key: str, stopping: "Stopping | None" = None) -> Progress:
        """Return the state of a trial from its files; a damaged file counts as a failure.

        A trial that was stopped early is `pruned` only under the rule that stopped it; otherwise it has not ended.
        """
        directory = self.trial(key)
        try:
            if (result := directory.result()) is not None:
                return Progress(state=result["state"], reason=result.get("reason", ""), result=result)
            if stopping is not None and (reason := reason_pruned(directory.folder, stopping)) is not None:
                return Progress(state="pruned", reason=reason)
            if (failure := directory.failure()) is not None:
                return Progress(state="failed", reason=failure["reason"])
            return Progress(state="running" if directory.history() else "waiting")
        except DamagedFileError as damage:
            return Progress(state="failed", reason=f"{damage} Run the sweep again to retrain this trial.")

    def prune(self, key: str, stopping: "Stopping", *, epoch: int, epochs: int) -> None:
        """Record that a rule stopped a trial after an epoch."""
        write_pruned(self.trial(key).folder, stopping, epoch=epoch, epochs=epochs)

    def progress_of(self, keys: Iterable[str], stopping: "Stopping | None" = None) -> dict[str, Progress]:
        """Return the states of many trials from their files."""
        progress = dict.fromkeys(keys, Progress(state="waiting"))
        begun = progress.keys() & self.keys()

        def look(key: str) -> tuple[str, Progress]:
            return key, self.progress(key, stopping)

        with ThreadPoolExecutor(READERS) as readers:
            progress.update(readers.map(look, begun))
        return progress

    def missing(self, plan: "Plan") -> "list[PlannedTrial]":
        """Return the trials of a plan that have not ended."""
        progress = self.progress_of((trial.key for trial in plan.trials), plan.sweep.stopping)
        return [trial for trial in plan.trials if progress[trial.key].state not in ENDED]

    def save_sweep(self, plan: "Plan") -> None:
        """Save the sweep file and its plugins as launched, so that commands can refer to the sweep by name."""
        folder = self.sweep_folder(plan.sweep.name)
        keep(folder, plan.sweep.plugins)
        folder.write("sweep.yaml", plan.sweep.text.encode())

    def sweep_id(self, name: str) -> str:
        """Return the ID that distinguishes this sweep from a sweep of the same name in another storage."""
        folder = self.sweep_folder(name)
        if (mark := folder.read(MARK)) is None:
            folder.write(MARK, mark := secrets.token_hex(8).encode())
        return mark.decode()

    def require_launched(self, name: str) -> None:
        """Raise `SpecError` if no sweep with this name was launched."""
        if name not in (launched := self.sweeps()):
            known = nearest(name, launched)
            raise SpecError(f"no sweep {name!r} was launched in {self.location}; {known}.", field="name")

    def saved_sweep(self, name: str) -> AbstractContextManager[Path]:
        """Return a context with the path of the sweep file as launched. Raises `SpecError` for an unknown name."""
        self.require_launched(name)
        return self.sweep_folder(name).local("sweep.yaml")
