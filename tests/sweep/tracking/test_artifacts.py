"""Artifacts and registered models."""

import pytest
from exeunt.sweep.tracking.artifacts import Artifacts
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient


@pytest.fixture
def client(store):
    return MlflowClient(store.tracking_uri)


def opened(plan, store):
    mirror = Mirror(plan, store, store.tracking_uri)
    mirror.update_all()
    mirror.update_groups()
    return Artifacts(mirror, plan, store)


def test_files_of_a_sweep_are_logged_once_for_each_content(plan, store, trained, client):
    trained(plan.trials[0])
    store.save_sweep(plan)
    store.sweep_directory("tiny").write("table.csv", b"a,b\n")
    store.sweep_directory("tiny").inside("figures").write("exits.pdf", b"%PDF")
    assert [opened(plan, store).log_sweep() for _ in range(2)] == [4, 0]
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], "tags.`exeunt.kind` = 'sweep'")
    assert run.info.run_name == "tiny (sweep)"
    listed = {item.path for place in (None, "figures") for item in client.list_artifacts(run.info.run_id, place)}
    assert listed == {"sweep.yaml", "plan.json", "table.csv", "figures", "figures/exits.pdf"}
    assert run.info.artifact_uri.startswith(str(store.database.with_name("artifacts") / "tiny"))
    store.sweep_directory("tiny").write("table.csv", b"a,b,c\n")
    assert opened(plan, store).log_sweep() == 1


def test_weights_are_versions_of_a_model_per_configuration(plan, store, trained, client):
    one = plan.trials[0].configuration
    pair = [trial for trial in plan.trials if trial.configuration is one]
    for trial in pair:
        trained(trial, weights=True)
    for first in (True, False):
        artifacts = opened(plan, store)
        assert artifacts.log_weights() == len(pair) * first
        assert artifacts.register() == len(pair) * first
    (model,) = client.search_registered_models()
    versions = client.search_model_versions(f"name='{model.name}'")
    assert {version.tags["exeunt.key"] for version in versions} == {trial.key for trial in pair}
    downloaded = client.download_artifacts(versions[0].run_id, "weights/weights.pt")
    with open(downloaded, "rb") as file:  # noqa: PTH123
        assert file.read() == store.trial(versions[0].tags["exeunt.key"]).weights()
