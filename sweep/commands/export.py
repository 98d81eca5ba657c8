from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...specs import SpecError
from ._options import Storage, app

if TYPE_CHECKING:
    from ..trained import TrainedTrial

Format = Literal["safetensors", "torch", "onnx"]
Trial = Annotated[
    str,
    typer.Argument(
        metavar="KEY|NAME",
        help="Key of the trial, such as 9f2c41d07ab35e88-s0; or name of the sweep, before ARCH and METHOD",
        show_default=False,
    ),
]
Architecture = Annotated[
    str | None, typer.Argument(metavar="ARCH", help="Architecture: a row of the main table", show_default=False)
]
Method = Annotated[
    str | None,
    typer.Argument(
        metavar="METHOD", help="Method: a column of the main table, with its settings in quotes", show_default=False
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of the trial of ARCH and METHOD (default: 0)", show_default=False)]


@app.command()
def export(
    trial: Trial,
    architecture: Architecture = None,
    method: Method = None,
    seed: Seed = None,
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
    from ..export import export_trial

    typer.echo(export_trial(trained_of(trial, architecture, method, seed, storage), format, exit, out))


def trained_of(
    trial: str, architecture: str | None, method: str | None, seed: int | None, storage: str
) -> "TrainedTrial":
    """Return the trial with this key, or the trial of a sweep with these names."""
    from ...store import Store
    from ..trained import load_named, load_trained

    store = Store(storage)
    if architecture is None:
        if seed is not None:
            raise SpecError(f"--seed {seed} needs NAME ARCH METHOD; a key has its seed.", field="seed")
        return load_trained(store, trial)
    if method is None:
        rule = "give NAME ARCH METHOD, or only the key of a trial"
        raise SpecError(f"exeunt export {trial} {architecture}: METHOD is missing; {rule}.", field="method")
    return load_named(store, store.plan(trial), architecture, method, seed or 0)
