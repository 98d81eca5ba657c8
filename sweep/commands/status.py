from contextlib import suppress
from typing import Annotated

import typer

from .program import Storage, SweepName, app, launched

Watch = Annotated[bool, typer.Option("--watch", help="Show it until the sweep is over or Ctrl-C is pressed.")]


@app.command()
def status(name: SweepName, storage: Storage = "runs", watch: Watch = False) -> None:
    """Say how far a sweep is that was launched here or elsewhere, what runs, and what failed in it."""
    from rich.console import Console

    from ..display import situation
    from ..storage.situation import Observer

    console = Console()
    plan, store = launched(name, storage)
    grows = plan.sweep.search is not None
    observer = Observer(plan, store, replan=(lambda: launched(name, storage)[0]) if grows else None)
    if watch:
        with suppress(KeyboardInterrupt):
            situation.watch(observer, console)
    else:
        console.print(situation.situation(observer.look()))
