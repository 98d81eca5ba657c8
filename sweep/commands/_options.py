"""The program and the options that several of its commands take."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...specs import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...training.plugins import Plugin
    from ..planning.plan import Plan
    from ..planning.sweep_file import Sweep
    from ..store.trial_store import Store

SERVERS = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""With what a tracking URI begins. MLflow's folders of files are closed to new use."""

WAITING = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow reads from the environment, unless it is set there: by itself it waits four minutes for each request
that is not answered (mlflow 3.17), and a sweep asks again anyway."""

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
    str, typer.Option(metavar="DIR", help="Where trials and tables are kept: a folder or s3://BUCKET/FOLDER.")
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
Tracking = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow's server or database, if not the one in --storage: http://HOST:PORT or sqlite:///FILE.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="A file of Python with methods or architectures of your own. May be said again.",
        show_default=False,
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch data sets that are not there.")]


def load_plan(file: Path, storage: str, plugins: list[Path] | None) -> "tuple[Plan, Store]":
    """The plan of a sweep file, and the store that its trials are in."""
    from ...training.plugins import read_plugins
    from ..store.trial_store import Store

    store = Store(storage)
    plan = _plan(file, store, read_plugins(plugins or ()))
    warn(plan.sweep)
    return plan, store


def warn(sweep: "Sweep") -> None:
    """Says on standard error what may be meant otherwise in a sweep file."""
    for warning in sweep.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _plan(file: Path, store: "Store", plugins: "Sequence[Plugin]") -> "Plan":
    from ..planning.plan import make_plan
    from ..planning.sweep_file import read_sweep

    sweep = read_sweep(file, plugins)
    if sweep.search is None:
        return make_plan(sweep)
    from ..search import search_plan

    return search_plan(sweep, store)


def load_launched_plan(name: str, storage: str) -> "tuple[Plan, Store]":
    """The plan of a sweep as it was launched last, and its store. Raises `SpecError` for a name that never was."""
    from ..store.plugins import kept
    from ..store.trial_store import Store

    store = Store(storage)
    with store.saved_sweep(name) as file:
        return _plan(file, store, kept(store.sweep_folder(name))), store


def resume_command(options: dict[str, object], *, data: Path | None, tracking: str | None, download: bool) -> list[str]:
    """The words of a command that goes on with what this one began; what the environment says need not be said."""
    again = options | ({} if "EXEUNT_DATA" in os.environ else {"--data": data})
    again |= {} if "MLFLOW_TRACKING_URI" in os.environ else {"--tracking": tracking}
    return option_words(again) + ["--download"] * download


def option_words(options: dict[str, object]) -> list[str]:
    """Options as words of a command: a list is said several times, and None not at all."""
    listed = [(name, value if isinstance(value, list) else [value]) for name, value in options.items()]
    return [word for name, values in listed for value in values if value is not None for word in (name, str(value))]


def tracking_uri(store: "Store", wanted: str | None) -> str:
    """Where a sweep is recorded in MLflow: what `--tracking` says, or the database in the store.

    From here on this process waits for MLflow no longer than it says below.

    Raises:
        SpecError: for what is no server and no database that lasts, or a storage that has no place for one.
    """
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    if wanted is None:
        return store.tracking_uri
    scheme, separator, place = wanted.partition("://")
    kind = scheme.partition("+")[0]
    rule = ""
    if not separator or kind not in SERVERS:
        rule = "MLflow is a server or a database: http://HOST:PORT, https://HOST or sqlite:///FILE"
    elif kind == "sqlite" and place in ("", "/:memory:"):
        rule = "a database in memory keeps nothing; name a file, sqlite:///FILE"
    if rule:
        from ...results.mlflow_client import shown

        raise SpecError(f"--tracking: {rule}, but got {shown(wanted)!r}.", field="tracking")
    return wanted
