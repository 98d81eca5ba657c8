from importlib.resources import as_file, files

import typer

from ._options import Storage, Tracking, app
from .sweep import MaxConcurrent, TimeBudget, sweep


@app.command()
def demo(
    context: typer.Context,
    storage: Storage = "runs",
    tracking: Tracking = None,
    max_concurrent: MaxConcurrent = None,
    time_budget: TimeBudget = None,
) -> None:
    """Train the quickstart, 49 small networks on handwritten digits, then print its comparison table.

    The sweep file and the images are parts of the installation.
    The storage keeps the sweep file as sweeps/quickstart/sweep.yaml.
    To resume after an interruption, run the same command again.

    Exit status: as for `exeunt sweep`.
    """
    with as_file(files("exeunt.configs") / "quickstart.yaml") as file:
        sweep(
            context,
            file,
            storage=storage,
            tracking=tracking,
            max_concurrent=max_concurrent,
            time_budget=time_budget,
        )
