from typing import Annotated

import typer

from ._options import Data, Download, Storage, SweepName, app

Architecture = Annotated[
    str, typer.Argument(metavar="ARCH", help="Architecture: a row of the main table", show_default=False)
]
Method = Annotated[
    str,
    typer.Argument(
        metavar="METHOD", help="Method: a column of the main table, with its settings in quotes", show_default=False
    ),
]


@app.command()
def calibrate(
    name: SweepName,
    architecture: Architecture,
    method: Method,
    seed: Annotated[int, typer.Option(help="Seed of the trial")] = 0,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Maximum mean multiply-adds (MACs) per image, as a share of those of the final exit, such as 0.7",
            show_default=False,
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Minimum accuracy on the validation images, such as 0.9", show_default=False
        ),
    ] = None,
    criterion: Annotated[
        str, typer.Option(help="Exit criterion: max_probability, entropy, margin or patience")
    ] = "max_probability",
    storage: Storage = "runs",
    data: Data = None,
    download: Download = False,
) -> None:
    """Choose the thresholds of early exits of a trained network, and keep them with the trial.

    The thresholds are chosen on the validation images that the trial has held out.
    With --budget they are the most accurate within it, with --accuracy the cheapest that reach it.
    `exeunt export` writes them beside the network.
    """
    from ...store import Store
    from ...training import DataSource
    from ..calibration import calibrate, keep
    from ..trained import load_named

    store = Store(storage)
    trained = load_named(store, store.plan(name), architecture, method, seed)
    source = DataSource(directory=data, download=download)
    found = calibrate(trained, source, budget=budget, accuracy=accuracy, criterion=criterion)
    typer.echo(f"{found}\nwritten: {keep(trained, found)}")
