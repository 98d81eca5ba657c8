from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ...specs import SpecError
from ._options import Data, Overrides, Plugins, Storage, SweepFile, app, load_plan

if TYPE_CHECKING:
    from ...training import DataSource
    from ..planning.plan import SweepPlan

Item = TypeVar("Item")
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
Try = Annotated[
    bool, typer.Option("--try", help="One training step of each network and method, on the CPU with a few real images")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster whose machines have to have the resources of each trial: `auto` or `HOST:6379`",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object as output, for scripts")]


@app.command()
def plan(
    file: SweepFile,
    override: Overrides = None,
    storage: Storage = "runs",
    data: Data = None,
    measure: Measure = False,
    throughput: Throughput = None,
    try_: Try = False,
    address: Address = None,
    json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Print the trials of FILE with their states and cost, without training."""
    from ...training import DataSource
    from ..planning.estimate import estimate
    from ..terminal.console import TerminalConsole
    from ..terminal.plan import overview

    if measure and throughput is not None:
        rule = "cannot be combined with --measure; give one of the two"
        raise SpecError(f"--throughput {throughput:g}: {rule}.", field="throughput")
    trials, store = load_plan(file, storage, plugin, override)
    if address is not None:
        _require_machines(trials, address)
    if try_:
        _try_first_steps(trials, DataSource(directory=data))
    pace = None
    if throughput is not None:
        from ..planning.throughput import AssumedPace

        pace = AssumedPace(throughput)
    elif measure:
        from ..planning.step_timing import measure as measured

        pace = measured(trials, DataSource(directory=data), _watched)
    numbers = estimate(trials, store, pace)
    if json:
        from json import dumps

        typer.echo(dumps(numbers.to_dict(), indent=2))
    else:
        TerminalConsole().print(overview(numbers))


def _require_machines(plan: "SweepPlan", address: str) -> None:
    """Raise `SpecError`, with file and line, if a cluster has too few machines with the resources of a trial."""
    from functools import partial

    from ..execution.cluster import ray_at

    trials = (*plan.trials, *(trial for trial, _ in plan.coming))
    with ray_at(address) as ready:
        from ..execution.placement import gpus_per_trial, nodes
        from ..terminal.counts import counted

        ready()
        present, echo = nodes(), partial(typer.echo, err=True)
        gpus_per_trial(plan.sweep.resources, (trial.configuration for trial in trials), present, echo)
    echo(f"Ray cluster at {address}: {counted(len(present), 'machine')}, which can run each trial.")


def _try_first_steps(plan: "SweepPlan", source: "DataSource") -> None:
    """Train one step of each pair of network and method. Raise `SpecError` for the first that fails."""
    from ...training import TrialSpec
    from ...training.first_step import first_step
    from ..planning.first_steps import first_steps
    from ..terminal.counts import counted

    tried = first_steps(plan.specs.values(), plan.plugins)
    for step in _watched(tried, len(tried), "Trying first steps"):
        first_step(TrialSpec.from_dict(step.spec), source)
    typer.echo(f"First training steps: {counted(len(tried), 'pair')} of network and method, no error.", err=True)


def _watched(items: "Iterable[Item]", number: int, what: str = "Timing steps") -> "Iterable[Item]":
    """Iterate over items with a progress bar on standard error, so that standard output has only the result."""
    from rich.progress import track

    from ..terminal.console import TerminalConsole

    console = TerminalConsole(stderr=True)
    return track(items, what, total=number, console=console, transient=True, disable=not console.is_terminal)
