"""Typer application and the options that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import printable_lines
from ..tracking.address import tracking_uri as tracking_uri  # noqa: PLC0414 (exported)

if TYPE_CHECKING:
    from ...store import Store
    from ..planning.plan import SweepPlan

app = typer.Typer(
    name="exeunt",
    help="Benchmark sweeps for exit-ensemble distillation and the methods it is compared with.",
    epilog="Start with: exeunt demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="Sweep file (YAML)", show_default=False)]
SweepName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the sweep: `name` in its file", show_default=False)
]
Storage = Annotated[
    str, typer.Option(metavar="DIR", help="Storage of trials and tables: a directory or s3://BUCKET/FOLDER")
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="EXEUNT_DATA",
        file_okay=False,
        resolve_path=True,
        help="Directory of the datasets",
        show_default=False,
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow server or database: http://HOST:PORT or sqlite:///FILE (default: database in --storage)",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="Python file that registers methods or architectures (repeatable)",
        show_default=False,
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Download of missing datasets")]


def load_plan(file: Path, storage: str, plugins: list[Path] | None) -> "tuple[SweepPlan, Store]":
    """Return the plan of a sweep file, and the store of its trials."""
    from ...store import Store
    from ...training.plugins import read_plugins
    from ..planning.load import plan_of

    store = Store(storage)
    plan = plan_of(file, store, read_plugins(plugins or ()))
    for warning in plan.sweep.warnings:
        warn(warning)
    return plan, store


def warn(problem: str) -> None:
    """Print a warning on standard error."""
    typer.echo(f"warning: {printable_lines(problem)}", err=True)


def resume_command(options: dict[str, object], *, data: Path | None, tracking: str | None, download: bool) -> list[str]:
    """Return the arguments of a command that resumes this one. Options that the environment sets are left out."""
    again = options | ({} if "EXEUNT_DATA" in os.environ else {"--data": data})
    again |= {} if "MLFLOW_TRACKING_URI" in os.environ else {"--tracking": tracking}
    return option_words(again) + ["--download"] * download


def option_words(options: dict[str, object]) -> list[str]:
    """Return options as command-line arguments: a list repeats its option, and None omits it."""
    listed = [(name, value if isinstance(value, list) else [value]) for name, value in options.items()]
    return [word for name, values in listed for value in values if value is not None for word in (name, str(value))]
