import os
from collections.abc import Iterable
from typing import Annotated

import typer

from ._options import Data, Storage, Tracking, app, tracking_uri

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="RAY_ADDRESS",
        help="Ray cluster, as for `exeunt sweep` and `exeunt submit` (default: a local Ray)",
        show_default=False,
    ),
]

Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Dataset whose images are all read, such as folder:PATH; nothing else is checked",
        show_default=False,
    ),
]

IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""Environment variables of MLflow and their values, unless they are already set."""


@app.command()
def doctor(
    storage: Storage = "runs",
    data: Data = None,
    tracking: Tracking = None,
    address: Address = None,
    dataset: Dataset = None,
) -> None:
    """Check what sweeps need on this machine, and print each problem with its fix.

    The checks cover versions, devices, storage, MLflow, Ray and datasets.
    Use the same options as for your sweep. With --dataset, every image of one dataset is read instead.

    Exit status: 0 no problem; 1 at least one problem; 2 error in the options.
    """
    from ..doctor import Finding, surroundings, versions
    from ..terminal.console import TerminalConsole
    from ..terminal.doctor import finding_line

    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    console = TerminalConsole(highlight=False)

    def wrong_in(findings: Iterable[Finding]) -> int:
        """Print each finding at once, and return the number of findings that are wrong."""
        count = 0
        for finding in findings:
            console.print(finding_line(finding))
            count += finding.verdict == "wrong"
        return count

    if dataset is not None:
        from ..image_doctor import read_dataset

        with console.status("reading images"):
            wrong = wrong_in(read_dataset(dataset, data))
        raise typer.Exit(1 if wrong else 0)
    with console.status("checking"):
        if wrong := wrong_in(versions()):
            console.print("The other checks need these fixes first.")
        else:
            from ...store import Store  # this import needs the packages

            store = Store(storage)
            wrong = wrong_in(surroundings(store, tracking_uri(store, tracking), address, data))
    if wrong:
        raise typer.Exit(1)
