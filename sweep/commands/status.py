from contextlib import suppress
from typing import Annotated

import typer

from ._options import Storage, SweepName, app, load_launched_plan

Watch = Annotated[bool, typer.Option("--watch", help="Continuous display until the sweep is over or Ctrl-C is pressed")]


@app.command()
def status(name: SweepName, storage: Storage = "runs", watch: Watch = False) -> None:
    """Print the progress, the running trials and the failures of a sweep.

    The sweep may run on another machine that uses the same storage.
    """
    from rich.console import Console

    from ..status import StatusReader
    from ..terminal import status as shown

    console = Console()
    plan, store = load_launched_plan(name, storage)
    grows = plan.sweep.search is not None
    observer = StatusReader(plan, store, replan=(lambda: load_launched_plan(name, storage)[0]) if grows else None)
    if watch:
        with suppress(KeyboardInterrupt):
            shown.watch(observer, console)
    else:
        console.print(shown.situation(observer.read()))
