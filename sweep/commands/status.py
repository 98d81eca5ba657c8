from contextlib import suppress
from typing import Annotated

import typer

from ._options import Storage, SweepName, app

Watch = Annotated[bool, typer.Option("--watch", help="Continuous display until the sweep is over or Ctrl-C is pressed")]


Failure = Annotated[
    str | None,
    typer.Option(
        "--failure", metavar="KEY", help="Traceback of a failed trial; the beginning of its key", show_default=False
    ),
]


@app.command()
def status(name: SweepName, storage: Storage = "runs", watch: Watch = False, failure: Failure = None) -> None:
    """Print the progress, the running trials and the failures of a sweep.

    The sweep may run on another machine that uses the same storage.
    With --failure, print the traceback of a failed trial instead.
    """
    from ...store import Store
    from ..status import StatusReader
    from ..terminal import status as shown
    from ..terminal.console import TerminalConsole

    console, store = TerminalConsole(), Store(storage)
    plan = store.plan(name)
    if failure is not None:
        from ..failure import failure_text

        console.print(failure_text(plan, store, failure), markup=False, highlight=False, soft_wrap=True)
        return
    grows = plan.command == "search"
    observer = StatusReader(plan, store, replan=(lambda: store.plan(name)) if grows else None)
    if watch:
        with suppress(KeyboardInterrupt):
            shown.watch(observer, console)
    else:
        console.print(shown.situation(observer.read()))
