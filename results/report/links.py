"""Addresses of experiments and runs for the page."""

from urllib.parse import quote, urlsplit

from ...specs.uri import HIDDEN, masked
from ..mlflow_client import answering, connect

_SERVERS = ("http", "https")


def experiment_url(tracking_uri: str, sweep: str) -> str:
    """Return the address of a sweep's experiment on an MLflow server; empty for a database.

    Raises:
        TrackingError: A `SpecError`, if MLflow cannot be reached.
    """
    if urlsplit(tracking_uri).scheme not in _SERVERS:
        return ""
    with answering(tracking_uri):
        experiment = connect(tracking_uri).get_experiment_by_name(sweep)
    server = masked(tracking_uri).replace(f"{HIDDEN}@", "").rstrip("/")  # a link has no credentials
    return f"{server}/#/experiments/{quote(experiment.experiment_id, safe='')}" if experiment else ""


def run_url(experiment: str, run_id: str) -> str:
    """Return the address of a run of an experiment on a server; empty without a server or a run."""
    return f"{experiment}/runs/{quote(run_id, safe='')}" if run_id and urlsplit(experiment).scheme in _SERVERS else ""
