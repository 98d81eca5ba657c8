from .program import Storage, SweepFile, app, planned


@app.command()
def plan(file: SweepFile, storage: Storage = "runs") -> None:
    """Say what a sweep file would train and what of it is done already. Trains nothing."""
    from rich.console import Console

    from ..display.overview import overview

    Console().print(overview(*planned(file, storage)))
