from contextlib import suppress
from typing import Annotated

import typer

from ._options import Storage, SweepName, app, load_launched_plan

Watch = Annotated[bool, typer.Option("--watch", help="Show it until the sweep is over or Ctrl-C is pressed.")]


@app.command()
def status(name: SweepName, storage: Storage = "runs", watch: Watch = False) -> None:
    """Say how far a sweep is that was launched here or elsewhere, what runs, and what failed in it."""
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
