"""Event files for TensorBoard, written by tensorboardX."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tensorboardX import SummaryWriter

from ...store import Plan, PlannedTrial, Record, State


class TensorBoard:
    """Tracker with a directory `CONFIGURATION/KEY` per trial, which TensorBoard shows as a run."""

    def open(self, plan: Plan, directory: Path) -> None:  # noqa: ARG002 (the directory belongs to the sweep)
        """Keep the directory."""
        self._directory = directory

    def write(self, trial: PlannedTrial, name: str, records: Sequence[Record], state: State) -> None:
        """Write the event file of a trial, instead of an older one."""
        for old in self._directory.glob(f"*/{trial.key}"):
            shutil.rmtree(old)
        place = self._directory / re.sub(r"[^\w .,=+-]", "-", name) / trial.key
        with SummaryWriter(str(place)) as events:
            events.add_text("trial", f"{trial}: {state}", 0)
            for record in records:
                for metric, value in record.items():
                    if metric not in ("epoch", "time"):
                        events.add_scalar(metric, value, record["epoch"], walltime=record["time"])

    def close(self) -> None:
        """Do nothing: each event file is complete."""
