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
CAPPED = 4
"""Exit status at a cap on the cost."""
INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def leave(console: Console, why: str, again: list[str], status: int) -> typer.Exit:
    """Print the cause and the command that resumes the sweep. Return the exception that ends this command."""
    console.print(masked(f"{why}. Resume with: {shlex.join(again)}"), markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)


@contextmanager
def leaving(console: Console, again: list[str]) -> Iterator[None]:
    """Print the cause and the command that resumes the sweep, if the code inside is interrupted.

    Args:
        console: console for the message.
        again: arguments of the command that resumes the sweep.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise leave(console, "Interrupted", again, INTERRUPTED) from None
    except TimeBudgetExceeded:
        raise leave(console, "Time budget used up", again, OUT_OF_TIME) from None
    except StorageError as error:
        leave(console, f"Cannot use {error.what}", again, 2)
        raise
