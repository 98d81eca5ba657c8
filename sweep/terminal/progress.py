"""What the person at the terminal sees while a sweep runs."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..eta import TimeEstimator
from ..planning.durations import duration
from ..planning.plan import PlannedTrial

ACCURACIES = {"validation": "validation", "test_by_epoch": "test", "train": "training"}
"""By what the measured names of an epoch begin with, the images that the first accuracy found is of."""
ROWS = 20
"""Running trials that are drawn at most."""
SUMMARY_INTERVAL_S = 60.0
"""Seconds after which a log says how the sweep stands, if nothing else was said."""


class ProgressBoard(ABC):
    """Counts trials as they start and end, and estimates the time left. Subclasses show it."""

    def __init__(self, trials: Iterable[PlannedTrial], already_done: int, console: Console) -> None:
        """Of the trials that will run.

        Args:
            trials: those to come.
            already_done: how many of the sweep's trials need not run.
            console: where to show it.
        """
        self.trials = {trial.key: trial for trial in trials}
        self.total = len(self.trials) + already_done
        self.done = already_done
        self.failed = 0
        self.pruned = 0
        self.coming = 0
        """How many trials there will be besides `trials`, which are not known yet."""
        self.running: dict[str, str] = {}
        """Of each running trial, how far it is."""
        self.console = console
        self._pace = TimeEstimator(self.trials.values())
        self._started = time.monotonic()
        self._ended = 0

    def add_expected(self, like: PlannedTrial, number: int) -> None:
        """So many trials will come, each of about the cost of this one."""
        self.total += number
        self.coming += number
        self._pace.add_expected(like, number)

    def expect(self, trial: PlannedTrial, *, instead_of: PlannedTrial) -> None:
        """One of those that were announced is known now."""
        self._come(instead_of)
        self.trials[trial.key] = trial
        self._pace.expect(trial)

    def skip_expected(self, announced: PlannedTrial) -> None:
        """One of those that were announced need not run."""
        self._come(announced)
        self.done += 1

    def start(self, key: str) -> None:
        """A trial has begun, anew or where it was."""
        self.running[key] = "starting"
        self._pace.start(key)
        self.show("start", self.trials[key])

    def advance(self, key: str, record: Mapping[str, Any]) -> None:
        """A trial has finished the epoch with this record, which has `epochs` too."""
        self.running[key] = f"epoch {record['epoch']} of {record['epochs']}{_accuracy(record)}"
        self._pace.advance(key, record["epoch"], record["epochs"])
        self.refresh()

    def end(self, key: str, *, problem: str = "", seconds: float = 0.0) -> None:
        """A trial has ended; with a problem if it failed or diverged."""
        if problem:
            self.failed += 1
            self._leave(key, "FAILED", f": {problem}")
        else:
            self.done += 1
            self._leave(key, "done", f" in {duration(seconds)}")

    def prune(self, key: str, reason: str) -> None:
        """A trial was stopped early."""
        self.pruned += 1
        self._leave(key, "pruned", f": {reason}")

    def pause(self, key: str, reason: str = "") -> None:
        """A trial does not run any more, but will; with a reason where that is news."""
        self.running.pop(key, None)
        self._pace.pause(key)
        if reason:
            self.show("again", self.trials[key], f": {reason}")
        self.refresh()

    @property
    def unfinished(self) -> int:
        """How many trials have not ended."""
        return len(self.trials) + self.coming - self._ended

    @property
    def elapsed(self) -> float:
        """Seconds since the board was made."""
        return time.monotonic() - self._started

    @property
    def time_left(self) -> str:
        """An estimate from the epochs so far, once there is one."""
        seconds = self._pace.seconds_left()
        return "time left: not known yet" if seconds is None else f"about {duration(seconds)} left"

    @property
    def counts(self) -> str:
        """The state of the sweep in a line."""
        waiting = self.total - self.done - self.failed - self.pruned - len(self.running)
        pruned = f", {self.pruned} pruned" if self.pruned else ""
        return f"{self.done} done, {len(self.running)} running, {waiting} waiting, {self.failed} failed{pruned}"

    @abstractmethod
    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Something has become of a trial: `start`, `again`, `done`, `pruned` or `FAILED`."""

    def say(self, line: str) -> None:
        """Tells the person something that is of no one trial."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def refresh(self) -> None:  # noqa: B027 (a board of lines has nothing to redraw)
        """Something changed that a line is not worth."""

    def close(self) -> None:  # noqa: B027 (nor anything to close)
        """Nothing more will be shown."""

    def _come(self, announced: PlannedTrial) -> None:
        if self.coming:  # where a budget is in hours, nobody knows how many will come
            self.coming -= 1
            self._pace.add_expected(announced, -1)
        else:
            self.total += 1

    def _leave(self, key: str, what: str, how: str) -> None:
        self.running.pop(key, None)
        self._pace.end(key)
        self._ended += 1
        self.show(what, self.trials[key], how)


class PlainBoard(ProgressBoard):
    """A line for each trial that starts or ends, and one for each quiet minute: for files, pipes and logs."""

    _said = -SUMMARY_INTERVAL_S

    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Prints the trial, what became of it, and if it has ended how the sweep stands."""
        standing = "" if what in ("start", "again") else f" ({self.counts}; {self.time_left})"
        self.say(f"{what:6} {trial}{how}{standing}")

    def say(self, line: str) -> None:
        """Prints a line."""
        super().say(line)
        self._said = time.monotonic()

    def refresh(self) -> None:
        """Says how the sweep stands, if nothing was said for a minute."""
        if time.monotonic() - self._said >= SUMMARY_INTERVAL_S:
            self.say(f"so far {self.counts}; {self.time_left}")


class LiveBoard(ProgressBoard):
    """A bar and the running trials, redrawn in place: for terminals."""

    def __init__(self, trials: Iterable[PlannedTrial], already_done: int, console: Console) -> None:
        """Starts to draw."""
        super().__init__(trials, already_done, console)
        self._bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn("trials"), console=console)
        self._task = self._bar.add_task("", total=self.total, completed=self.done)
        self._live = Live(self._draw(), console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def show(self, what: str, trial: PlannedTrial, how: str = "") -> None:
        """Moves the bar; what is no matter of course stays on the screen."""
        if what not in ("start", "done"):
            self.console.print(Text(f"{what:6} {trial}{how}", style="red" if what == "FAILED" else "yellow"))
        self.refresh()

    def refresh(self) -> None:
        """Draws the present state."""
        self._bar.update(self._task, total=self.total, completed=self.total - self.unfinished)
        self._live.update(self._draw())

    def close(self) -> None:
        """Leaves the screen to what follows."""
        self._live.stop()

    def _draw(self) -> Group:
        running = Table.grid(padding=(0, 2))
        for key, stage in list(self.running.items())[:ROWS]:
            running.add_row("  " + str(self.trials[key]), Text(stage, style="dim"))
        if len(self.running) > ROWS:
            running.add_row(f"  and {len(self.running) - ROWS} more", "")
        return Group(self._bar, Text(f"{self.counts}; {self.time_left}"), running)


def make_board(trials: Iterable[PlannedTrial], already_done: int, console: Console) -> ProgressBoard:
    """The board that suits where the output goes."""
    return (LiveBoard if console.is_terminal else PlainBoard)(trials, already_done, console)


def _accuracy(record: Mapping[str, Any]) -> str:
    """The final exit's, in percent, on the images that the protocol measures after every epoch."""
    for split, images in ACCURACIES.items():
        if (top1 := record.get(f"{split}/final/top1")) is not None:
            return f", {top1:.1f}% on {images} images"
    return ""
