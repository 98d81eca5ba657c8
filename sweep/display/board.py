"""What the person at the terminal sees while a sweep runs."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..planning.plan import PlannedTrial


class Board(ABC):
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
        self.running: dict[str, str] = {}
        """Of each running trial, how far it is."""
        self.console = console
        self._started = time.monotonic()
        self._ended = 0

    def start(self, key: str) -> None:
        """A trial has begun."""
        self.running[key] = "starting"
        self.show_start(self.trials[key])

    def advance(self, key: str, epoch: int, epochs: int) -> None:
        """A trial has finished an epoch."""
        self.running[key] = f"epoch {epoch} of {epochs}"
        self.refresh()

    def end(self, key: str, *, problem: str = "", seconds: float = 0.0) -> None:
        """A trial has ended; with a problem if it failed or diverged."""
        self.running.pop(key, None)
        self._ended += 1
        if problem:
            self.failed += 1
        else:
            self.done += 1
        self.show_end(self.trials[key], problem, seconds)

    @property
    def unfinished(self) -> int:
        """How many trials have not ended."""
        return len(self.trials) - self._ended

    @property
    def elapsed(self) -> float:
        """Seconds since the board was made."""
        return time.monotonic() - self._started

    @property
    def time_left(self) -> str:
        """An estimate from the pace so far, once there is one."""
        if not self._ended:
            return "time left: not known yet"
        seconds = round(self.elapsed / self._ended * self.unfinished)
        return f"about {duration(seconds)} left"

    @property
    def counts(self) -> str:
        """The state of the sweep in a line."""
        waiting = self.total - self.done - self.failed - len(self.running)
        return f"{self.done} done, {len(self.running)} running, {waiting} waiting, {self.failed} failed"

    @abstractmethod
    def show_start(self, trial: PlannedTrial) -> None:
        """A trial has begun."""

    @abstractmethod
    def show_end(self, trial: PlannedTrial, problem: str, seconds: float) -> None:
        """A trial has ended."""

    def refresh(self) -> None:  # noqa: B027 (a board of lines has nothing to redraw)
        """Something changed that a line is not worth."""

    def close(self) -> None:  # noqa: B027 (nor anything to close)
        """Nothing more will be shown."""


class PlainBoard(Board):
    """A line for each trial that starts or ends: for files, pipes and logs."""

    def show_start(self, trial: PlannedTrial) -> None:
        """Prints the trial."""
        self._print(f"start  {trial}")

    def show_end(self, trial: PlannedTrial, problem: str, seconds: float) -> None:
        """Prints the trial, what became of it, and how the sweep stands."""
        outcome = f"FAILED {trial}: {problem}" if problem else f"done   {trial} in {duration(seconds)}"
        self._print(f"{outcome} ({self.counts}; {self.time_left})")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveBoard(Board):
    """A bar and the running trials, redrawn in place: for terminals."""

    def __init__(self, trials: Iterable[PlannedTrial], already_done: int, console: Console) -> None:
        """Starts to draw."""
        super().__init__(trials, already_done, console)
        self._bar = Progress(BarColumn(), MofNCompleteColumn(), TextColumn("trials"), console=console)
        self._task = self._bar.add_task("", total=self.total, completed=self.done)
        self._live = Live(self._draw(), console=console, refresh_per_second=4, transient=True)
        self._live.start()

    def show_start(self, trial: PlannedTrial) -> None:
        """Adds the trial to those that run."""
        del trial
        self.refresh()

    def show_end(self, trial: PlannedTrial, problem: str, seconds: float) -> None:
        """Moves the bar; a problem stays on the screen."""
        del seconds
        if problem:
            self.console.print(Text(f"FAILED {trial}: {problem}", style="red"))
        self.refresh()

    def refresh(self) -> None:
        """Draws the present state."""
        self._bar.update(self._task, completed=self.done + self.failed)
        self._live.update(self._draw())

    def close(self) -> None:
        """Leaves the screen to what follows."""
        self._live.stop()

    def _draw(self) -> Group:
        running = Table.grid(padding=(0, 2))
        for key, stage in self.running.items():
            running.add_row("  " + str(self.trials[key]), Text(stage, style="dim"))
        return Group(self._bar, Text(f"{self.counts}; {self.time_left}"), running)


def make_board(trials: Iterable[PlannedTrial], already_done: int, console: Console) -> Board:
    """The board that suits where the output goes."""
    return (LiveBoard if console.is_terminal else PlainBoard)(trials, already_done, console)


def duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
