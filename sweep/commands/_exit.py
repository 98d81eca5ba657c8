"""Early end of a command that trains: message and exit status."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ...specs import masked
from ...store import StorageError
from ..execution.shutdown import TimeBudgetExceeded

OUT_OF_TIME = 3
"""Exit status after `--time-budget`."""
INTERRUPTED = 130
"""Exit status after Ctrl-C."""


@contextmanager
def leaving(console: Console, again: list[str]) -> Iterator[None]:
    """Print the cause and the command that resumes the sweep, if the code inside is interrupted.

    Args:
        console: console for the message.
        again: arguments of the command that resumes the sweep.
    """

    def leave(why: str, status: int) -> typer.Exit:
        console.print(masked(f"{why}. Resume with: {shlex.join(again)}"), markup=False, highlight=False, soft_wrap=True)
        return typer.Exit(status)

    try:
        yield
    except KeyboardInterrupt:
        raise leave("Interrupted", INTERRUPTED) from None
    except TimeBudgetExceeded:
        raise leave("Time budget used up", OUT_OF_TIME) from None
    except StorageError as error:
        leave(f"Cannot use {error.what}", 2)
        raise
