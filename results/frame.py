import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..specs import SpecError
from .mlflow_reader import RecordedRun, recorded_runs

TYPES = {
    "sweep": "str",
    "key": "str",
    "role": "str",
    "state": "str",
    "error": "str",
    "dataset": "str",
    "architecture": "str",
    "method": "str",
    "seed": "int64",
    "seeds": "int64",
    "order": "int64",
    "protocol": "str",
    "exits": "str",
    "tuning": "str",
    "budget": "str",
    "tried": "str",
    "commit": "str",
    "backbone": "str",
    "training_seconds": "float64",
    "early_exit": "str",
    "run_id": "str",
}
PARAMETER_PREFIX = "param."
ENVIRONMENT_PREFIX = "environment."
RELIABILITY_PREFIX = "reliability."
_TAG_PREFIX = "exeunt."
_OPTIONAL = ("error", "exits", "tuning", "budget", "tried", "commit", "backbone", "training_seconds", "early_exit")
_TAGS = ("key", "role", "state", "seeds", "order", "protocol", *_OPTIONAL)
_TEXTS = (ENVIRONMENT_PREFIX, PARAMETER_PREFIX, RELIABILITY_PREFIX)
_TAGGED = tuple(f"{_TAG_PREFIX}{prefix}" for prefix in (ENVIRONMENT_PREFIX, RELIABILITY_PREFIX))
_PARAMETERS = {
    "dataset.name": "dataset",
    "architecture.name": "architecture",
    "method.name": "method",
    "seed": "seed",
}


def load(tracking_uri: str, sweeps: str | Iterable[str]) -> pd.DataFrame:
    """Read all recorded trials of one or several sweeps from MLflow: one row per trial, in plan order.

    Sweeps come in the given order. A trial that two sweeps share has a row for each.

    Columns, always present:

    - `sweep`, `key` (16 hex digits), `run_id` (MLflow's);
    - `role`: `result` (a result of the sweep file), `teacher` and `backbone` (trained only for others), `search` (a
      trial of a search), `unplanned` (no longer in the sweep file);
    - `state`: `running`, `done`, `pruned`, `diverged` or `failed`; `error`: the reason for one of the last three;
    - `dataset`, `architecture`, `method`: names; `seed`: seed of the trial; `seeds`: number of seeds that the sweep
      plans for this configuration; `order`: position of the trial in the plan; `protocol`;
    - `exits`: placement of the exits as in the sweep file, such as `50%`; missing for a trial without exits;
    - `commit`: commit of the code that trained the trial; missing until the trial is completed, or if unknown;
    - `training_seconds`: duration of all epochs without evaluation; missing until the trial is completed;
    - `early_exit`: data that `early_exit_points` reads; missing for a network without exits;
    - for the results of a search, otherwise missing: `tuning`, which is `default` (settings of the sweep file),
      `tuned`, or `default and tuned`, with the trial if there are several tuned settings: `tuned, trial 7`; `budget`,
      a description of the search budget; `tried`, the outcomes of its trials: `6 complete, 1 pruned, 1 failed`.

    Then, each group sorted by name: a text column `environment.NAME` for each property of the training environment,
    such as `torch` and `device`, missing until the trial is completed; a text column `param.NAME` for each further
    parameter, missing if it has no effect on the trial; text columns `reliability.final` and `reliability.ensemble`,
    which `reliability` reads; and a float column for each metric under its recorded name, such as `test/final/top1`
    (accuracies in percent), with the value of the last epoch.

    Args:
        tracking_uri: URI of the MLflow server or database.
        sweeps: name of the sweep, or names of several.

    Raises:
        SpecError: A `ValueError`, if a sweep does not exist, if a run was not written by Exeunt, or if a trial has
            two runs.
        TrackingError: A `SpecError`, if MLflow cannot be reached.
    """
    names = [sweeps] if isinstance(sweeps, str) else list(dict.fromkeys(sweeps))
    return to_frame({name: recorded_runs(tracking_uri, name) for name in names})


def to_frame(runs: Mapping[str, Iterable[RecordedRun]]) -> pd.DataFrame:
    """Return the frame of `load` from the runs of each sweep, by name.

    Raises:
        SpecError: if a run was not written by Exeunt, or if a trial has two runs.
    """
    return _typed([record for sweep, of_sweep in runs.items() for record in _records(of_sweep, sweep)])


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return several loaded sweeps as one, in their order. A trial of several sweeps is listed once."""
    if len(frames) == 1:
        return frames[0]
    start, placed = 0, []
    for frame in frames:
        placed.append(frame.assign(order=frame["order"] + start))
        start += max(frame["order"], default=0) + 1
    together = pd.concat(placed, ignore_index=True)
    results_first = together.sort_values("role", key=lambda role: role != "result", kind="stable")
    return results_first.drop_duplicates("key").sort_values(["order", "key"]).reset_index(drop=True)


def metric_names(frame: pd.DataFrame) -> list[str]:
    """Return the names of the metrics in a loaded frame."""
    return [name for name in frame.columns if name not in TYPES and not name.startswith(_TEXTS)]


def infinite(numbers: pd.DataFrame) -> pd.DataFrame:
    """Replace the largest float, which MLflow's databases store for infinity, by infinity."""
    return numbers.replace({sys.float_info.max: math.inf, -sys.float_info.max: -math.inf})


def _typed(records: list[dict[str, Any]]) -> pd.DataFrame:
    names = {name for record in records for name in record} - TYPES.keys()
    texts = sorted(name for name in names if name.startswith(_TEXTS))
    metrics = sorted(names.difference(texts))
    types = TYPES | dict.fromkeys(texts, "str") | dict.fromkeys(metrics, "float64")
    frame = pd.DataFrame.from_records(records, columns=list(types)).astype(types)
    frame[metrics] = infinite(frame.loc[:, metrics])
    return frame


def _records(recorded: Iterable[RecordedRun], sweep: str) -> list[dict[str, Any]]:
    """Return the records of a sweep in plan order."""
    records = [_record(run, sweep) for run in recorded]
    runs: dict[str, list[str]] = {}
    for record in records:
        runs.setdefault(record["key"], []).append(record["run_id"])
    if repeated := {key: ids for key, ids in runs.items() if len(ids) > 1}:
        key = min(repeated)
        ids = ", ".join(sorted(repeated[key]))
        raise SpecError(f"sweep {sweep!r}: trial {key} has several MLflow runs: {ids}; delete all but one.")
    return sorted(records, key=lambda record: (int(record["order"]), record["key"]))


def _record(run: RecordedRun, sweep: str) -> dict[str, Any]:
    record: dict[str, Any] = {"sweep": sweep, "run_id": run.run_id}
    record |= {name: run.tags.get(f"{_TAG_PREFIX}{name}") for name in _TAGS}
    record |= {column: run.params.get(name) for name, column in _PARAMETERS.items()}
    lacking = [name for name, value in record.items() if value is None and name not in _OPTIONAL]
    if lacking:
        raise SpecError(
            f"sweep {sweep!r}: MLflow run {run.run_id} was not written by Exeunt: it lacks {', '.join(lacking)}; "
            "delete it."
        )
    parameters = {f"{PARAMETER_PREFIX}{name}": value for name, value in run.params.items() if name not in _PARAMETERS}
    tagged = {tag.removeprefix(_TAG_PREFIX): value for tag, value in run.tags.items() if tag.startswith(_TAGGED)}
    return {**record, **tagged, **parameters, **run.metrics}
