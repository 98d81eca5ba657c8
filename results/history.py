import re
from collections.abc import Iterable

import pandas as pd

from .frame import infinite, load, metric_names
from .mlflow_reader import recorded_points

TRIAL = ["sweep", "key", "architecture", "method", "seed"]
"""Says in both frames whose row it is."""
MEASURES = ["top1", "top5", "nll", "ece"]
"""Of each exit."""
_ALWAYS = [f"train/final/{measure}" for measure in MEASURES]
"""What has its columns even where nothing is recorded."""
_OF_THE_TRIAL = "cost/"


def history(tracking_uri: str, sweeps: str | Iterable[str]) -> pd.DataFrame:
    """Read what was measured of each exit after each epoch: a row per trial, epoch, split and exit.

    Trials come in the order of `load`, exits from the first to the final one and the ensemble. Columns, always present:

    - `sweep`, `key`, `architecture`, `method`, `seed` of the trial; the frame of `load` has the rest, by `sweep` and
      `key`;
    - `epoch`, counted from 1;
    - `split`, the images: `train` (while it learned from them), `validation`, `test`, or `test_by_epoch` where the
      protocol looks at test after each epoch. `test` has only the last epoch, and there what the protocol reports;
    - `exit`: `exit1` ..., `final` or `ensemble`;
    - `top1` and `top5` in percent, `nll` in nats per image, `ece` in [0, 1]: missing where not recorded.

    Raises as `load` does.
    """
    trials = load(tracking_uri, sweeps)
    names = sorted({*_ALWAYS, *filter(_is_of_an_exit, metric_names(trials))}, key=_place)
    recorded = _by_epoch(tracking_uri, trials, names)
    places = pd.DataFrame([name.split("/") for name in names], columns=["split", "exit", ""])
    recorded.columns = pd.MultiIndex.from_frame(places)
    rows = pd.DataFrame(recorded.stack(["split", "exit"])).loc[:, MEASURES].dropna(how="all")
    return _told(trials, rows.reset_index(["epoch", "split", "exit"]))


def epochs(tracking_uri: str, sweeps: str | Iterable[str]) -> pd.DataFrame:
    """Read what was measured of each epoch besides its exits: a row per trial and epoch.

    Trials come in the order of `load`. Columns: `sweep`, `key`, `architecture`, `method`, `seed` and `epoch` as in
    `history`; then, sorted, each metric that belongs to no exit, under the name that it has in the frame of `load`:
    `train/loss/TERM`, `train/gradient_norm`, `train/learning_rate`, `seconds`, `images_per_second`,
    `peak_memory_bytes` and `joules`, as far as recorded. `results.describe` says what each is.

    Raises as `load` does.
    """
    trials = load(tracking_uri, sweeps)
    names = [name for name in metric_names(trials) if not _is_of_an_exit(name) and not name.startswith(_OF_THE_TRIAL)]
    return _told(trials, _by_epoch(tracking_uri, trials, names).reset_index("epoch"))


def _by_epoch(tracking_uri: str, trials: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A row per run and epoch, which are the index, and a column for each metric."""
    recorded = trials.reindex(columns=names).notna().to_numpy()
    wanted = {
        run_id: [name for name, is_there in zip(names, there, strict=True) if is_there]
        for run_id, there in zip(trials["run_id"], recorded, strict=True)
    }
    runs = {}
    for run_id, points in recorded_points(tracking_uri, wanted):
        values: dict[str, dict[int, float | None]] = {name: {} for name in names}
        for point in sorted(
            points, key=lambda point: point.time
        ):  # an epoch that was trained again counts as it is now
            values[point.name][point.epoch] = point.value
        runs[run_id] = pd.DataFrame(values, dtype="float64").sort_index()
    nothing = pd.DataFrame(columns=names, index=pd.Index([], dtype="int64"), dtype="float64")
    return infinite(pd.concat(runs or {"": nothing}, names=["run_id", "epoch"]))


def _told(trials: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """With the columns that say of which trial a row is, by the run's id in the index."""
    whose = trials.set_index("run_id").loc[rows.index, TRIAL]
    return pd.concat([whose.reset_index(drop=True), rows.reset_index(drop=True)], axis="columns")


def _is_of_an_exit(name: str) -> bool:
    return re.fullmatch(rf"\w+/\w+/({'|'.join(MEASURES)})", name) is not None


def _place(name: str) -> tuple[str, int, int, str]:
    """By split, then `exit2` before `exit10` before `final` before `ensemble`."""
    split, exit, measure = name.split("/")
    number = exit.removeprefix("exit")
    return (split, 0, int(number), measure) if number.isdigit() else (split, 1, exit != "final", measure)
