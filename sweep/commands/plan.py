from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from .program import Data, Storage, SweepFile, app, planned

if TYPE_CHECKING:
    from ...training import TrialSpec

Measure = Annotated[
    bool, typer.Option("--measure", help="Time a few steps of each network and method here; estimate device-hours.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@app.command()
def plan(
    file: SweepFile, storage: Storage = "runs", data: Data = None, measure: Measure = False, json: Json = False
) -> None:
    """Say what a sweep file would train, what of it is done already and what it costs. Trains nothing."""
    from rich.console import Console

    from ..display.overview import overview
    from ..planning.estimate import estimate

    trials, store = planned(file, storage)
    pace = None
    if measure:
        from ...training import DataSource
        from ..planning.pace import measure as measured

        pace = measured(trials, DataSource(directory=data), _watched)
    numbers = estimate(trials, store, pace)
    if json:
        from json import dumps

        typer.echo(dumps(numbers.to_dict(), indent=2))
    else:
        Console().print(overview(numbers))


def _watched(trials: "Iterable[TrialSpec]", number: int) -> "Iterable[TrialSpec]":
    """With a bar on standard error, so that nothing but the answer is on standard output."""
    from rich.console import Console
    from rich.progress import track

    return track(trials, "Timing steps", total=number, console=Console(stderr=True), transient=True)
