from pathlib import Path
from typing import Annotated

import typer

from ._options import Data, Plugins, SweepFile, Tracking, app, option_words, warn

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="RAY_API_SERVER_ADDRESS",
        help="The cluster's dashboard, such as http://127.0.0.1:8265, or ray://HOST:10001.",
        show_default=False,
    ),
]
SharedStorage = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        help="Where trials and tables are kept: s3://BUCKET/FOLDER, or a folder that all machines share.",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option(help="Show what it prints until it ends.")]


@app.command()
def submit(
    file: SweepFile,
    storage: SharedStorage,
    address: Address = None,
    data: Data = None,
    tracking: Tracking = None,
    follow: Follow = True,
    plugin: Plugins = None,
) -> None:
    """Send a sweep to a Ray cluster as a job, which goes on when this machine leaves.

    The cluster gets this package, the sweep file and the plugins; its machines need torch, Ray and the rest installed.
    Sent again, a sweep that was cut off goes on where it was.
    """
    send(file, storage, address, option_words({"--data": data, "--tracking": tracking}), plugin, follow=follow)


def send(
    file: Path,
    storage: str,
    address: str | None,
    options: list[str],
    plugins: list[Path] | None,
    *,
    follow: bool = True,
) -> None:
    """Submits a sweep or a search with these options, and shows what it prints until its end, if that is wanted."""
    from ...training.plugins import read_plugins
    from ..execution.job import submit as submitted
    from ..planning.sweep_file import read_sweep

    sweep = read_sweep(file, read_plugins(plugins or ()))
    warn(sweep)
    job = submitted(sweep, address, storage, options)
    typer.echo(
        f"submitted as {job.name}; `ray job logs --follow {job.name}` shows it, `ray job stop {job.name}` ends it"
    )
    if not follow:
        return
    try:
        for lines in job.lines():
            typer.echo(lines, nl=False)
    except KeyboardInterrupt:
        typer.echo(f"left; the sweep goes on as {job.name}")
        return
    if not job.succeeded():
        raise typer.Exit(1)
