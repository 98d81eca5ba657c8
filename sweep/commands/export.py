from pathlib import Path
from typing import Annotated, Literal

import typer

from ._options import Storage, app

Format = Literal["safetensors", "torch", "onnx"]


@app.command()
def export(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Key of the trial, such as 9f2c41d07ab35e88-s0", show_default=False)
    ],
    format: Annotated[
        Format, typer.Option(help="File format: safetensors (weights), torch (.pt2 program) or onnx")
    ] = "torch",
    exit: Annotated[
        int | None,
        typer.Option(help="Last exit of the exported network, from 1 (default: all exits)", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Output file (default: KEY with the suffix of the format)", show_default=False
        ),
    ] = None,
    storage: Storage = "runs",
) -> None:
    """Export a trained network to a file, and check that the file gives the same outputs."""
    from ...store import Store
    from ..export import export_trial

    typer.echo(export_trial(Store(storage), key, format, exit, out))
