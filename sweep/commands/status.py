from .program import Storage, SweepName, app, planned


@app.command()
def status(name: SweepName, storage: Storage = "runs") -> None:
    """Say how far a launched sweep is, and what failed in it."""
    from rich.console import Console

    from ..display.overview import overview
    from ..storage.store import Store

    with Store(storage).remembered(name) as file:
        Console().print(overview(*planned(file, storage)))
