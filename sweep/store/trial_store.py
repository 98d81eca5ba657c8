"""Where everything that a sweep makes is kept."""

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

if TYPE_CHECKING:  # workers use the store, and start sooner without what reads sweep files
    from ..planning.plan import Plan, PlannedTrial
    from ..planning.stopping import Stopping

State = Literal["waiting", "running", "done", "pruned", "diverged", "failed"]
ENDED: tuple[State, ...] = ("done", "pruned", "diverged")
"""What is not trained again."""

MARK = "mark"
"""A file of a sweep, which its experiment in MLflow has as a tag."""

READERS = 16
"""Trials that are looked at at once: most of the time is spent waiting for a disk or a network."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a trial has come."""

    state: State
    reason: str = ""
    """Of a divergence, a failure or an early stop, in a line."""
    result: Record | None = None


class Store:
    """What `--storage` names: trials by key, shared by all sweeps, and what belongs to each sweep."""

    def __init__(self, location: Path | str) -> None:
        """Of a folder that need not exist yet, or of a URI such as `s3://bucket/sweeps`. Raises `SpecError`."""
        self.location = str(location) if "://" in str(location) else str(Path(location).absolute())
        """In full, so that it means the same in every process."""
        if self.is_local and Path(self.location).is_file():
            raise SpecError(f"--storage {self.location} is a file; a folder is needed.", field="storage")

    @property
    def is_local(self) -> bool:
        """Whether it is a folder that this machine has mounted."""
        return "://" not in self.location

    @property
    def root(self) -> Folder:
        """The folder that everything is in."""
        if self.is_local:
            return LocalFolder(Path(self.location))
        from .object_store import RemoteFolder  # noqa: PLC0415 (pyarrow takes a while to load)

        return RemoteFolder(self.location)

    @property
    def database(self) -> Path | None:
        """MLflow's, beside the trials, where there is a place for one."""
        return Path(self.location) / "mlflow.db" if self.is_local else None

    @property
    def tracking_uri(self) -> str:
        """Where MLflow finds its database. Raises `SpecError` where there can be none."""
        if self.database is None:
            rule = "it has no place for MLflow's database; name one with --tracking"
            raise SpecError(f"{self.location}: {rule}, such as --tracking sqlite:///mlflow.db.", field="tracking")
        return f"sqlite:///{self.database}"

    def trial(self, key: str) -> TrialDirectory:
        """The files of the trial with this key, to be looked at."""
        return TrialDirectory(self.root.inside("trials", key))

    def start_attempt(self, key: str) -> TrialDirectory:
        """The files of the trial with this key for a new attempt at it, which supersedes all others."""
        return begin_attempt(self.root.inside("trials", key))

    def keys(self) -> list[str]:
        """Of all trials that ever began."""
        return self.root.inside("trials").folders()

    def sweeps(self) -> list[str]:
        """The names of all sweeps that were launched."""
        return [
            name for name in self.root.inside("sweeps").folders() if "sweep.yaml" in self.sweep_folder(name).entries()
        ]

    def sweep_folder(self, name: str) -> Folder:
        """Where the file and the tables of a sweep are kept."""
        return self.root.inside("sweeps", name)

    def progress(self, key: str, stopping: "Stopping | None" = None) -> Progress:
        """What the trial's files say; a damaged one says that the trial failed.

        `pruned` is a trial for sweeps with the rule that stopped it. Others train it further.
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
            return Progress(state="failed", reason=f"{damage} Running the sweep again trains this trial anew.")

    def prune(self, key: str, stopping: "Stopping", *, epoch: int, epochs: int) -> None:
        """Records that a rule stopped a trial after an epoch."""
        write_pruned(self.trial(key).folder, stopping, epoch=epoch, epochs=epochs)

    def progress_of(self, keys: Iterable[str], stopping: "Stopping | None" = None) -> dict[str, Progress]:
        """What the files of many trials say."""
        progress = dict.fromkeys(keys, Progress(state="waiting"))
        begun = progress.keys() & self.keys()

        def look(key: str) -> tuple[str, Progress]:
            return key, self.progress(key, stopping)

        with ThreadPoolExecutor(READERS) as readers:
            progress.update(readers.map(look, begun))
        return progress

    def missing(self, plan: "Plan") -> "list[PlannedTrial]":
        """The trials of a plan that have no result yet."""
        progress = self.progress_of((trial.key for trial in plan.trials), plan.sweep.stopping)
        return [trial for trial in plan.trials if progress[trial.key].state not in ENDED]

    def save_sweep(self, plan: "Plan") -> None:
        """Keeps the sweep file and its plugins as they were launched, so that the sweep can be spoken of by name."""
        folder = self.sweep_folder(plan.sweep.name)
        keep(folder, plan.sweep.plugins)
        folder.write("sweep.yaml", plan.sweep.text.encode())

    def sweep_id(self, name: str) -> str:
        """What tells this sweep from one with its name in another storage, wherever the storage is moved to."""
        folder = self.sweep_folder(name)
        if (mark := folder.read(MARK)) is None:
            folder.write(MARK, mark := secrets.token_hex(8).encode())
        return mark.decode()

    def require_launched(self, name: str) -> None:
        """Raises `SpecError` for the name of a sweep that never was launched."""
        if name not in (launched := self.sweeps()):
            known = nearest(name, launched)
            raise SpecError(f"no sweep {name!r} was launched in {self.location}; {known}.", field="name")

    def saved_sweep(self, name: str) -> AbstractContextManager[Path]:
        """The file of a sweep as it was launched. Raises `SpecError` for a name that never was."""
        self.require_launched(name)
        return self.sweep_folder(name).local("sweep.yaml")
