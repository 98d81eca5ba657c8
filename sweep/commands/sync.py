from typing import Annotated

import typer

from ...specs import SpecError, masked
from ._options import Storage, SweepName, Tracking, app, tracking_uri

LogArtifacts = Annotated[bool, typer.Option("--artifacts", help="Sweep file, plan, tables, figures and report")]
LogWeights = Annotated[bool, typer.Option("--weights", help="Weights of each completed trial")]
Register = Annotated[
    bool,
    typer.Option("--register", help="--weights, and a registered model per configuration with a version per seed"),
]


@app.command()
def sync(
    name: SweepName,
    storage: Storage = "runs",
    tracking: Tracking = None,
    artifacts: LogArtifacts = False,
    weights: LogWeights = False,
    register: Register = False,
) -> None:
    """Write the missing MLflow runs of a sweep from its storage.

    A new MLflow server is filled in the same way.
    """
    from ...results.mlflow_client import answering
    from ...store import Store, lease_owner
    from ..terminal.counts import counted
    from ..terminal.tables import write_to_trackers
    from ..tracking.writer import Mirror

    store = Store(storage)
    plan = store.plan(name)
    recorded_at = tracking_uri(store, tracking)
    # Two writers at a time could create two runs of one trial.
    if (holder := lease_owner(store.sweep_directory(name))) is not None:
        whose = f"process {holder['pid']} on {holder['host']}"
        what = f"sweep {name!r} is being run by {whose}, which also writes to MLflow"
        raise SpecError(f"{what}; run exeunt sync after it has ended.", field="name")
    with answering(recorded_at):
        files = versions = 0
        mirror = Mirror(plan, store, recorded_at)
        written, groups = counted(mirror.update_all(), "trial"), counted(mirror.update_groups(), "configuration")
        if artifacts or weights or register:
            from ..tracking.artifacts import Artifacts

            writer = Artifacts(mirror, plan, store)
            files = (writer.log_sweep() if artifacts else 0) + (writer.log_weights() if weights or register else 0)
            versions = writer.register() if register else 0
    more = [counted(files, "file")] * (artifacts or weights or register)
    more += [counted(versions, "model version")] * register
    listed = ", ".join((written, groups, *more))
    typer.echo(f"{name}: {listed} written to MLflow at {masked(recorded_at)}")
    for line in write_to_trackers(plan, store):
        typer.echo(line)
