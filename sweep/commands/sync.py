import typer

from ...specs import SpecError, masked
from ._options import Storage, SweepName, Tracking, app, tracking_uri


@app.command()
def sync(name: SweepName, storage: Storage = "runs", tracking: Tracking = None) -> None:
    """Write the missing MLflow runs of a sweep from its storage.

    A new MLflow server is filled in the same way.
    """
    from ...results.mlflow_client import answering
    from ...store import Store, lease_owner
    from ..terminal.counts import counted
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
        mirror = Mirror(plan, store, recorded_at)
        written, groups = counted(mirror.update_all(), "trial"), counted(mirror.update_groups(), "configuration")
    typer.echo(f"{name}: {written} and {groups} written to MLflow at {masked(recorded_at)}")
