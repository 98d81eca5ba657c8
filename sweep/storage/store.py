"""Where everything that a sweep makes is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...specs import SpecError, nearest
from ...training import Record, TrialDirectory

if TYPE_CHECKING:  # workers use the store, and start sooner without what reads sweep files
    from ..planning.plan import Plan, PlannedTrial

State = Literal["waiting", "running", "done", "diverged", "failed"]
ENDED: tuple[State, ...] = ("done", "diverged")
"""What is not trained again."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a trial has come."""

    state: State
    reason: str = ""
    """Of a divergence or a failure, in a line."""
    result: Record | None = None


class Store:
    """The folder that `--storage` names: trials by key, shared by all sweeps, and what belongs to each sweep."""

    def __init__(self, root: Path) -> None:
        """Of a folder that need not exist yet."""
        self.root = root.absolute()

    @property
    def database(self) -> Path:
        """MLflow's, beside the trials."""
        return self.root / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow finds it."""
        return f"sqlite:///{self.database}"

    def trial(self, key: str) -> TrialDirectory:
        """The files of the trial with this key."""
        return TrialDirectory(self.root / "trials" / key)

    def sweep_folder(self, name: str) -> Path:
        """Where the file and the tables of a sweep are kept."""
        return self.root / "sweeps" / name

    def progress(self, key: str) -> Progress:
        """What the trial's files say."""
        directory = self.trial(key)
        if (result := directory.result()) is not None:
            return Progress(state=result["state"], reason=result.get("reason", ""), result=result)
        if (failure := directory.failure()) is not None:
            return Progress(state="failed", reason=failure["reason"])
        return Progress(state="running" if directory.history() else "waiting")

    def forget_failure(self, key: str) -> None:
        """Of an attempt before the one that starts now."""
        (self.trial(key).path / "failure.json").unlink(missing_ok=True)

    def missing(self, plan: "Plan") -> "list[PlannedTrial]":
        """The trials of a plan that have no result yet."""
        return [trial for trial in plan.trials if self.progress(trial.key).state not in ENDED]

    def remember(self, plan: "Plan") -> None:
        """Keeps the sweep file as it was launched, so that the sweep can be spoken of by name."""
        folder = self.sweep_folder(plan.sweep.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.yaml").write_text(plan.sweep.text, encoding="utf-8")

    def remembered(self, name: str) -> Path:
        """The file of a sweep that was launched. Raises `SpecError` for a name that never was."""
        path = self.sweep_folder(name) / "sweep.yaml"
        if not path.exists():
            known = [file.parent.name for file in self.root.glob("sweeps/*/sweep.yaml")]
            raise SpecError(f"no sweep {name!r} was launched in {self.root}; {nearest(name, known)}.", field="name")
        return path
