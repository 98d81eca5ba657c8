"""Current step of a command that makes its user wait."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..planning.durations import duration
from .console import TerminalConsole

LONG_S = 3.0
"""Seconds after which a step counts as long: its duration is shown, and a log gets a line about it."""
REPEAT_S = 60.0
"""Seconds between two lines about the same step in a log."""


class Steps:
    """Display of the current step: redrawn in place on a terminal; elsewhere, lines about long steps only."""

    def __init__(self, console: Console, *, long_s: float = LONG_S, repeat_s: float = REPEAT_S) -> None:
        """Show nothing until the first step.

        Args:
            console: console for the output.
            long_s: seconds after which a step counts as long.
            repeat_s: seconds between two lines about the same step in a log.
        """
        self._console = console
        self._long_s = long_s
        self._repeat_s = repeat_s
        self._end: Callable[[], None] = lambda: None

    def show(self, step: str) -> None:
        """Show a step, such as `Waiting for Ray to start`, until the next one or until `close`."""
        self.close()
        current = _Step(step, self._long_s)
        if self._console.is_terminal:
            spinner = Spinner("dots", text=current, style="status.spinner")
            live = Live(spinner, console=self._console, refresh_per_second=4, transient=True)
            live.start(refresh=True)
            self._end = live.stop
        else:
            self._end = self._print_if_long(current)

    def close(self) -> None:
        """End the display of the current step, if there is one."""
        self._end()
        self._end = lambda: None

    def _print_if_long(self, current: "_Step") -> Callable[[], None]:
        """Print a step in a thread as long as it lasts; return a function that ends the thread."""
        ended = threading.Event()

        def print_until_ended() -> None:
            pause = self._long_s
            while not ended.wait(pause):
                self._console.print(current, soft_wrap=True)
                pause = self._repeat_s

        thread = threading.Thread(target=print_until_ended, name="steps", daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join()

        return end


class _Step:
    """A step, drawn with the time since it began if it is long."""

    def __init__(self, text: str, long_s: float) -> None:
        self._text = text
        self._long_s = long_s
        self._began = time.monotonic()

    def __rich__(self) -> Text:
        seconds = time.monotonic() - self._began
        return Text(f"{self._text} ({duration(seconds)}) ..." if seconds >= self._long_s else f"{self._text} ...")


@contextmanager
def shown_steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current step on standard error, until the context ends."""
    steps = Steps(TerminalConsole(stderr=True))
    try:
        yield steps.show
    finally:
        steps.close()
