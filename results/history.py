import re
from collections.abc import Iterable

import pandas as pd

from .frame import infinite, load, metric_names
from .mlflow_reader import recorded_points

TRIAL = ["sweep", "key", "architecture", "method", "seed"]
"""Columns that identify the trial of a row, in both frames."""
MEASURES = ["top1", "top5", "nll", "ece"]
"""Metrics of each exit."""
_ALWAYS = [f"train/final/{measure}" for measure in MEASURES]
"""Metrics that have columns even if nothing is recorded."""
_OF_THE_TRIAL = "cost/"


def history(tracking_uri: str, sweeps: str | Iterable[str]) -> pd.DataFrame:
    """Read the metrics of each exit after each epoch: one row per trial, epoch, split and exit.

    Trials come in the order of `load`, exits from the first to the final one and the ensemble. Columns, always present:

    - `sweep`, `key`, `architecture`, `method`, `seed` of the trial; to get its other columns, merge with the frame of
      `load` on `sweep` and `key`;
    - `epoch`, counted from 1;
    - `split`, the images: `train` (measured during training), `validation`, `test`, or `test_by_epoch` if the protocol
      evaluates the test set after each epoch. `test` has only the last epoch, with the values that the protocol
      reports;
    - `exit`: `exit1` ..., `final` or `ensemble`;
    - `top1` and `top5` in percent, `nll` in nats per image, `ece` in [0, 1]: missing if not recorded.

    Raises:
        SpecError: As in `load`.
        TrackingError: As in `load`.
    """
    trials = load(tracking_uri, sweeps)
    names = sorted({*_ALWAYS, *filter(_is_of_an_exit, metric_names(trials))}, key=_place)
    recorded = _by_epoch(tracking_uri, trials, names)
    places = pd.DataFrame([name.split("/") for name in names], columns=["split", "exit", ""])
    recorded.columns = pd.MultiIndex.from_frame(places)
    rows = pd.DataFrame(recorded.stack(["split", "exit"])).loc[:, MEASURES].dropna(how="all")
    return _told(trials, rows.reset_index(["epoch", "split", "exit"]))


def epochs(tracking_uri: str, sweeps: str | Iterable[str]) -> pd.DataFrame:
    """Read the metrics of each epoch that belong to no exit: one row per trial and epoch.

    Trials come in the order of `load`. Columns: `sweep`, `key`, `architecture`, `method`, `seed` and `epoch` as in
    `history`; then, sorted, each metric that belongs to no exit, under its name in the frame of `load`:
    `train/loss/TERM`, `train/gradient_norm`, `train/learning_rate`, `seconds`, `device_seconds`,
    `images_per_second`, `peak_memory_bytes` and `joules`, if recorded. `results.describe` describes each metric.

    Raises:
        SpecError: As in `load`.
        TrackingError: As in `load`.
    """
    trials = load(tracking_uri, sweeps)
    names = [name for name in metric_names(trials) if not _is_of_an_exit(name) and not name.startswith(_OF_THE_TRIAL)]
    return _told(trials, _by_epoch(tracking_uri, trials, names).reset_index("epoch"))


def _by_epoch(tracking_uri: str, trials: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return a frame with a column per metric, indexed by run and epoch."""
    recorded = trials.reindex(columns=names).notna().to_numpy()
    wanted = {
        run_id: [name for name, is_there in zip(names, there, strict=True) if is_there]
        for run_id, there in zip(trials["run_id"], recorded, strict=True)
    }
    runs = {}
    for run_id, points in recorded_points(tracking_uri, wanted):
        values: dict[str, dict[int, float | None]] = {name: {} for name in names}
        # The latest value counts if an epoch was trained again.
        for point in sorted(points, key=lambda point: point.time):
            values[point.name][point.epoch] = point.value
        runs[run_id] = pd.DataFrame(values, dtype="float64").sort_index()
    nothing = pd.DataFrame(columns=names, index=pd.Index([], dtype="int64"), dtype="float64")
    return infinite(pd.concat(runs or {"": nothing}, names=["run_id", "epoch"]))


def _told(trials: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that identify the trial of each row; the index holds run ids."""
    whose = trials.set_index("run_id").loc[rows.index, TRIAL]
    return pd.concat([whose.reset_index(drop=True), rows.reset_index(drop=True)], axis="columns")


def _is_of_an_exit(name: str) -> bool:
    return re.fullmatch(rf"\w+/\w+/({'|'.join(MEASURES)})", name) is not None


def _place(name: str) -> tuple[str, int, int, str]:
    """Return a sort key: by split, then `exit2`, `exit10`, `final`, `ensemble`."""
    split, exit, measure = name.split("/")
    number = exit.removeprefix("exit")
    return (split, 0, int(number), measure) if number.isdigit() else (split, 1, exit != "final", measure)
