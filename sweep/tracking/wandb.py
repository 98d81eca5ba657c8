"""Runs of Weights & Biases, written offline. `wandb sync` uploads them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import wandb

from ...store import Plan, PlannedTrial, Record, State
from ...store.labels import parameters


class WandB:
    """Tracker with an offline run per trial. Trials of one configuration are a group."""

    def open(self, plan: Plan, directory: Path) -> None:
        """Keep the name of the project, which is that of the sweep, and the directory."""
        self._project = plan.name
        self._directory = directory
        os.environ.setdefault("WANDB_SILENT", "true")

    def write(self, trial: PlannedTrial, name: str, records: Sequence[Record], state: State) -> None:
        """Write the offline run of a trial, instead of an older one."""
        for old in (self._directory / "wandb").glob(f"offline-run-*-{trial.key}"):
            shutil.rmtree(old)
        run = wandb.init(
            project=self._project,
            id=trial.key,
            name=f"{name} seed {trial.seed}",
            group=name,
            config=dict(parameters(trial.spec)),
            dir=self._directory,
            mode="offline",
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, x_disable_stats=True),
        )
        for record in records:
            metrics = {metric: value for metric, value in record.items() if metric not in ("epoch", "time")}
            run.log(metrics, step=record["epoch"])
        run.summary["state"] = state
        run.finish(exit_code=0 if state == "done" else 1)

    def close(self) -> None:
        """Do nothing: each run is finished."""
