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
        help="Of a Ray cluster, as `exeunt sweep` and `exeunt submit` take it.",
        show_default=False,
    ),
]

IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""What MLflow reads from the environment, unless it is set there."""


@app.command()
def doctor(storage: Storage = "runs", data: Data = None, tracking: Tracking = None, address: Address = None) -> None:
    """Look at what sweeps need here, and say what is wrong with it and what to do.

    Versions, devices, storage, MLflow, Ray and data sets, with the options that a sweep would get.

    Exit status: 0 nothing is wrong; 1 something is; 2 a mistake in the options.
    """
    from rich.console import Console

    from ..doctor import Finding, surroundings, versions
    from ..terminal.doctor import finding_line

    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    console = Console(highlight=False)

    def wrong_in(findings: Iterable[Finding]) -> int:
        """Shows each as soon as it is found, and counts those that are wrong."""
        count = 0
        for finding in findings:
            console.print(finding_line(finding))
            count += finding.verdict == "wrong"
        return count

    with console.status("looking"):
        if wrong := wrong_in(versions()):
            console.print("the rest is looked at once this is right")
        else:
            from ..store.trial_store import Store  # which needs the packages

            store = Store(storage)
            wrong = wrong_in(surroundings(store, tracking_uri(store, tracking), address, data))
    if wrong:
        raise typer.Exit(1)
