import re
from functools import partial
from typing import Annotated, Any, Literal

import typer

from ...specs import SpecError
from ..terminal.width import text_width
from ._options import Storage, SweepName, Tracking, app, sweep_names, tracking_uri, warn

Format = Literal["text", "csv", "latex", "markdown", "html", "json"]

_POINTS = {"pt": 1.0, "in": 72.27, "cm": 72.27 / 2.54, "mm": 72.27 / 25.4}
"""LaTeX points per unit of a width."""
_LAYOUT = "Layout"


@app.command()
def table(
    name: SweepName,
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Further sweeps to compare in the same table",
            show_default=False,
            autocompletion=sweep_names,
        ),
    ] = None,
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
            metavar="AXES",
            help="Axes along the rows: method, architecture or dataset, joined by commas; for an ablation a setting, "
            "such as temperature",
            show_default=False,
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="AXES", help="Axes along the columns, as for --rows", show_default=False, rich_help_panel=_LAYOUT
        ),
    ] = None,
    transpose: Annotated[
        bool, typer.Option("--transpose", help="Rows and columns swapped", rich_help_panel=_LAYOUT)
    ] = False,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Method of an ablation, if several methods have both settings",
            show_default=False,
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="Recorded metric, such as test/ensemble/top1 (default: the accuracy that the protocol reports)",
            show_default=False,
        ),
    ] = None,
    digits: Annotated[
        int | None,
        typer.Option(min=0, max=10, metavar="N", help="Number of decimals (default: of the metric)"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Shown configurations: METHOD/ARCH, METHOD or a label, such as 'eed/*' (repeatable)",
            show_default=False,
        ),
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Hidden configurations, as for --only (repeatable)", show_default=False),
    ] = None,
    caption: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Title in place of the one that names sweep, dataset and metric",
            show_default=False,
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label of a LaTeX table (default: tab:NAME:KIND)",
            show_default=False,
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTH",
            help="Width of text in characters (default: of the terminal); of LaTeX: article (default), column (of two "
            "columns), page (both columns), or a length such as 5.5in, 14cm, 345pt",
            show_default=False,
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    floating: Annotated[
        Literal["table", "table*"] | None,
        typer.Option(
            "--float",
            help="LaTeX environment; table* spans both columns (default with --width page)",
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    siunitx: Annotated[
        bool, typer.Option("--siunitx", help="LaTeX columns of the package siunitx", rich_help_panel=_LAYOUT)
    ] = False,
) -> None:
    """Print a table of one or several sweeps from their MLflow runs, by default the comparison of their methods.

    A table that is too wide for the terminal or the page is turned round, wrapped or divided into panels.
    """
    import pandas as pd

    from ...results import history, joined, render, tabulate
    from ...store import Store
    from ..recorded import load_planned

    page = _page(width, floating, format, siunitx=siunitx)
    store = Store(storage)
    uri = tracking_uri(store, tracking)
    names: list[str] = list(dict.fromkeys([str(name), *(more or [])]))
    plans = [store.plan(one) for one in names]
    frame = joined([load_planned(plan, store, uri, warn) for plan in plans])
    sheet = tabulate(
        frame,
        kind,
        history=lambda: pd.concat(map(partial(history, uri), names), ignore_index=True),
        margins=plans[0].margins if all(plan.margins == plans[0].margins for plan in plans) else None,
        rows=rows,
        columns=columns,
        transpose=transpose,
        method=method,
        metric=metric,
        digits=digits,
        only=only or (),
        hide=hide or (),
        caption=caption,
        label=label,
    )
    typer.echo(render(sheet, format, **page), nl=False)


def _page(width: str | None, floating: str | None, format: Format, *, siunitx: bool) -> dict[str, Any]:
    """Return the options of `render` for a page. Raises `SpecError` for a width that the format does not have."""
    if format != "latex":
        for field, value in {"float": floating, "siunitx": siunitx}.items():
            if value:
                raise SpecError(f"--{field} is of LaTeX tables; add --format latex, or remove it.", field=field)
    if format == "text":
        return {"width": text_width() if width is None else _characters(width)}
    if format == "latex":
        return _latex_page(width, floating) | {"siunitx": siunitx}
    if width is not None:
        raise SpecError(f"--width is of text and LaTeX tables, not of {format}; remove it.", field="width")
    return {}


def _characters(width: str) -> int:
    if not width.isdecimal() or not 20 <= int(width) <= 10_000:
        raise SpecError(f"--width {width}: a text has a width of 20 to 10000 characters, such as 100.", field="width")
    return int(width)


def _latex_page(width: str | None, floating: str | None) -> dict[str, Any]:
    from ...results.latex import PAGES

    named = PAGES.get((width or "article").lower())
    if named is not None:
        points, usual = named
        return {"width": points, "floating": floating or usual}
    length = re.fullmatch(r"(\d+(?:\.\d+)?)(pt|in|cm|mm)?", width or "")
    if length is None or not 50 <= (points := float(length[1]) * _POINTS[length[2] or "pt"]) <= 5000:
        rule = f"use {', '.join(PAGES)}, or a length of 50pt to 5000pt, such as 5.5in, 14cm or 345pt"
        raise SpecError(f"--width {width}: {rule}.", field="width")
    return {"width": points, "floating": floating or "table"}
