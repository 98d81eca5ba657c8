from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ...specs import SpecError
from ._options import Storage, SweepName, Tracking, app, tracking_uri, warn

PAGE = "figures.html"
"""File of the interactive figures."""


class Format(StrEnum):
    """Format of a figure's file."""

    pdf = "pdf"
    png = "png"
    svg = "svg"


@app.command()
def figures(
    name: SweepName,
    storage: Storage = "runs",
    tracking: Tracking = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Output directory (default: sweeps/NAME/figures in the storage)",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Kind of figure, such as exits or early-exit (repeatable; default: all)", show_default=False),
    ] = None,
    format: Annotated[
        list[Format] | None,
        typer.Option(help="File format (repeatable; default: all three)", show_default=False),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", help="One page of interactive figures (HTML) instead of the files for print"),
    ] = False,
) -> None:
    """Draw the figures of a sweep from its MLflow runs, as PDF, PNG and SVG with captions."""
    if interactive and (kind or format):
        option = "kind" if kind else "format"
        raise SpecError(f"--{option} cannot be combined with --interactive; give one of the two.", field=option)

    from ...results import history
    from ...store import LocalDirectory, Store
    from ..recorded import load_planned
    from ..terminal.steps import shown_steps

    store = Store(storage)
    plan = store.plan(name)
    uri = tracking_uri(store, tracking)
    folder = store.sweep_directory(name).inside("figures") if out is None else LocalDirectory(out)
    with shown_steps() as step:
        step("Reading MLflow runs")
        frame, past = load_planned(plan, store, uri, warn), history(uri, name)
        if interactive:
            from ...results.figures.interactive import interactive as interactive_page

            step("Drawing interactive figures")
            folder.write(PAGE, interactive_page(frame, past).encode())
            typer.echo(folder.located(PAGE))
            return
        from ...results.figures import draw

        drawn = draw(frame, past, step, kind or ())
        for figure in drawn:
            step(f"Writing figure {figure.name}")
            for form in format or Format:
                content = figure.svg().encode() if form is Format.svg else getattr(figure, form)()
                folder.write(f"{figure.name}.{form}", content)
                typer.echo(folder.located(f"{figure.name}.{form}"))
    captions = "\n".join(f"{figure.name}: {figure.title}\n{figure.caption}\n" for figure in drawn)
    folder.write("captions.txt", captions.encode())
    typer.echo(folder.located("captions.txt"))
