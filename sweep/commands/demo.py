from importlib.resources import as_file, files

from ._options import Storage, Tracking, app, resume_command
from .sweep import MaxConcurrent, TimeBudget, train


@app.command()
def demo(
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
    limits = {"--max-concurrent": max_concurrent, "--time-budget": time_budget}
    options = resume_command(limits, data=None, tracking=tracking, download=False)
    again = ["exeunt", "demo", "--storage", storage, *options]
    with as_file(files("exeunt.configs") / "quickstart.yaml") as file:
        train(file, storage, again, tracking=tracking, max_concurrent=max_concurrent, time_budget=time_budget)
