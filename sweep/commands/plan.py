from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError
from ._options import Data, Plugins, Storage, SweepFile, app, load_plan

if TYPE_CHECKING:
    from ...training import TrialSpec

Measure = Annotated[
    bool, typer.Option("--measure", help="Time a few steps of each network and method here; estimate device-hours.")
]
Throughput = Annotated[
    float | None,
    typer.Option(
        "--throughput",
        metavar="NUMBER",
        min=1,
        help="Multiply-adds of training a second that a device is assumed to do; estimate device-hours from them.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@app.command()
def plan(
    file: SweepFile,
    storage: Storage = "runs",
    data: Data = None,
    measure: Measure = False,
    throughput: Throughput = None,
    json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Say what a sweep file would train, what of it is done already and what it costs. Trains nothing."""
    from rich.console import Console

    from ..planning.estimate import estimate
    from ..terminal.plan import overview

    if measure and throughput is not None:
        raise SpecError(f"--throughput: it is measured with --measure, but got {throughput:g} too.", field="throughput")
    trials, store = load_plan(file, storage, plugin)
    pace = None
    if throughput is not None:
        from ..planning.throughput import AssumedPace

        pace = AssumedPace(throughput)
    elif measure:
        from ...training import DataSource
        from ..planning.step_timing import measure as measured

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
