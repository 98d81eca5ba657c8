import typer

from .program import Storage, SweepName, Tracking, app, launched, tracking_uri


@app.command()
def sync(name: SweepName, storage: Storage = "runs", tracking: Tracking = None) -> None:
    """Write to MLflow what it lacks of a sweep. The storage has it all, so a new server is filled in this way too."""
    from ...results.connection import answering
    from ..storage.tracking import Mirror

    plan, store = launched(name, storage)
    recorded_at = tracking_uri(store, tracking)
    with answering(recorded_at):
        written = Mirror(plan, store, recorded_at).update_all()
    typer.echo(f"{name}: {written} runs written to MLflow at {recorded_at}")
