"""How a command that trains ends before all is trained."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ...results.mlflow_client import shown
from ...training import StorageError
from ..execution.shutdown import TimeBudgetExceeded

OUT_OF_TIME = 3
"""The exit status after `--time-budget`."""
INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended."""


@contextmanager
def leaving(console: Console, again: list[str]) -> Iterator[None]:
    """Says why the command leaves, and with which words it goes on, where something inside ended it early."""

    def leave(why: str, status: int) -> typer.Exit:
        console.print(shown(f"{why}; go on with: {shlex.join(again)}"), markup=False, highlight=False, soft_wrap=True)
        return typer.Exit(status)

    try:
        yield
    except KeyboardInterrupt:
        raise leave("interrupted", INTERRUPTED) from None
    except TimeBudgetExceeded:
        raise leave("the time budget is over", OUT_OF_TIME) from None
    except StorageError as error:
        leave(f"{error.what} cannot be used", 2)
        raise
