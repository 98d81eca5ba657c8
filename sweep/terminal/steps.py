"""Current step of a command, on standard error of a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


@contextmanager
def shown_steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current step; it shows nothing if standard error is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("Starting") as status:
        yield lambda step: status.update(escape(step))
