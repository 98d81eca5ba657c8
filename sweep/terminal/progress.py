"""Progress of a running sweep on the terminal."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ...store import PlannedTrial
from ..eta import TimeEstimator
from ..planning.durations import duration
from .steps import Steps

ACCURACIES = {"validation": "validation", "test_by_epoch": "test", "train": "training"}
"""Printed names of image splits by the prefix of a metric name; the first recorded accuracy is shown."""
ROWS = 20
"""Maximum number of running trials on the screen."""
SUMMARY_INTERVAL_S = 60.0
"""Seconds without a line after which a log gets a summary line."""


class ProgressBoard(ABC):
    """Counter of started and ended trials, with an estimate of the time left. Subclasses show it."""

    def __init__(self, trials: Iterable[PlannedTrial], already_done: int, console: Console) -> None:
        """Start with the trials that will run.

        Args:
            trials: trials to run.
            already_done: number of trials of the sweep that need not run.
            console: console for the output.
        """
        self.trials = {trial.key: trial for trial in trials}
        self.total = len(self.trials) + already_done
        self.done = already_done
        self.failed = 0
        self.first_failed: str | None = None
        """Key of the first trial that failed or diverged; None if there is none."""
        self.pruned = 0
        self.coming = 0
        """Number of expected trials whose settings are not known yet."""
        self.begun = False
        """True once a trial has started."""
        self.running: dict[str, str] = {}
        """Stage of each running trial by key, such as `epoch 3 of 10`."""
        self.console = console
        self.estimator = TimeEstimator(self.trials.values())
        """Estimator of the time left."""
        self._started = time.monotonic()
        self._ended = 0
        self._steps = Steps(console)

    def wait_for(self, what: str) -> None:
        """Show what the sweep waits for, until a trial starts."""
        self._steps.show(f"Waiting for {what}")

    def add_expected(self, like: PlannedTrial, number: int) -> None:
        """Add a number of expected trials with about the cost of this one."""
        self.total += number
        self.coming += number
        self.estimator.add_expected(like, number)

    def expect(self, trial: PlannedTrial, *, instead_of: PlannedTrial) -> None:
        """Replace one expected trial by this trial."""
        self._come(instead_of)
        self.trials[trial.key] = trial
        self.estimator.expect(trial)

    def skip_expected(self, announced: PlannedTrial) -> None:
        """Count one expected trial as done, because it need not run."""
        self._come(announced)
        self.done += 1

    def start(self, key: str, *, silently: bool = False) -> None:
        """Record that a trial has started or resumed, and show it."""
        self._steps.close()
        self.begun = True
        self.running[key] = "starting"
        self.estimator.start(key)
        if not silently:
            self.show("start", self.trials[key])

    def advance(self, key: str, record: Mapping[str, Any]) -> None:
        """Record a completed epoch of a trial; `record` has `epoch`, its `seconds` and the total `epochs`."""
        self.running[key] = f"epoch {record['epoch']} of {record['epochs']}{_accuracy(record)}"
        self.estimator.advance(key, record["epochs"] - record["epoch"], record["seconds"])
        self.refresh()

    def end(self, key: str, *, problem: str = "", seconds: float = 0.0) -> None:
        """Record the end of a trial; `problem` is given if it failed or diverged."""
        if problem:
            self.failed += 1
            self.first_failed = self.first_failed or key
            self._leave(key, "FAILED", f": {problem}")
        else:
            self.done += 1
            self._leave(key, "done", f" in {duration(seconds)}")

    def prune(self, key: str, reason: str) -> None:
        """Record that a trial was stopped early."""
        self.pruned += 1
        self._leave(key, "pruned", f": {reason}")

    def pause(self, key: str, reason: str = "") -> None:
        """Record that a trial waits to run again; show it if a reason is given."""
        self.running.pop(key, None)
        self.estimator.pause(key)
        if reason:
            self.show("retry", self.trials[key], f": {reason}")
        self.refresh()

    @property
    def unfinished(self) -> int:
        """Number of trials that have not ended."""
        return len(self.trials) + self.coming - self._ended

    @property
    def elapsed(self) -> float:
        """Seconds since the board was created."""
        return time.monotonic() - self._started

    @property
    def time_left(self) -> str:
        """Estimate of the time left from the completed epochs."""
        seconds = self.estimator.seconds_left()
        return "time left: unknown" if seconds is None else f"about {duration(seconds)} left"

    @property
    def counts(self) -> str:
        """Number of trials in each state, on one line."""
        waiting = self.total - self.done - self.failed - self.pruned - len(self.running)
        pruned = f", {self.pruned} pruned" if self.pruned else ""
        return f"{self.done} done, {len(self.running)} running, {waiting} waiting, {self.failed} failed{pruned}"

    @abstractmethod
    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Show an event of a trial: `start`, `retry`, `done`, `pruned` or `FAILED`."""

    def say(self, line: str) -> None:
        """Print a line about the sweep as a whole."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def refresh(self) -> None:  # noqa: B027 (a board of lines has nothing to redraw)
        """Redraw after a small change."""

    def close(self) -> None:
        """End the display."""
        self._steps.close()

    def _come(self, announced: PlannedTrial) -> None:
        if self.coming:  # 0 if the budget is in hours: the number of trials is then unknown
            self.coming -= 1
            self.estimator.add_expected(announced, -1)
        else:
            self.total += 1

    def _leave(self, key: str, what: str, how: str) -> None:
        self.running.pop(key, None)
        self.estimator.end(key)
        self._ended += 1
        self.show(what, self.trials[key], how)


class PlainBoard(ProgressBoard):
    """Board for files, pipes and logs: a line for each trial that starts or ends, and one for each quiet minute."""

    _said = -SUMMARY_INTERVAL_S

    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Print the event and the trial, and after its end the state of the sweep."""
        standing = "" if what in ("start", "retry") else f" ({self.counts}; {self.time_left})"
        self.say(f"{what:6} {trial}{how}{standing}")

    def say(self, line: str) -> None:
        """Print a line and note the time."""
        super().say(line)
        self._said = time.monotonic()

    def refresh(self) -> None:
        """Print a summary if no line was printed for a minute."""
        if time.monotonic() - self._said >= SUMMARY_INTERVAL_S:
            self.say(f"so far {self.counts}; {self.time_left}")


