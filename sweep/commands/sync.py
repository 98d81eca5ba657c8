import typer

from ...specs import SpecError
from ._options import Storage, SweepName, Tracking, app, load_launched_plan, tracking_uri


@app.command()
def sync(name: SweepName, storage: Storage = "runs", tracking: Tracking = None) -> None:
    """Write to MLflow what it lacks of a sweep. The storage has it all, so a new server is filled in this way too."""
    from ...results.mlflow_client import answering, shown
    from ..store.lease import lease_owner
    from ..tracking.writer import Mirror

    plan, store = load_launched_plan(name, storage)
    recorded_at = tracking_uri(store, tracking)
    if (holder := lease_owner(store.sweep_folder(name))) is not None:  # two at once would write a trial twice
        whose = f"process {holder['pid']} on {holder['host']}"
        raise SpecError(f"sweep {name!r} is being run by {whose}, which writes to MLflow itself.", field="name")
    with answering(recorded_at):
        written = Mirror(plan, store, recorded_at).update_all()
    typer.echo(f"{name}: {written} runs written to MLflow at {shown(recorded_at)}")
