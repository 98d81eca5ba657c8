"""A sweep in a storage: run, status, trials, tables, networks."""

import io
import math
import threading
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ..specs import SpecError, masked, require
from ..store import Plan, Store
from ._environment import data_source, store_at, tracked_at

if TYPE_CHECKING:
    import pandas as pd

    from ..results.tables import TableOptions
    from .table import ResultTable
    from .trial import LoadedTrial


@dataclass(frozen=True)
class StoredSweep:
    """Sweep that was launched in a storage. It is read anew at each call, so it can be used while the sweep runs."""

    name: str
    """Name of the sweep."""
    store: Store
    """Storage of the trials."""
    tracking_uri: str
    """URI of the MLflow server or database."""

    def __repr__(self) -> str:
        return f"StoredSweep({self.name!r}, storage={self.store.location!r}, tracking={masked(self.tracking_uri)!r})"

    @property
    def plan(self) -> Plan:
        """Plan of the sweep as launched last."""
        return self.store.plan(self.name)

    def status(self) -> "pd.DataFrame":
        """Return the state of each trial now, read from the storage alone: one row per trial, in execution order.

        Columns: `key`, `role`, `label`, `row`, `seed`; `state`: `waiting`, `running`, `done`, `pruned`, `diverged` or
        `failed`; `epoch`, the number of completed epochs of a trial that has started and not ended; `epochs`;
        `accuracy`, its top-1 accuracy in percent, and `images`, on which it is measured; `reason` of a failure.
        """
        import pandas as pd

        from ..sweep.find import row_of
        from ..sweep.status import StatusReader

        now = StatusReader(self.plan, self.store).read()
        active = {one.trial.key: one for one in now.active}
        records = []
        for trial in now.plan.trials:
            state, of_active = now.progress[trial.key], active.get(trial.key)
            records.append(
                {
                    "key": trial.key,
                    "role": trial.role,
                    "label": trial.label,
                    "row": row_of(trial),
                    "seed": trial.seed,
                    "state": state.state,
                    "epoch": of_active.epoch if of_active else None,
                    "epochs": trial.configuration.epochs,
                    "accuracy": of_active.accuracy if of_active else None,
                    "images": of_active.images if of_active else "",
                    "reason": state.reason,
                }
            )
        types = {"epoch": "Int64", "accuracy": "float64"}
        return pd.DataFrame.from_records(records).astype(types)

    def trials(self) -> "pd.DataFrame":
        """Return the recorded trials: one row per trial, in the order of the plan.

        The first columns are `key`, `role`, `label` (method and the settings that vary, a column of the main table),
        `row` (a row of the main table), `seed`, `state` and `accuracy`: the top-1 accuracy of the final exit in
        percent, as the protocol reports it, missing unless the trial is completed. The others are those of
        `exeunt.results.load`.

        Raises:
            SpecError: if no trial is recorded yet, or MLflow cannot be reached.
        """
        from ..results.table import reported_metric

        recorded = self._recorded()
        metric, done = reported_metric(recorded.loc[recorded["role"] == "result"]), recorded["state"] == "done"
        accuracy = recorded[metric].where(done) if metric in recorded else float("nan")
        labelled = self._labelled(recorded).assign(accuracy=accuracy)
        first = ["key", "role", "label", "row", "seed", "state", "accuracy"]
        return labelled.reindex(columns=[*first, *(name for name in labelled if name not in first)])

    def history(self) -> "pd.DataFrame":
        """Return the metrics of each exit after each epoch: one row per trial, epoch, split and exit.

        The columns are those of `exeunt.results.history`, and `label` and `row` of the trial.

        Raises:
            SpecError: if no trial is recorded yet, or MLflow cannot be reached.
        """
        from ..results import history

        return self._labelled(history(self.tracking_uri, self.name))

    def table(self, kind: str = "main", **options: "Unpack[TableOptions]") -> "ResultTable":
        """Return a table of the sweep, by default the comparison of its methods.

        Args:
            kind: Kind of table: `main`, `exits`, `ablation`, `kd`, `convergence`, `stability`, `cost`, `early-exit`,
                `regimes`, `published` or `failures`.
            options: Options of `exeunt table`: `rows`, `columns`, `transpose`, `method`, `metric`, `digits`, `only`,
                `hide`, `caption` and `label`.

        Raises:
            SpecError: for an unknown kind or option, if no trial is recorded yet, or MLflow cannot be reached.
        """
        from ..results import history, tabulate
        from .table import ResultTable

        past = partial(history, self.tracking_uri, self.name)
        return ResultTable(tabulate(self._recorded(), kind, history=past, margins=self.plan.margins, **options))

    def load(self, architecture: str, method: str, *, seed: int = 0) -> "LoadedTrial":
        """Return a trained trial with its network. Plugins that the trial was trained with are run.

        Args:
            architecture: Row of the main table: an architecture, with its settings if it has several rows.
            method: Column of the main table, such as `eed output_loss=kl, temperature=3`. Settings may be left out if
                the others tell the column apart.
            seed: Seed of the trial.

        Raises:
            SpecError: for a name or a seed that the sweep does not have, with the nearest; for a name of several
                configurations, with all of them; or if the trial has not ended.
        """
        from ..sweep.trained import load_named
        from .trial import LoadedTrial

        return LoadedTrial(load_named(self.store, self.plan, architecture, method, seed))

    def _recorded(self) -> "pd.DataFrame":
        from ..sweep.recorded import load_planned

        return load_planned(self.plan, self.store, self.tracking_uri, _warn)

    def _labelled(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        from ..sweep.find import row_of

        trials = {trial.key: trial for trial in self.plan.trials}
        recorded = zip(frame["key"], frame["method"], frame["architecture"], strict=True)
        # A trial that is no longer planned has the names that it was recorded with.
        names = [
            (trials[key].label, row_of(trials[key])) if key in trials else (method, architecture)
            for key, method, architecture in recorded
        ]
        return frame.assign(label=[label for label, _ in names], row=[row for _, row in names])


def open(name: str, *, storage: Path | str | None = None, tracking: str | None = None) -> StoredSweep:
    """Return a sweep that was launched in a storage, for reading. No code from the storage is run.

    Args:
        name: Name of the sweep: `name` in its file.
        storage: Storage of the trials: a directory or `s3://BUCKET/FOLDER`. Default: `EXEUNT_STORAGE`, else `runs`.
        tracking: MLflow server or database. Default: `EXEUNT_TRACKING`, else `MLFLOW_TRACKING_URI`, else the database
            in the storage.

    Raises:
        SpecError: if no sweep with this name was launched, with the nearest names.
    """
    store = store_at(storage)
    store.plan(name)
    return StoredSweep(name, store, tracked_at(store, tracking))


def run(
    file: Path | str,
    *,
    storage: Path | str | None = None,
    data: Path | str | None = None,
    download: bool = False,
    tracking: str | None = None,
    only: Iterable[str] = (),
    max_concurrent: int | None = None,
    max_device_hours: float | None = None,
    max_joules: float | None = None,
    address: str | None = None,
    plugins: Iterable[Path | str] = (),
    overrides: Mapping[str, object] | None = None,
    quiet: bool = False,
) -> StoredSweep:
    """Train every trial of a sweep file that has no result yet, and return the sweep.

    The function returns after the last trial, also if some trials failed: `StoredSweep.status` has their reasons. At a
    cap on the cost it returns as well, and prints the rest. To resume after an interruption, call it again.

    Args:
        file: Sweep file (YAML) without a search.
        storage: Storage of the trials: a directory or `s3://BUCKET/FOLDER`. Default: `EXEUNT_STORAGE`, else `runs`.
        data: Directory of the datasets. Default: `EXEUNT_DATA`.
        download: True to download missing datasets.
        tracking: MLflow server or database. Default: `EXEUNT_TRACKING`, else `MLFLOW_TRACKING_URI`, else the database
            in the storage.
        only: Parts to train, with their teachers, as METHOD/ARCH: `eed/resnet18`, `eed/*`.
        max_concurrent: Maximum number of trials at a time. Default: as Ray's resources allow.
        max_device_hours: Cap on the device-hours of all trials of the sweep, in all its runs. Default: no cap.
        max_joules: Cap on the energy of all trials of the sweep, in all its runs, in joules. Default: no cap.
        address: Ray cluster: `auto` or `HOST:6379`. Default: a local Ray, or the Ray of this process.
        plugins: Python files that register methods or architectures.
        overrides: Values in place of those of the file, by place: `{"recipe.epochs": 5, "seeds": [0]}`.
        quiet: True to print neither progress nor table.

    Raises:
        SpecError: for an error in the file, a plugin, the options or the storage. The message is that of
            `exeunt sweep`. Also if it is called in another thread than the main thread, which receives Ctrl-C.
        KeyboardInterrupt: after Ctrl-C, once all running trials have a checkpoint; at once after a second.
    """
    from ..sweep.cost_ledger import CostCaps
    from ..sweep.execution.cost_cap import CostCapReached
    from ..sweep.run import run_sweep
    from ..sweep.terminal.console import TerminalConsole
    from .plan import load

    if threading.current_thread() is not threading.main_thread():
        raise SpecError("exeunt.run needs the main thread, which receives Ctrl-C, but was called in another one.")
    if max_concurrent is not None:
        require(max_concurrent >= 1, "max_concurrent >= 1", max_concurrent=max_concurrent)
    caps = CostCaps(max_device_hours=max_device_hours, max_joules=max_joules)
    planned, store = load(file, storage, plugins, overrides)
    uri = tracked_at(store, tracking)
    console = TerminalConsole(file=io.StringIO()) if quiet else TerminalConsole()
    try:
        run_sweep(
            Path(file),
            planned,
            store,
            data_source(data, download),
            uri,
            console,
            only=list(only),
            most=max_concurrent or math.inf,
            address=address,
            caps=caps,
        )
    except CostCapReached as reached:
        console.print(f"{reached}. To resume, call it again with a higher cap.", markup=False, highlight=False)
    return StoredSweep(planned.name, store, uri)


def _warn(problem: str) -> None:
    warnings.warn(problem, stacklevel=4)
