"""Plan of a sweep file."""

import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..store import Store
from ..training.plugins import read_plugins
from ._environment import store_at

if TYPE_CHECKING:
    import pandas as pd

    from ..sweep.planning.plan import SweepPlan


@dataclass(frozen=True)
class PlannedSweep:
    """Trials of a sweep file, with their states in a storage and their cost. `print` writes the table of the costs."""

    planned: "SweepPlan"
    """Content of the plan; `exeunt.plan` returns it."""
    store: Store
    """Storage of the trials."""

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.planned.name

    def __len__(self) -> int:
        return len(self.planned.trials)

    def __str__(self) -> str:
        from ..sweep.planning.estimate import estimate
        from ..sweep.terminal.console import TerminalConsole
        from ..sweep.terminal.plan import overview

        console = TerminalConsole(file=io.StringIO(), width=120, color_system=None, force_jupyter=False)
        with console.capture() as printed:
            console.print(overview(estimate(self.planned, self.store)))
        return printed.get()

    def _repr_html_(self) -> str:
        return self.cost().to_html()

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per trial, in execution order.

        Columns: `key`, `role` (`result`, `teacher` or `search`), `dataset`, `architecture`, `method`, `label` (method
        and the settings that vary), `row` (architecture and the settings of its row), `seed`, `epochs`, `state` and
        `multiply_adds` of the training.
        """
        import pandas as pd

        from ..sweep.find import row_of

        progress = self.store.progress_of((trial.key for trial in self.planned.trials), self.planned.stopping)
        records = [
            {
                "key": trial.key,
                "role": trial.role,
                "dataset": trial.configuration.dataset,
                "architecture": trial.configuration.architecture,
                "method": trial.configuration.method,
                "label": trial.label,
                "row": row_of(trial),
                "seed": trial.seed,
                "epochs": trial.configuration.epochs,
                "state": progress[trial.key].state,
                "multiply_adds": trial.configuration.cost,
            }
            for trial in self.planned.trials
        ]
        return pd.DataFrame.from_records(records)

    def cost(self, throughput: float | None = None) -> "pd.DataFrame":
        """Return the number and the cost of the trials by architecture, method and role.

        Columns: `architecture`, `method`, `role`, `trials`, `multiply_adds`, `trials_left`, `multiply_adds_left`. With
        a throughput also `device_hours` and `device_hours_left`. A trial that has not ended counts in full.

        Args:
            throughput: Assumed number of training multiply-adds (MACs) per second and device.
        """
        import pandas as pd

        from ..sweep.planning.estimate import estimate
        from ..sweep.planning.throughput import AssumedPace

        estimated = estimate(self.planned, self.store, None if throughput is None else AssumedPace(throughput))
        records = [
            {
                "architecture": row.architecture,
                "method": row.method,
                "role": row.role,
                "trials": row.total.trials,
                "multiply_adds": row.total.multiply_adds,
                "trials_left": row.left.trials,
                "multiply_adds_left": row.left.multiply_adds,
                "device_hours": row.total.hours,
                "device_hours_left": row.left.hours or 0.0,
            }
            for row in estimated.rows
        ]
        costs = pd.DataFrame.from_records(records)
        return costs if throughput is not None else costs.drop(columns=["device_hours", "device_hours_left"])


def plan(
    file: Path | str,
    *,
    storage: Path | str | None = None,
    plugins: Iterable[Path | str] = (),
    overrides: Mapping[str, object] | None = None,
) -> PlannedSweep:
    """Return the trials of a sweep file, without training.

    Args:
        file: Sweep file (YAML).
        storage: Storage of the trials: a directory or `s3://BUCKET/FOLDER`. Default: `EXEUNT_STORAGE`, else `runs`.
        plugins: Python files that register methods or architectures.
        overrides: Values in place of those of the file, by place: `{"recipe.epochs": 5, "seeds": [0]}`.

    Raises:
        SpecError: for an error in the file or in a plugin. The message has the place, the value and what is allowed.
    """
    planned, store = load(file, storage, plugins, overrides)
    return PlannedSweep(planned, store)


def load(
    file: Path | str, storage: Path | str | None, plugins: Iterable[Path | str], overrides: Mapping[str, object] | None
) -> "tuple[SweepPlan, Store]":
    """Return the plan of a sweep file with these values, and its store; issue the warnings of the file."""
    from ..sweep.planning.load import plan_of
    from ..sweep.planning.overrides import overrides_of

    store = store_at(storage)
    planned = plan_of(Path(file), store, read_plugins(map(Path, plugins)), overrides_of(overrides))
    for warning in planned.sweep.warnings:
        warnings.warn(warning, stacklevel=3)
    return planned, store
