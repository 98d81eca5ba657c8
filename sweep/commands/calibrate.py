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
    latency_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            help="Maximum mean milliseconds per image, from times measured on this machine's CPU, such as 2.5",
            show_default=False,
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Minimum accuracy on the validation images, such as 0.9", show_default=False
        ),
    ] = None,
    risk: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Maximum share of images that early exits make wrong, but the final exit would not, such as 0.05",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Probability with which --risk is guaranteed (default: 0.9)", show_default=False
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

    Thresholds and a temperature for each exit are chosen on the validation images that the trial has held out.
    With --budget or --latency-ms they are the most accurate within it, with --accuracy or --risk the cheapest.
    `exeunt export` writes them beside the network.
    """
    from ...store import Store
    from ...training import DataSource
    from ..calibration import Target, calibrate, keep
    from ..trained import load_named

    target = Target(budget=budget, latency_ms=latency_ms, accuracy=accuracy, risk=risk, confidence=confidence)
    store = Store(storage)
    trained = load_named(store, store.plan(name), architecture, method, seed)
    source = DataSource(directory=data, download=download)
    found = calibrate(trained, source, target, criterion=criterion)
    typer.echo(f"{found}\nwritten: {keep(trained, found)}")