class LiveBoard(ProgressBoard):
    """Board for terminals: a bar and the running trials, redrawn in place once a trial has started."""

    def __init__(self, trials: Iterable[PlannedTrial], already_done: int, console: Console) -> None:
        """Prepare the drawing."""
        super().__init__(trials, already_done, console)
        self._bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn("trials"), console=console)
        self._task = self._bar.add_task("", total=self.total, completed=self.done)
        self._live = Live(self._draw(), console=console, refresh_per_second=4, transient=True)

    def start(self, key: str, *, silently: bool = False) -> None:
        """Record that a trial has started or resumed; begin to draw if it is the first."""
        super().start(key, silently=silently)
        self._live.start()

    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Redraw; keep every event except `start` and `done` on the screen."""
        if what not in ("start", "done"):
            self.console.print(Text(f"{what:6} {trial}{how}", style="red" if what == "FAILED" else "yellow"))
        self.refresh()

    def refresh(self) -> None:
        """Draw the current state."""
        self._bar.update(self._task, total=self.total, completed=self.total - self.unfinished)
        self._live.update(self._draw())

    def close(self) -> None:
        """Stop drawing."""
        super().close()
        self._live.stop()

    def _draw(self) -> Group:
        running = Table.grid(padding=(0, 2))
        for key, stage in list(self.running.items())[:ROWS]:
            running.add_row("  " + str(self.trials[key]), Text(stage, style="dim"))
        if len(self.running) > ROWS:
            running.add_row(f"  and {len(self.running) - ROWS} more", "")
        return Group(self._bar, Text(f"{self.counts}; {self.time_left}"), running)


def make_board(trials: Iterable[PlannedTrial], already_done: int, console: Console) -> ProgressBoard:
    """Return a board for the console: `LiveBoard` on a terminal, otherwise `PlainBoard`."""
    return (LiveBoard if console.is_terminal else PlainBoard)(trials, already_done, console)


def _accuracy(record: Mapping[str, Any]) -> str:
    """Return the top-1 accuracy of the final exit in percent, on the images that are evaluated after every epoch."""
    for split, images in ACCURACIES.items():
        if (top1 := record.get(f"{split}/final/top1")) is not None:
            return f", {top1:.1f}% on {images} images"
    return ""
