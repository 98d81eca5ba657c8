import math
import sys

import pandas as pd
from mlflow.entities import Run

from ..specs import SpecError, unknown
from .connection import answering, connect, runs_of

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
    "tuning": "str",
    "budget": "str",
    "tried": "str",
    "run_id": "str",
}
PARAMETER_PREFIX = "param."
_TAG_PREFIX = "exeunt."
_TAGS = ("key", "role", "state", "error", "seeds", "order", "protocol", "tuning", "budget", "tried")
_OPTIONAL = ("error", "tuning", "budget", "tried")
_PARAMETERS = {
    "dataset.name": "dataset",
    "architecture.name": "architecture",
    "method.name": "method",
    "seed": "seed",
}


def load(tracking_uri: str, sweep: str) -> pd.DataFrame:
    """Read every recorded trial of a sweep from MLflow: a row per trial, in the order of the plan.

    Columns, always present:

    - `sweep`, `key` (16 hex digits), `run_id` (MLflow's);
    - `role`: `result` (asked for), `teacher` (trained for a student only), `search` (a method was tuned by it),
      `unplanned` (no longer asked for);
    - `state`: `running`, `done`, `diverged` or `failed`; `error`: why, missing unless diverged or failed;
    - `dataset`, `architecture`, `method`: names; `seed`: this trial's; `seeds`: how many the sweep plans for
      this configuration; `order`: the trial's position in the plan; `protocol`;
    - of the results of a search, missing elsewhere, `tuning`: whether the settings are the `default` ones of the sweep
      file, `tuned`, or `default and tuned`, and for one of several tuned ones which: `tuned, trial 7`; `budget`: of
      the search, in words; `tried`: what became of its trials, such as `6 complete, 1 pruned, 1 failed`.

    Then, sorted by name, a text column `param.NAME` for each further parameter, missing where it does not
    matter for the trial, and a float column for each metric under its own name, such as `test/final/top1`
    (accuracies in percent), holding the value of the last epoch.

    Raises `SpecError` (a `ValueError`) if there is no such sweep, if a run in it was not written by Exeunt,
    or if two runs are of one trial; `TrackingError`, which is one, if MLflow cannot be reached.
    """
    client = connect(tracking_uri)
    with answering(tracking_uri):
        experiment = client.get_experiment_by_name(sweep)
        if experiment is None or experiment.lifecycle_stage != "active":
            names = [known.name for known in client.search_experiments() if known.name != "Default"]
            raise unknown("sweep", sweep, names)
        records = [_record(run, sweep) for run in runs_of(client, experiment.experiment_id)]

    names = {name for record in records for name in record} - TYPES.keys()
    parameters = sorted(name for name in names if name.startswith(PARAMETER_PREFIX))
    metrics = sorted(names.difference(parameters))
    types = TYPES | dict.fromkeys(parameters, "str") | dict.fromkeys(metrics, "float64")
    frame = pd.DataFrame.from_records(records, columns=list(types)).astype(types)
    # MLflow's databases hold an infinity as the largest number that there is.
    frame[metrics] = frame[metrics].replace({sys.float_info.max: math.inf, -sys.float_info.max: -math.inf})

    repeated = frame.loc[frame["key"].duplicated(keep=False)]
    if not repeated.empty:
        key = min(repeated["key"])
        runs = ", ".join(sorted(repeated.loc[repeated["key"] == key, "run_id"]))
        raise SpecError(f"sweep {sweep!r}: trial {key} must have one MLflow run, but has {runs}.")
    return frame.sort_values(["order", "key"], ignore_index=True)


def metric_names(frame: pd.DataFrame) -> list[str]:
    """List the metrics that a loaded frame holds."""
    return [name for name in frame.columns if name not in TYPES and not name.startswith(PARAMETER_PREFIX)]


def _record(run: Run, sweep: str) -> dict[str, str | float | None]:
    record = {"sweep": sweep, "run_id": run.info.run_id}
    record |= {name: run.data.tags.get(f"{_TAG_PREFIX}{name}") for name in _TAGS}
    record |= {column: run.data.params.get(name) for name, column in _PARAMETERS.items()}
    lacking = [name for name, value in record.items() if value is None and name not in _OPTIONAL]
    if lacking:
        raise SpecError(
            f"sweep {sweep!r}: MLflow run {run.info.run_id} was not written by Exeunt, "
            f"it records no {', '.join(lacking)}."
        )
    others = {f"{PARAMETER_PREFIX}{name}": value for name, value in run.data.params.items() if name not in _PARAMETERS}
    return record | others | run.data.metrics
