from typing import Annotated, Literal

import typer

from .program import app

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]


@app.command(name="list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List the names that a sweep file can use."""
    from rich.console import Console

    from ..display.listing import listing

    Console().print(listing(kind))
