"""A mirror in an SQLite database after a loss of power: any earlier state of the database, or none.

SQLite syncs each transaction, and writes it whole or not at all. So the states are those between two transactions.
"""

import shutil
from collections import Counter
from dataclasses import replace

import pytest
from exeunt.results import mlflow_sqlite
from exeunt.results.mlflow_reader import experiment_id, runs_in
from exeunt.specs import sqlite_uri
from exeunt.sweep.tracking.writer import Mirror

pytestmark = pytest.mark.slow


@pytest.fixture
def states(store, tmp_path, monkeypatch):
    """Different copies of the database, before and after each transaction."""
    copies, contents = [], set()

    def watched(transaction):
        def call(*arguments):
            for moment in (lambda: None, lambda: transaction(*arguments)):
                moment()
                if (content := store.database.read_bytes()) not in contents:
                    contents.add(content)
                    copies.append(shutil.copy(store.database, tmp_path / f"state-{len(copies)}.db"))

        return call

    for name in ("insert", "change"):
        monkeypatch.setattr(mlflow_sqlite, name, watched(getattr(mlflow_sqlite, name)))
    return copies


def recorded(uri):
    """Return the trials in MLflow by key, with state, metrics and parameters."""
    runs = [run for run in runs_in(uri, experiment_id(uri, "tiny")) if "exeunt.key" in run.tags]
    assert not [key for key, number in Counter(run.tags["exeunt.key"] for run in runs).items() if number > 1]
    return {run.tags["exeunt.key"]: (run.tags["exeunt.state"], run.metrics, run.params) for run in runs}


def test_each_state_of_the_database_is_completed_from_the_store(plan, store, trained, states, database, tmp_path):
    plan = replace(plan, trials=plan.trials[:3])
    mirror = Mirror(plan, store, store.tracking_uri)
    for trial in plan.trials:
        trained(trial, epochs=1)
        mirror.update([trial])
    trained(plan.trials[0], epochs=2, accuracy=80.0)  # trained again, after a damaged result
    mirror.update_groups()
    mirror.update_all()
    whole = recorded(store.tracking_uri)
    assert whole.keys() == {trial.key for trial in plan.trials}
    assert len(states) > len(plan.trials)
    for state in (shutil.copy(database, tmp_path / "new.db"), *states):
        uri = sqlite_uri(state)
        again = Mirror(plan, store, uri)
        again.update_all()
        assert recorded(uri) == whole
        assert again.update_all() == 0
