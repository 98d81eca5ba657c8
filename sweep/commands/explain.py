from typing import Annotated

import typer

from ._options import Storage, SweepName, Tracking, app, tracking_uri, warn
from .table import Format


@app.command()
def explain(
    name: SweepName,
    architecture: Annotated[
        str, typer.Argument(metavar="ARCHITECTURE", help="Architecture: a row of the main table", show_default=False)
    ],
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD", help="Method: a column of the main table, with its settings in quotes", show_default=False
        ),
    ],
    storage: Storage = "runs",
    tracking: Tracking = None,
    format: Annotated[Format, typer.Option(help="Output format")] = "text",
) -> None:
    """Trace a cell of the main table to its trials, their MLflow runs and their files."""
    from ...results import explain, render
    from ...specs import masked
    from ...store import Store
    from ..recorded import load_planned
    from ..terminal.width import text_width

    store = Store(storage)
    plan = store.plan(name)
    uri = tracking_uri(store, tracking)
    frame = load_planned(plan, store, uri, warn)
    sheet = explain(frame, architecture, method, files=lambda key: store.trial(key).directory.entries())
    typer.echo(render(sheet, format, width=text_width() if format == "text" else None), nl=False)
    if format == "text":
        typer.echo(f"Files: {store.location}/trials/TRIAL/\nMLflow: {masked(uri)}")
