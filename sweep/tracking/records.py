"""Tags, parameters and metrics of a trial's MLflow run."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ...results.mlflow_sqlite import Point
from ...training import Record
from ..planning.plan import PlannedTrial
from ..store.trial_store import Progress

TERMINATED = {"done": "FINISHED", "pruned": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
"""MLflow run status by the state of a trial that has ended; all other trials are RUNNING."""


def tags_of(trial: PlannedTrial, progress: Progress) -> dict[str, str]:
    """Return the tags of a trial: its identity, state and environment."""
    tags = {
        "exeunt.key": trial.key,
        "exeunt.method": trial.spec.method.name,
        "exeunt.architecture": trial.spec.architecture.name,
        "exeunt.seed": str(trial.spec.seed),
        "exeunt.role": trial.role,
        "exeunt.order": f"{trial.order:07d}",
        "exeunt.seeds": str(trial.seeds),
        "exeunt.state": progress.state,
        "exeunt.protocol": trial.spec.reported,
    }
    if trial.exits != "none":
        tags["exeunt.exits"] = trial.exits
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
    return {name: str(value) for name, value in _flat(_described(trial))}


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


def _described(trial: PlannedTrial) -> dict[str, Any]:
    """Return the trial's spec with a short teacher and without plugins, which the environment lists."""
    described = trial.spec.to_dict()
    described.pop("plugins", None)
    if trial.spec.teacher is not None:
        teacher = trial.spec.teacher
        described["teacher"] = {"architecture": teacher.architecture.name, "seed": teacher.seed, "key": teacher.key}
    return described


def _flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, value
