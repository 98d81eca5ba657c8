"""Tags, parameters and metrics of a trial's MLflow run."""

import json
import math
import sys
from collections.abc import Mapping

from ...results.mlflow_sqlite import Point
from ...store import PlannedTrial, Progress, Record
from ...store.labels import parameters

TERMINATED = {"done": "FINISHED", "pruned": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
"""MLflow run status by the state of a trial that has ended; all other trials are RUNNING."""


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
    return tags


def params_of(trial: PlannedTrial) -> dict[str, str]:
    """Return the trial's spec as flat parameters, such as `recipe.learning_rate`."""
    return parameters(trial.spec)


def points_of(record: Record) -> list[Point]:
    """Return the metrics of an epoch."""
    epoch, at = record["epoch"], int(record["time"] * 1000)
    return [Point(name, epoch, at, value) for name, value in record.items() if name not in ("epoch", "time")]


def differing(reported: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Return the names of the reported metrics that are missing or different in MLflow."""
    return [name for name, value in reported.items() if not _same(value, recorded.get(name))]


def _same(reported: float, recorded: float | None) -> bool:
    if recorded is None or math.isnan(reported):
        return recorded is not None and math.isnan(recorded)
    largest = sys.float_info.max  # MLflow's databases store an infinity as this number
    return recorded == reported or recorded == max(-largest, min(largest, reported))
