from typing import Annotated, Literal

import typer

from ._options import Plugins, app

Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="Kind of names", show_default=False)],
    verbose: Annotated[bool, typer.Option("--verbose", help="Equation, source and constants of each method")] = False,
    plugin: Plugins = None,
) -> None:
    """List the names that a sweep file can use."""
    from ...training.plugins import read_plugins, use
    from ..terminal.console import TerminalConsole
    from ..terminal.list import listing

    use(read_plugins(plugin or ()))
    TerminalConsole().print(listing(kind, verbose=verbose))
