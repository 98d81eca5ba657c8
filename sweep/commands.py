"""The command line. Heavy imports happen inside the commands, so that `--help` answers at once."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ..training import DataSource
    from .plan import Plan, PlannedTrial
    from .store import Store

app = typer.Typer(
    name="exeunt",
    help="Benchmark sweeps for exit-ensemble distillation and the methods it is compared with.",
    epilog="Start with: exeunt sweep configs/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file, in YAML.", show_default=False)]
SweepName = Annotated[str, typer.Argument(metavar="NAME", help="The `name` in the sweep file.", show_default=False)]
Storage = Annotated[
    Path, typer.Option(metavar="DIR", file_okay=False, help="Where trials, tables and the MLflow database are kept.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="EXEUNT_DATA",
        file_okay=False,
        resolve_path=True,
        help="Where data sets are.",
        show_default=False,
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch data sets that are not there.")]
Format = Literal["text", "csv", "latex", "markdown"]
ExportFormat = Literal["safetensors", "torch", "onnx"]
Kind = Literal["methods", "architectures", "datasets", "recipes", "heads"]

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended."""


def _planned(file: Path, storage: Path) -> "tuple[Plan, Store]":
    from .file import read_sweep
    from .plan import make_plan
    from .store import Store

    return make_plan(read_sweep(file)), Store(storage)


@app.command()
def sweep(file: SweepFile, storage: Storage = Path("runs"), data: Data = None, download: Download = False) -> None:
    """Train what the sweep file asks for and is not there yet; then print the comparison table.

    Run it again after any interruption: it goes on where it was, and trains nothing twice. Add a value to an axis
    and only what is new is trained.
    """
    from rich.console import Console

    from ..training import DataSource

    plan, store = _planned(file, storage)
    console = Console()
    todo = store.missing(plan)
    store.remember(plan)
    console.print(f"{plan.sweep.name}: {len(plan.trials)} trials, {len(todo)} to train", highlight=False)
    if todo:
        try:
            _train(plan, store, DataSource(directory=data, download=download), todo, console)
        except KeyboardInterrupt:
            again = shlex.join(["exeunt", "sweep", str(file), "--storage", str(storage), *_data_options(data)])
            console.print(f"interrupted; go on with: {again}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
    from .tables import publish

    publish(plan, store, console)
    if store.missing(plan):
        raise typer.Exit(1)


def _data_options(data: Path | None) -> list[str]:
    return [] if data is None or "EXEUNT_DATA" in os.environ else ["--data", str(data)]


def _train(plan: "Plan", store: "Store", source: "DataSource", todo: "list[PlannedTrial]", console: "Console") -> None:
    from ..training import datasets
    from .board import duration, make_board
    from .cluster import embedded_ray

    for name in {trial.spec.dataset.name for trial in todo}:
        datasets[name].load(source)  # fetched once, and what is wrong with it is said before anything runs
    board = make_board(todo, len(plan.trials) - len(todo), console)
    try:
        with embedded_ray() as ray_ready:
            from .launch import launch  # while Ray starts

            launch(plan, store, source, board, ray_ready)
    finally:
        board.close()
    console.print(f"{board.counts} after {duration(board.elapsed)}", highlight=False)


@app.command()
def plan(file: SweepFile, storage: Storage = Path("runs")) -> None:
    """Say what a sweep file would train and what of it is done already. Trains nothing."""
    from rich.console import Console

    from .overview import overview

    Console().print(overview(*_planned(file, storage)))


@app.command()
def status(name: SweepName, storage: Storage = Path("runs")) -> None:
    """Say how far a launched sweep is, and what failed in it."""
    from rich.console import Console

    from .overview import overview
    from .store import Store

    Console().print(overview(*_planned(Store(storage).remembered(name), storage)))


@app.command()
def table(
    name: SweepName,
    storage: Storage = Path("runs"),
    format: Annotated[Format, typer.Option(help="How to write it.")] = "text",
) -> None:
    """Print the comparison table of a sweep, from what MLflow recorded."""
    from ..results import comparison, load, render
    from .store import Store

    store = Store(storage)
    store.remembered(name)
    typer.echo(render(comparison(load(store.tracking_uri, name)), format), nl=False)


@app.command()
def describe(
    architecture: Annotated[str, typer.Argument(metavar="ARCH", help="The architecture's name.", show_default=False)],
    exits: Annotated[str, typer.Option(help="Where the exits sit, as in a sweep file.")] = "all",
    head: Annotated[str, typer.Option(help="What each exit is made of.")] = "conv",
    size: Annotated[int, typer.Option(help="Height and width of the images, in pixels.")] = 32,
    channels: Annotated[int, typer.Option(help="Of the images.")] = 3,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 100,
    latency: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Measure each exit's time there: cpu or cuda.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(help="Images at once where the time is measured.")] = 1,
) -> None:
    """Say what each exit of a network costs: parameters, multiply-adds, memory, time."""
    from rich.console import Console

    from ..models import ArchitectureSpec, ExitSpec, build_network
    from .description import description

    spec, placed = ArchitectureSpec(name=architecture), ExitSpec(placement=exits, head=head)
    shape = (channels, size, size)
    network = build_network(spec, placed, image_shape=shape, classes=classes, seed=0)
    Console().print(description(architecture, network, shape, batch_size=batch, device=latency))


@app.command()
def export(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The trial's key: 16 digits.", show_default=False)],
    format: Annotated[ExportFormat, typer.Option(help="safetensors: the weights; torch: a .pt2 program.")] = "torch",
    exit: Annotated[
        int | None, typer.Option(help="Leave out all behind this exit, from 1.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="The file.", show_default=False)] = None,
    storage: Storage = Path("runs"),
) -> None:
    """Write a trained network to a file, and check that the file gives the same outputs."""
    from .exporting import export_trial
    from .store import Store

    typer.echo(export_trial(Store(storage), key, format, exit, output))


@app.command(name="list")
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """List the names that a sweep file can use."""
    from rich.console import Console

    from .listing import listing

    Console().print(listing(kind))
