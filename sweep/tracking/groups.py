"""Runs in MLflow that group the runs of trials: the seeds of a configuration, or the trials of a study."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...results.mlflow_reader import KIND
from ...results.mlflow_sqlite import RUN_NAME, InputDataset
from ...specs import content_key
from ...store import Configuration, Plan, PlannedTrial
from ...store.labels import parameters
from .records import LONGEST_NAME, NOTE, source_tags

GROUP, COMPLETED, CHILDREN = "exeunt.group", "exeunt.completed", "exeunt.children"
"""Tags of such a run: its identity in the experiment, its number of completed trials, and the role of its trials."""
_ALWAYS = ("dataset.name", "architecture.name", "method.name")
_NEVER = ("teacher.key",)


@dataclass(frozen=True, kw_only=True)
class RunGroup:
    """Configuration, study or sweep that has a run in MLflow."""

    id: str
    """ID of the configuration, `METHOD/ARCHITECTURE` of a study, or `sweep`."""
    tags: dict[str, str]
    params: dict[str, str]
    dataset: InputDataset | None


def group_id(trial: PlannedTrial) -> str:
    """Return the ID of a trial's group."""
    about = trial.configuration
    return "/".join(about.space) if trial.role == "search" else about.id


class RunGroups:
    """RunGroups of the trials of a plan. A search may add trials."""

    def __init__(self, plan: Plan) -> None:
        self._sweep = plan.name
        configurations = {
            trial.configuration.id: trial.configuration for trial in plan.trials if trial.role != "search"
        }
        self._varying = _varying(configurations.values())
        self._has_datasets = len({about.dataset for about in configurations.values()}) > 1

    def place(self, about: Configuration) -> str:
        """Return architecture, varying settings and, if it varies, dataset of a configuration."""
        return " ".join((about.architecture, *about.row_settings, *[about.dataset] * self._has_datasets))

    def of(self, trial: PlannedTrial) -> RunGroup:
        """Return the group of a trial."""
        about = trial.configuration
        id = group_id(trial)
        tags = {
            GROUP: id,
            "exeunt.method": about.method,
            "exeunt.architecture": about.architecture,
            CHILDREN: trial.role,
            "exeunt.protocol": about.reported,
            **source_tags(self._sweep),
        }
        if trial.role == "search":
            name, params = f"search of {about.method} {about.architecture}", dict.fromkeys(_ALWAYS)
            note = (
                f"Search of sweep {self._sweep}: {about.method}, {about.architecture}. The trials are the child runs."
            )
            tags |= {KIND: "study"}
        else:
            name, params = f"{trial.label} {self.place(about)}", self._varying
            note = (
                f"Configuration of sweep {self._sweep}: {trial.label}, {self.place(about)}, {about.dataset}. The seeds "
                "are the child runs. Metrics: mean, sample standard deviation and number of completed seeds, "
                "difference from the baseline of the same row, and its paired 95% t interval."
            )
            tags |= {
                KIND: "configuration",
                "exeunt.configuration": about.id,
                "exeunt.label": trial.label,
                "exeunt.seeds": str(about.seeds),
                "exeunt.order": f"{trial.order:07d}",
            }
        own = parameters(about.spec)
        return RunGroup(
            id=id,
            tags=tags | {RUN_NAME: name[:LONGEST_NAME], NOTE: note},
            params={name: own[name] for name in params if name in own},
            dataset=InputDataset(about.dataset, content_key(about.spec["dataset"])),
        )

    def sweep(self) -> RunGroup:
        """Return the group of the whole sweep, whose run has the artifacts."""
        note = f"Files of sweep {self._sweep}, as artifacts: sweep file, plan, tables, figures and report."
        name = {RUN_NAME: f"{self._sweep} (sweep)", NOTE: note}
        tags = {GROUP: "sweep", KIND: "sweep", **source_tags(self._sweep), **name}
        return RunGroup(id="sweep", tags=tags, params={}, dataset=None)


def _varying(configurations: Iterable[Configuration]) -> list[str]:
    """Return the names of the parameters that vary in a sweep, or within a method, after those that all groups have."""
    values: dict[tuple[str, str], set[str]] = {}
    for about in configurations:
        for name, value in parameters(about.spec).items():
            values.setdefault((name, about.method if name.startswith("method.") else ""), set()).add(value)
    varying = {name for (name, _), found in values.items() if len(found) > 1}
    return [*_ALWAYS, *sorted(varying.difference(_ALWAYS, _NEVER))]
