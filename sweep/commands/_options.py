"""Typer application and the options that several commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError, masked, require_printable, require_uri, sqlite_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ...store import Plugin, Store
    from ..planning.plan import SweepPlan

SERVERS = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""Accepted schemes of a tracking URI. MLflow accepts no new file stores."""

WAITING = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Environment variables of MLflow and their values, unless they are already set. By default MLflow waits four minutes
for each request without an answer (mlflow 3.17). A sweep repeats such a request anyway."""

app = typer.Typer(
    name="exeunt",
    help="Benchmark sweeps for exit-ensemble distillation and the methods it is compared with.",
    epilog="Start with: exeunt sweep configs/quickstart.yaml",
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

    store = Store(storage)
    plan = planned(file, store, read_plugins(plugins or ()))
    for warning in plan.sweep.warnings:
        warn(warning)
    return plan, store


def warn(problem: str) -> None:
    """Print a warning on standard error."""
    typer.echo(f"warning: {problem}", err=True)


def note_merged_axes(plan: "SweepPlan", console: "Console") -> None:
    """Print a note for each axis of which some values, but not all, are one experiment."""
    for axis in plan.sweep.merged_axes:
        if not axis.is_whole:  # `load_plan` warns of the others
            console.print(f"note: {axis.note}", markup=False, highlight=False, soft_wrap=True)


def planned(file: Path, store: "Store", plugins: "Sequence[Plugin]") -> "SweepPlan":
    """Return the plan of a sweep file with these plugins."""
    from ..planning.plan import make_plan
    from ..planning.sweep_file import read_sweep

    sweep = read_sweep(file, plugins)
    if sweep.search is None:
        return make_plan(sweep)
    from ..search import search_plan

    return search_plan(sweep, store)


def resume_command(options: dict[str, object], *, data: Path | None, tracking: str | None, download: bool) -> list[str]:
    """Return the arguments of a command that resumes this one. Options that the environment sets are left out."""
    again = options | ({} if "EXEUNT_DATA" in os.environ else {"--data": data})
    again |= {} if "MLFLOW_TRACKING_URI" in os.environ else {"--tracking": tracking}
    return option_words(again) + ["--download"] * download


def option_words(options: dict[str, object]) -> list[str]:
    """Return options as command-line arguments: a list repeats its option, and None omits it."""
    listed = [(name, value if isinstance(value, list) else [value]) for name, value in options.items()]
    return [word for name, values in listed for value in values if value is not None for word in (name, str(value))]


def tracking_uri(store: "Store", wanted: str | None) -> str:
    """Return the tracking URI of a sweep: the value of `--tracking`, or the database in the store.

    Also set the time limits of MLflow requests for this process (`WAITING`).

    Raises:
        SpecError: if the URI is neither a server nor a lasting database, or the storage cannot hold a database.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    if wanted is None:
        return store.tracking_uri
    require_printable(wanted, "tracking")
    scheme, separator, place = wanted.partition("://")
    kind = scheme.partition("+")[0]
    rule = ""
    if not separator or kind not in SERVERS:
        rule = "is neither a server nor a database; name http://HOST:PORT, https://HOST or sqlite:///FILE"
    elif kind == "sqlite" and (place == "" or sqlite_file(wanted) in (Path(), Path(":memory:"))):
        rule = "is a database in memory, which is lost at exit; name a file, sqlite:///FILE"
    if rule:
        raise SpecError(f"--tracking: {masked(wanted)!r} {rule}.", field="tracking")
    if kind != "sqlite":  # the path of a file may contain blanks and quotes
        require_uri(wanted, "tracking", without="?#" if kind.startswith("http") else "")
    return wanted
