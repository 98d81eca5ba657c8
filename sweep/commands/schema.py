import json
from pathlib import Path
from typing import Annotated

import typer

from ._options import Plugins, app


@app.command()
def schema(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Output file (default: standard output)", show_default=False),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write the JSON schema of sweep files, with which an editor checks and completes them.

    It has keys, types, ranges, names and their descriptions, those of plugins included.
    `exeunt plan FILE` checks the other rules.
    """
    from ...training.plugins import read_plugins, use
    from ..planning.schema import sweep_schema

    use(read_plugins(plugin or ()))
    text = json.dumps(sweep_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(out)
