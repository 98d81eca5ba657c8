from pathlib import Path
from typing import Annotated

import typer

from ._options import Data, Overrides, Plugins, SweepFile, Tracking, app, job_options, warn

Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="RAY_API_SERVER_ADDRESS",
        help="Ray cluster: dashboard, such as http://127.0.0.1:8265, or ray://HOST:10001",
        show_default=False,
    ),
]
SharedStorage = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        envvar="EXEUNT_STORAGE",
        help="Storage of trials and tables: s3://BUCKET/FOLDER, or a directory that all nodes share",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option(help="Output of the job until it ends")]


@app.command()
def submit(
    context: typer.Context,
    file: SweepFile,
    storage: SharedStorage,
    override: Overrides = None,
    address: Address = None,
    data: Data = None,  # noqa: ARG001 (passed on with the options of the context)
    tracking: Tracking = None,  # noqa: ARG001
    follow: Follow = True,
    plugin: Plugins = None,
) -> None:
    """Submit a sweep to a Ray cluster as a job, which continues if you disconnect.

    The job includes this package, the sweep file and the plugins.
    Every node needs torch, Ray and the other requirements of Exeunt.
    To resume an interrupted sweep, submit it again.
    """
    send(file, storage, address, job_options(context), plugin, override, follow=follow)


def send(
    file: Path,
    storage: str,
    address: str | None,
    options: list[str],
    plugins: list[Path] | None,
    overrides: list[str] | None,
    *,
    follow: bool = True,
) -> None:
    """Submit a sweep or a search with these options and values; with `follow`, print its output until it ends."""
    from ...training.plugins import read_plugins
    from ..execution.job import submit as submitted
    from ..planning.sweep_file import read_sweep

    sweep = read_sweep(file, read_plugins(plugins or ()), overrides or ())
    for warning in sweep.warnings:
        warn(warning)
    job = submitted(sweep, address, storage, options)
    typer.echo(
        f"Submitted as {job.name}. To follow it: ray job logs --follow {job.name}. To stop it: ray job stop {job.name}"
    )
    if not follow:
        return
    try:
        for lines in job.lines():
            typer.echo(lines, nl=False)
    except KeyboardInterrupt:
        typer.echo(f"Disconnected. The sweep continues as job {job.name}.")
        return
    if not job.succeeded():
        raise typer.Exit(1)
