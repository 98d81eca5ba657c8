"""Trial store: the files of all trials and sweeps."""

import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..specs import SpecError, masked, nearest, one_line, require_printable, require_uri, sqlite_uri
from .directory import Directory, LocalDirectory
from .fencing import hold_attempt
from .plan import CostUnit, Plan
from .plan_record import CAPS, CAPS_FILE, PLAN, PLAN_FILE, load_plan, save_plan
from .records import DamagedFileError, Record
from .trial_files import TrialFiles

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
        place = os.path.expanduser(location)  # noqa: PTH111 (a `~` without a home directory stays as it is)
        require_printable(place, "storage")
        self._place = place if "://" in place else str(Path(place).absolute())
        self.location = masked(self._place)
        """Absolute path or URI, for messages: credentials of a URI are hidden."""
        if not self.is_local:
            require_uri(self._place, "storage", without="#")
            return
        try:
            is_directory = stat.S_ISDIR(Path(self._place).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # reported by the first read or write
            return
        except OSError as error:
            raise SpecError(f"--storage {self.location} cannot be used: {error.strerror}.", field="storage") from error
        if not is_directory:
            raise SpecError(f"--storage {self.location} is a file; give a directory.", field="storage")

    @property
    def is_local(self) -> bool:
        """True if the store is a directory of this machine's file system."""
        return "://" not in self._place

    @property
    def root(self) -> Directory:
        """Root directory of the store."""
        if self.is_local:
            return LocalDirectory(Path(self._place))
        from .object_store import ObjectStoreDirectory  # noqa: PLC0415 (pyarrow takes a while to load)

        return ObjectStoreDirectory(self._place)

    @property
    def database(self) -> Path | None:
        """Path of MLflow's database, beside the trials; None in an object store."""
        return Path(self._place) / "mlflow.db" if self.is_local else None

    @property
    def tracking_uri(self) -> str:
        """URI of MLflow's database. Raises `SpecError` in an object store, which cannot hold one."""
        if self.database is None:
            rule = "an object store cannot hold MLflow's database; choose one with --tracking"
            raise SpecError(f"{self.location}: {rule}, such as --tracking sqlite:///mlflow.db.", field="tracking")
        return sqlite_uri(self.database)

    def trial(self, key: str) -> TrialFiles:
        """Return the files of the trial with this key, for reading."""
        return TrialFiles(self.root.inside("trials", key), key)

    def attempt(self, key: str, driver: str) -> AbstractContextManager[TrialFiles]:
        """Return the context of a new attempt at the trial with this key, see `hold_attempt`."""
        return hold_attempt(self.trial(key), driver)

    def keys(self) -> list[str]:
        """Return the keys of all trials that have started."""
        return self.root.inside("trials").subdirectories()

    def sweeps(self) -> list[str]:
        """Return the names of all sweeps that were launched."""
        return [
            name
            for name in self.root.inside("sweeps").subdirectories()
            if "sweep.yaml" in self.sweep_directory(name).entries()
        ]

    def sweep_directory(self, name: str) -> Directory:
        """Return the directory of a sweep, with its sweep file and its tables."""
        return self.root.inside("sweeps", name)

    def progress(self, key: str, stopping: Mapping[str, Any] | None = None) -> Progress:
        """Return the state of a trial from its files; a damaged file counts as a failure.

        A trial that was stopped early is `pruned` only under the rule that stopped it; otherwise it has not ended.
        """
        files = self.trial(key)
        try:
            if (result := files.result()) is not None:
                return Progress(state=result["state"], reason=one_line(result.get("reason", "")), result=result)
            if stopping is not None and (reason := files.reason_pruned(stopping)) is not None:
                return Progress(state="pruned", reason=one_line(reason))
            if (failure := files.failure()) is not None:
                return Progress(state="failed", reason=one_line(failure["reason"]))
            return Progress(state="running" if files.history() else "waiting")
        except DamagedFileError as damage:
            return Progress(state="failed", reason=str(damage))

    def prune(self, key: str, stopping: Mapping[str, Any], *, epoch: int, epochs: int) -> None:
        """Record that a rule stopped a trial after an epoch."""
        self.trial(key).write_pruned(stopping, epoch=epoch, epochs=epochs)

    def progress_of(self, keys: Iterable[str], stopping: Mapping[str, Any] | None = None) -> dict[str, Progress]:
        """Return the states of many trials from their files."""
        progress = dict.fromkeys(keys, Progress(state="waiting"))
        begun = progress.keys() & self.keys()

        def look(key: str) -> tuple[str, Progress]:
            return key, self.progress(key, stopping)

        with ThreadPoolExecutor(READERS) as readers:
            progress.update(readers.map(look, begun))
        return progress

    def save_sweep(self, plan: Plan) -> None:
        """Save the plan of a sweep as launched, so that commands can refer to the sweep by name."""
        save_plan(plan, self.sweep_directory(plan.name))

    def save_caps(self, name: str, limits: Mapping[CostUnit, float]) -> None:
        """Save the caps on the cost of a run of a sweep, by unit; none to remove those of the run before."""
        directory = self.sweep_directory(name)
        if limits:
            CAPS.write(directory, CAPS_FILE, {"limits": {**limits}})
        else:
            directory.remove(CAPS_FILE)

    def caps(self, name: str) -> dict[CostUnit, float]:
        """Return the caps on the cost of the last run of a sweep, by unit. Raises `DamagedFileError`."""
        found = CAPS.read(self.sweep_directory(name), CAPS_FILE)
        return {unit: found["limits"][unit] for unit in get_args(CostUnit) if found and unit in found["limits"]}

    def has_plan(self, name: str) -> bool:
        """Return True if the sweep's plan is kept as data, which 0.1.0 did not do."""
        return PLAN_FILE in self.sweep_directory(name).entries()

    def plan(self, name: str) -> Plan:
        """Return the plan of a sweep as launched last.

        Raises:
            SpecError: if no sweep with this name was launched.
            DamagedFileError: if the file is no plan, or that of another sweep.
        """
        self.require_launched(name)
        plan = load_plan(self.sweep_directory(name))
        if plan is None:
            problem = f"sweep {name!r} in {self.location} was launched by Exeunt 0.1.0"
            raise SpecError(
                f"{problem}; convert the storage with: exeunt migrate --storage {self.location}", field="name"
            )
        if plan.name != name:
            raise PLAN.damaged(self.sweep_directory(name), PLAN_FILE, f"it belongs to sweep {plan.name}")
        return plan

    def sweep_id(self, name: str) -> str:
        """Return the ID that distinguishes this sweep from a sweep of the same name in another storage.

        Raises:
            DamagedFileError: if its file has another content.
        """
        directory = self.sweep_directory(name)
        if (mark := directory.read(MARK)) is None:
            directory.write(MARK, mark := secrets.token_hex(8).encode())
        if not re.fullmatch(b"[0-9a-f]{16}", mark):
            problem = f"{directory.located(MARK)} is damaged (not 16 hexadecimal digits)"
            remedy = f"Write the tag `exeunt.storage` of the MLflow experiment {name!r} into it, or remove both"
            raise DamagedFileError(problem, f"{remedy}.")
        return mark.decode()

    def require_launched(self, name: str) -> None:
        """Raise `SpecError` if no sweep with this name was launched."""
        if name not in (launched := self.sweeps()):
            known = nearest(name, launched)
            raise SpecError(f"no sweep {name!r} was launched in {self.location}; {known}.", field="name")
