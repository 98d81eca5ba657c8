from typing import Annotated, Literal

import typer

from .program import Storage, SweepName, app

Format = Literal["text", "csv", "latex", "markdown"]


@app.command()
def table(
    name: SweepName,
    storage: Storage = "runs",
    format: Annotated[Format, typer.Option(help="How to write it.")] = "text",
) -> None:
    """Print the comparison table of a sweep, from what MLflow recorded."""
    from ...results import comparison, load, render
    from ..storage.store import Store

    store = Store(storage)
    store.require_launched(name)
    typer.echo(render(comparison(load(store.tracking_uri, name)), format), nl=False)
