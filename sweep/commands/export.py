from pathlib import Path
from typing import Annotated, Literal

import typer

from ._options import Storage, app

Format = Literal["safetensors", "torch", "onnx"]


@app.command()
def export(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The trial's key: 16 digits.", show_default=False)],
    format: Annotated[Format, typer.Option(help="safetensors: the weights; torch: a .pt2 program.")] = "torch",
    exit: Annotated[
        int | None, typer.Option(help="Leave out all behind this exit, from 1.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The file.", show_default=False)] = None,
    storage: Storage = "runs",
) -> None:
    """Write a trained network to a file, and check that the file gives the same outputs."""
    from ..export import export_trial
    from ..store.trial_store import Store

    typer.echo(export_trial(Store(storage), key, format, exit, out))
