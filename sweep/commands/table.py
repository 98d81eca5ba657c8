from typing import Annotated, Literal

import typer

from .program import Storage, SweepName, Tracking, app, tracking_uri

Format = Literal["text", "csv", "latex", "markdown", "html", "json"]


@app.command()
def table(
    name: SweepName,
    storage: Storage = "runs",
    tracking: Tracking = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = "text",
) -> None:
    """Print the comparison table of a sweep, from what MLflow recorded."""
    from ...results import comparison, load, main, render
    from ..storage.store import Store

    store = Store(storage)
    store.require_launched(name)
    typer.echo(render(main(comparison(load(tracking_uri(store, tracking), name))), format), nl=False)
