from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError
from ._options import Data, Plugins, Storage, SweepFile, app, load_plan

if TYPE_CHECKING:
    from ...training import TrialSpec

Measure = Annotated[
    bool, typer.Option("--measure", help="Device-hours from a few timed steps of each network and method")
]
Throughput = Annotated[
    float | None,
    typer.Option(
        "--throughput",
        metavar="NUMBER",
        min=1,
        help="Device-hours from an assumed number of training multiply-adds (MACs) per second and device",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object as output, for scripts")]


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
    """Print the trials of FILE with their states and cost, without training."""
    from rich.console import Console

    from ..planning.estimate import estimate
    from ..terminal.plan import overview

    if measure and throughput is not None:
        rule = "cannot be combined with --measure; give one of the two"
        raise SpecError(f"--throughput {throughput:g}: {rule}.", field="throughput")
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
    """Iterate over the trials with a progress bar on standard error, so that standard output has only the result."""
    from rich.console import Console
    from rich.progress import track

    return track(trials, "Timing steps", total=number, console=Console(stderr=True), transient=True)
