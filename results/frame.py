import math
import sys
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..specs import SpecError
from .mlflow_reader import RecordedRuns, recorded_runs

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
    "training_seconds": "float64",
    "early_exit": "str",
    "run_id": "str",
}
PARAMETER_PREFIX = "param."
ENVIRONMENT_PREFIX = "environment."
RELIABILITY_PREFIX = "reliability."
_TAG_PREFIX = "exeunt."
_OPTIONAL = ("error", "exits", "tuning", "budget", "tried", "commit", "training_seconds", "early_exit")
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
    """Read every recorded trial of a sweep, or of several, from MLflow: a row per trial, in the order of the plan.

    Of several sweeps those of the first come first. A trial that two of them share has a row for each.

    Columns, always present:

    - `sweep`, `key` (16 hex digits), `run_id` (MLflow's);
    - `role`: `result` (asked for), `teacher` (trained for a student only), `search` (a method was tuned by it),
      `unplanned` (no longer asked for);
    - `state`: `running`, `done`, `pruned`, `diverged` or `failed`; `error`: why it is one of the last three;
    - `dataset`, `architecture`, `method`: names; `seed`: this trial's; `seeds`: how many the sweep plans for
      this configuration; `order`: the trial's position in the plan; `protocol`;
    - `exits`: where they sit, as the sweep file says it, such as `50%`; missing for a trial without any;
    - `commit`: of the code that trained it, missing until it is done or where it is not known;
    - `training_seconds`: of all its epochs, without what is measured between them; missing until it is done;
    - `early_exit`: of a network with exits, what `early_exit_points` reads;
    - of the results of a search, missing elsewhere, `tuning`: whether the settings are the `default` ones of the sweep
      file, `tuned`, or `default and tuned`, and for one of several tuned ones which: `tuned, trial 7`; `budget`: of
      the search, in words; `tried`: what became of its trials, such as `6 complete, 1 pruned, 1 failed`.

    Then, each sorted by name: a text column `environment.NAME` for each thing known of where the trial was trained,
    such as `torch` and `device`, missing until it is done; a text column `param.NAME` for each further parameter,
    missing where it does not matter for the trial; text columns `reliability.final` and `reliability.ensemble`, which
    `reliability` reads; and a float column for each metric under its own name, such as `test/final/top1` (accuracies
    in percent), holding the value of the last epoch.

    Raises `SpecError` (a `ValueError`) if there is no such sweep, if a run in it was not written by Exeunt,
    or if two runs are of one trial; `TrackingError`, which is one, if MLflow cannot be reached.
    """
    names = [sweeps] if isinstance(sweeps, str) else list(dict.fromkeys(sweeps))
    return _typed([record for name in names for record in _records(tracking_uri, name)])


def metric_names(frame: pd.DataFrame) -> list[str]:
    """List the metrics that a loaded frame holds."""
    return [name for name in frame.columns if name not in TYPES and not name.startswith(_TEXTS)]


def infinite(numbers: pd.DataFrame) -> pd.DataFrame:
    """With infinities where MLflow's databases hold the largest number that there is."""
    return numbers.replace({sys.float_info.max: math.inf, -sys.float_info.max: -math.inf})


def _typed(records: list[dict[str, Any]]) -> pd.DataFrame:
    names = {name for record in records for name in record} - TYPES.keys()
    texts = sorted(name for name in names if name.startswith(_TEXTS))
    metrics = sorted(names.difference(texts))
    types = TYPES | dict.fromkeys(texts, "str") | dict.fromkeys(metrics, "float64")
    frame = pd.DataFrame.from_records(records, columns=list(types)).astype(types)
    frame[metrics] = infinite(frame.loc[:, metrics])
    return frame


def _records(tracking_uri: str, sweep: str) -> list[dict[str, Any]]:
    """In the order of the plan."""
    records = [_record(run, sweep) for run in recorded_runs(tracking_uri, sweep)]
    runs: dict[str, list[str]] = {}
    for record in records:
        runs.setdefault(record["key"], []).append(record["run_id"])
    if repeated := {key: ids for key, ids in runs.items() if len(ids) > 1}:
        key = min(repeated)
        ids = ", ".join(sorted(repeated[key]))
        raise SpecError(f"sweep {sweep!r}: trial {key} must have one MLflow run, but has {ids}.")
    return sorted(records, key=lambda record: (int(record["order"]), record["key"]))


def _record(run: RecordedRuns, sweep: str) -> dict[str, Any]:
    record: dict[str, Any] = {"sweep": sweep, "run_id": run.run_id}
    record |= {name: run.tags.get(f"{_TAG_PREFIX}{name}") for name in _TAGS}
    record |= {column: run.params.get(name) for name, column in _PARAMETERS.items()}
    lacking = [name for name, value in record.items() if value is None and name not in _OPTIONAL]
    if lacking:
        raise SpecError(
            f"sweep {sweep!r}: MLflow run {run.run_id} was not written by Exeunt, it records no {', '.join(lacking)}."
        )
    parameters = {f"{PARAMETER_PREFIX}{name}": value for name, value in run.params.items() if name not in _PARAMETERS}
    tagged = {tag.removeprefix(_TAG_PREFIX): value for tag, value in run.tags.items() if tag.startswith(_TAGGED)}
    return {**record, **tagged, **parameters, **run.metrics}
