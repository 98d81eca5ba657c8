"""Tags, parameters and metrics of a trial's MLflow run."""

import json
import math
import sys
from collections.abc import Mapping

from ...results.mlflow_reader import COST_TAG, TAG_PREFIX
from ...results.mlflow_sqlite import RUN_NAME, Point
from ...store import SWEEP_FILE, PlannedTrial, Progress, Record
from ...store.labels import parameters, shortest

TERMINATED = {"done": "FINISHED", "pruned": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
"""MLflow run status by the state of a trial that has ended; all other trials are RUNNING."""

LONGEST_NAME = 250
"""Characters of a run's name that MLflow's databases hold."""
NOTE, PARENT = "mlflow.note.content", "mlflow.parentRunId"
"""MLflow's tags with the description of a run, which people may change, and with the ID of its parent run."""
_COSTS = COST_TAG.removeprefix(TAG_PREFIX)
_COMMIT = "mlflow.source.git.commit"
MANAGED = (PARENT, RUN_NAME, NOTE, _COMMIT, "mlflow.source.name", "mlflow.source.type")
"""Tags of MLflow that Exeunt writes."""


def source_tags(sweep: str) -> dict[str, str]:
    """Return MLflow's tags for the source of a run: the sweep file in the storage."""
    return {"mlflow.source.name": f"sweeps/{sweep}/{SWEEP_FILE}", "mlflow.source.type": "LOCAL"}


def page_tags(trial: PlannedTrial, progress: Progress, *, sweep: str, place: str, parent: str) -> dict[str, str]:
    """Return the tags that MLflow's pages show: name, parent, source and description of a trial's run.

    Args:
        trial: the trial.
        progress: its state.
        sweep: name of the sweep.
        place: architecture and varying settings of its row.
        parent: ID of the run of its configuration.
    """
    which = f"trial {trial.seed_index}" if trial.tried else f"seed {trial.seed}"
    name = f"{trial.label} {place}"[: LONGEST_NAME - len(which) - 1]
    note = f"Trial {trial.key} of sweep {sweep}: {trial}. Files: trials/{trial.key} in the storage."
    commit = progress.result["environment"].get("commit", "") if progress.result else ""
    source = source_tags(sweep) | ({_COMMIT: commit} if commit else {})
    return {RUN_NAME: f"{name} {which}", PARENT: parent, NOTE: note, **source}


def tags_of(trial: PlannedTrial, progress: Progress) -> dict[str, str]:
    """Return the tags of a trial: its identity, state and environment."""
    about = trial.configuration
    tags = {
        "exeunt.key": trial.key,
        "exeunt.configuration": about.id,
        "exeunt.label": trial.label,
        "exeunt.method": about.method,
        "exeunt.architecture": about.architecture,
        "exeunt.seed": str(trial.seed),
        "exeunt.role": trial.role,
        "exeunt.order": f"{trial.order:07d}",
        "exeunt.seeds": str(about.seeds),
        "exeunt.state": progress.state,
        "exeunt.protocol": about.reported,
    }
    if trial.backbone_key is not None:
        tags["exeunt.backbone"] = trial.backbone_key
    if about.exits != "none":
        tags["exeunt.exits"] = about.exits
    if trial.confirmed is not None:
        tags |= {
            "exeunt.tuning": trial.confirmed.tuning,
            "exeunt.budget": trial.confirmed.budget,
            "exeunt.tried": trial.confirmed.tried,
        }
    if progress.reason:
        tags["exeunt.error"] = progress.reason[:500]
    if progress.result is not None:
        environment = progress.result["environment"]
        tags["exeunt.commit"] = environment.get("commit", "")
        tags["exeunt.training_seconds"] = str(progress.result["seconds"])
        if "early_exit" in progress.result:
            tags["exeunt.early_exit"] = json.dumps(progress.result["early_exit"])
        bins = progress.result.get("reliability", {})  # the bins of all exits can exceed MLflow's limit
        tags |= {f"exeunt.reliability.{exit}": json.dumps(bins[exit]) for exit in ("final", "ensemble") if exit in bins}
        tags |= {f"exeunt.environment.{name}": str(value) for name, value in environment.items()}
        measured = progress.result.get("metrics", {})
        tags |= {f"{TAG_PREFIX}{name}": shortest(value) for name, value in measured.items() if name.startswith(_COSTS)}
    return tags


def params_of(trial: PlannedTrial) -> dict[str, str]:
    """Return the trial's spec as flat parameters, such as `recipe.learning_rate`."""
    return parameters(trial.spec)


def points_of(record: Record) -> list[Point]:
    """Return the metrics of an epoch. Costs do not change with the epoch: they are tags."""
    epoch, at = record["epoch"], int(record["time"] * 1000)
    return [
        Point(name, epoch, at, value)
        for name, value in record.items()
        if name not in ("epoch", "time") and not name.startswith(_COSTS)
    ]


def differing(reported: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Return the names of the reported metrics that are missing or different in MLflow."""
    return [name for name, value in reported.items() if not _same(value, recorded.get(name))]


def _same(reported: float, recorded: float | None) -> bool:
    if recorded is None or math.isnan(reported):
        return recorded is not None and math.isnan(recorded)
    largest = sys.float_info.max  # MLflow's databases store an infinity as this number
    return recorded == reported or recorded == max(-largest, min(largest, reported))
