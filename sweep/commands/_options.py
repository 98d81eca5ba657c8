"""Typer application and the options that several commands share."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ...specs import SpecError, printable_lines, shortened
from ...specs.version import __version__
from ..tracking.address import tracking_uri as tracking_uri  # noqa: PLC0414 (exported)
from ._config_file import CONFIG_FILE, read_config

if TYPE_CHECKING:
    from ...store import Store
    from ..planning.plan import SweepPlan


LONGEST_MESSAGE = 400
"""Number of characters of Typer's messages: ten lines of its box."""


class ConfiguredCommands(TyperGroup):
    """Commands whose options have the values in `exeunt.toml` if neither an option nor the environment sets them."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return the context of the program. Raises `SpecError` for a mistake in the file, except in completions."""
        with _short_messages():
            context = super().make_context(*args, **extra)
        with suppress(SpecError) if context.resilient_parsing else nullcontext():
            context.default_map = dict.fromkeys(self.commands, read_config(Path()))
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the command line names."""
        with _short_messages():
            return super().invoke(ctx)


@contextmanager
def _short_messages() -> Iterator[None]:
    """Shorten the messages of Typer, which repeat words of the command line of any length."""
    try:
        yield
    except TyperException as error:
        error.message = shortened(error.message, LONGEST_MESSAGE)
        raise


app = typer.Typer(
    name="exeunt",
    cls=ConfiguredCommands,
    help="Benchmark sweeps for exit-ensemble distillation and the methods it is compared with.\n\n"
    f"An option has the value of the command line, else of its environment variable, else of {CONFIG_FILE} in the "
    "working directory (keys: storage, tracking, data, plugins), else its default.",
    epilog="Start with: exeunt demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exeunt {__version__ or '(not installed)'}")
        raise typer.Exit


@app.callback()
def _options_of_the_program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version of Exeunt")
    ] = False,
) -> None:
    pass


def sweep_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the completions of the name of a sweep, if the storage is a directory; a URI could take seconds."""
    from ...store import Store

    with suppress(SpecError, OSError):
        store = Store(context.params.get("storage") or "runs")
        return [name for name in store.sweeps() if name.startswith(incomplete)] if store.is_local else []
    return []


SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="Sweep file (YAML)", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Values in place of those of FILE, as YAML: recipe.epochs=5 'seeds=[0, 1]' methods.eed.exits=all",
        show_default=False,
    ),
]
SweepName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the sweep: `name` in its file",
        show_default=False,
        autocompletion=sweep_names,
    ),
]
Storage = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        envvar="EXEUNT_STORAGE",
        help="Storage of trials and tables: a directory or s3://BUCKET/FOLDER",
    ),
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
        envvar=["EXEUNT_TRACKING", "MLFLOW_TRACKING_URI"],  # the first one that is set
        help="MLflow server or database: http://HOST:PORT or sqlite:///FILE (default: database in --storage). "
        "EXEUNT_TRACKING is read before MLFLOW_TRACKING_URI",
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


def load_plan(
    file: Path, storage: str, plugins: list[Path] | None, overrides: list[str] | None
) -> "tuple[SweepPlan, Store]":
    """Return the plan of a sweep file with values from the command line, and the store of its trials."""
    from ...store import Store
    from ...training.plugins import read_plugins
    from ..planning.load import plan_of

    store = Store(storage)
    plan = plan_of(file, store, read_plugins(plugins or ()), overrides or ())
    for warning in plan.sweep.warnings:
        warn(warning)
    return plan, store


def warn(problem: str) -> None:
    """Print a warning on standard error."""
    typer.echo(f"warning: {printable_lines(problem)}", err=True)


def resume_command(
    context: typer.Context,
    file: object,
    overrides: list[str] | None,
    storage: str,
    instead: Mapping[str, object] = MappingProxyType({}),
) -> list[str]:
    """Return the command that resumes this one. Options of the environment and of `exeunt.toml` are left out.

    Args:
        context: context of this command.
        file: its sweep file.
        overrides: values in place of those of the file.
        storage: its storage.
        instead: other values of some options of the command line, by name.
    """
    options = option_words(context, ("COMMANDLINE",), ("storage",), instead)
    named = [str(file)] if "file" in context.params else []  # `exeunt demo` has its own file
    return ["exeunt", context.info_name or "", *named, *(overrides or ()), "--storage", storage, *options]


def job_options(context: typer.Context) -> list[str]:
    """Return the options with which a job runs this command, where the environment and `exeunt.toml` are missing."""
    sources = "COMMANDLINE", "ENVIRONMENT", "DEFAULT_MAP"
    return option_words(context, sources, ("storage", "address", "plugin", "follow"))


def option_words(
    context: typer.Context,
    sources: Collection[str],
    without: Collection[str],
    instead: Mapping[str, object] = MappingProxyType({}),
) -> list[str]:
    """Return the options of a command that come from these sources, as arguments."""
    words: list[str] = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if not option.opts[0].startswith("--") or option.name in without or source is None:
            continue
        if source.name in sources:
            value = instead.get(option.name or "", context.params[option.name or ""])
            if isinstance(value, bool):
                words += option.opts[:1] if value else option.secondary_opts[:1]
            else:
                values = value if isinstance(value, list) else [value]
                words += [word for one in values for word in (option.opts[0], str(one))]
    return words
