from functools import partial
from typing import Annotated, Literal

import typer

from ._options import Storage, SweepName, Tracking, app, tracking_uri, warn

Format = Literal["text", "csv", "latex", "markdown", "html", "json"]


@app.command()
def table(
    name: SweepName,
    storage: Storage = "runs",
    tracking: Tracking = None,
    format: Annotated[Format, typer.Option(help="Output format")] = "text",
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Kind of table: main, exits, ablation, kd, convergence, stability, cost, early-exit, regimes, "
            "published or failures",
        ),
    ] = "main",
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING", help="Setting in the rows of an ablation, such as temperature", show_default=False
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING", help="Setting in the columns of an ablation, such as exits", show_default=False
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD", help="Method of an ablation, if several methods have both settings", show_default=False
        ),
    ] = None,
) -> None:
    """Print a table of a sweep from its MLflow runs, by default the comparison of its methods."""
    from ...results import history, render, tabulate
    from ...store import Store
    from ..recorded import load_planned

    store = Store(storage)
    plan = store.plan(name)
    uri = tracking_uri(store, tracking)
    chosen = {"rows": rows, "columns": columns, "method": method}
    frame = load_planned(plan, store, uri, warn)
    sheet = tabulate(frame, kind, **chosen, history=partial(history, uri, name), margins=plan.margins)
    typer.echo(render(sheet, format), nl=False)
