"""Runs of configurations: their comparison, their child runs, and interrupted writes."""

import sqlite3
from contextlib import closing

import pytest
from exeunt.results import comparison, load, significance
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.tracking import writer
from exeunt.sweep.tracking.writer import Mirror
from exeunt.sweep.verify import run_problems
from mlflow import MlflowClient

METRIC = "test/final/top1"


def synchronized(plan, store):
    mirror = Mirror(plan, store, store.tracking_uri)
    return mirror.update_all(), mirror.update_groups()


def recorded(store):
    """Return the runs of configurations and of trials through MLflow's client, each by its identity."""
    client = MlflowClient(store.tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    groups = [run for run in runs if "exeunt.kind" in run.data.tags]
    by_id = {run.data.tags["exeunt.group"]: run for run in groups}
    trials = {run.data.tags["exeunt.key"]: run for run in runs if "exeunt.kind" not in run.data.tags}
    assert len(by_id) + len(trials) == len(runs), "a run is there twice"
    return by_id, trials


def check_children(plan, store):
    groups, trials = recorded(store)
    for trial in plan.trials:
        run = trials[trial.key]
        assert run.data.tags["mlflow.parentRunId"] == groups[trial.configuration.id].info.run_id
    assert set(groups) == {trial.configuration.id for trial in plan.trials}
    names = [run.info.run_name for run in (*groups.values(), *trials.values())]
    assert len(set(names)) == len(names)
    assert not list(run_problems(store, "tiny", [trial.key for trial in plan.trials], store.tracking_uri))


@pytest.fixture
def seeded(read, good, trained):
    """Return a plan with three completed seeds of each configuration, whose accuracies differ."""
    plan = make_plan(read(good.replace("seeds: [0, 1]", "seeds: [0, 1, 2]")))
    for trial in plan.trials:
        trained(trial, accuracy=70 + int(trial.key[:6], 16) % 1000 / 97 + trial.seed**2 / 7)
    return plan


def test_the_main_table_can_be_built_from_mlflow_alone(seeded, store):
    synchronized(seeded, store)
    check_children(seeded, store)
    client = MlflowClient(store.tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    runs = client.search_runs(
        [experiment.experiment_id],
        "tags.`exeunt.kind` = 'configuration' and tags.`exeunt.children` = 'result'",
        order_by=["tags.`exeunt.order`"],
    )
    found = {(run.data.params["architecture.name"], run.data.tags["exeunt.label"]): run.data.metrics for run in runs}
    table = comparison(load(store.tracking_uri, "tiny"))
    tests = significance(table).cells
    assert len(found) == sum(len(row) for row in table.cells)
    for row, cells, of_row in zip(table.rows, table.cells, tests, strict=True):
        for column, cell, test in zip(table.columns, cells, of_row, strict=True):
            low, high = (test and test.t_interval) or (None, None)
            expected = {"mean": cell.mean, "std": cell.std, "n": cell.n, "difference": cell.difference}
            expected |= {"difference_low": low, "difference_high": high}
            expected = {f"{METRIC}/{name}": value for name, value in expected.items() if value is not None}
            assert found[row.architecture, column.label] == pytest.approx(expected, abs=1e-9, rel=0)
    assert {run.inputs.dataset_inputs[0].dataset.name for run in runs} == {"digits"}
    varying = set.union(*(set(run.data.params) for run in runs))
    assert "method.temperature" in varying
    assert "recipe.learning_rate" not in varying


def test_writing_again_changes_nothing_and_numbers_follow_the_trials(seeded, store, trained):
    synchronized(seeded, store)
    before = [{id: run.to_dictionary() for id, run in runs.items()} for runs in recorded(store)]
    assert synchronized(seeded, store) == (0, 0)
    assert [{id: run.to_dictionary() for id, run in runs.items()} for runs in recorded(store)] == before
    first = seeded.trials[0]
    trained(first, accuracy=12.0)
    client = MlflowClient(store.tracking_uri)
    group = recorded(store)[0][first.configuration.id]
    client.set_tag(group.info.run_id, "mlflow.note.content", "mine")
    assert synchronized(seeded, store)[0] == 1
    table = comparison(load(store.tracking_uri, "tiny"))
    changed = recorded(store)[0][first.configuration.id]
    assert changed.data.metrics[f"{METRIC}/mean"] == pytest.approx(table.cells[0][0].mean)
    assert changed.data.tags["mlflow.note.content"] == "mine", "people may describe a run"


WRITES = ("create_run", "log_inputs", "log_batch", "set_terminated", "update_run")


@pytest.mark.slow
def test_a_kill_between_two_writes_leaves_no_second_run_and_the_next_sync_mends_it(plan, store, trained, monkeypatch):
    monkeypatch.setattr(writer, "known_database", lambda _: None)  # as on a server
    one = make_plan(plan.sweep)
    pair = [trial for trial in one.trials if trial.configuration is one.trials[0].configuration]
    object.__setattr__(one, "trials", tuple(pair))
    for trial in pair:
        trained(trial)
    left = 0

    def counted(real):
        def write(*words, **named):
            nonlocal left
            if (left := left - 1) < 0:
                raise SystemExit
            return real(*words, **named)

        return write

    for name in WRITES:
        monkeypatch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
    for number in range(20):
        left = number
        try:
            synchronized(one, store)
            break
        except SystemExit:
            recorded(store)
    assert number > 2
    (group,) = recorded(store)[0].values()
    assert len(group.inputs.dataset_inputs) == 1
    check_children(one, store)


@pytest.mark.parametrize("what", ["deleted", "twice"])
def test_a_configuration_whose_run_is_lost_or_there_twice_has_one_again(what, seeded, store):
    synchronized(seeded, store)
    client = MlflowClient(store.tracking_uri)
    group = recorded(store)[0][seeded.trials[0].configuration.id]
    if what == "deleted":
        client.delete_run(group.info.run_id)
        problems = run_problems(store, "tiny", [], store.tracking_uri)
        assert [problem.what for problem in problems] == ["MLflow: 3 trials without a run of the configuration"]
    else:
        client.create_run(group.info.experiment_id, tags=group.data.tags)
    synchronized(seeded, store)
    check_children(seeded, store)


def test_a_flat_experiment_of_an_earlier_release_gets_configurations(seeded, store):
    synchronized(seeded, store)
    with closing(sqlite3.connect(store.database)) as database, database:
        groups = "(SELECT run_uuid FROM tags WHERE key = 'exeunt.kind')"
        database.execute(f"DELETE FROM runs WHERE run_uuid IN {groups}")
        for table in ("latest_metrics", "metrics", "params", "tags"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid NOT IN (SELECT run_uuid FROM runs)")
        database.execute("DELETE FROM tags WHERE key LIKE 'mlflow.%' AND key != 'mlflow.runName'")
        database.execute("DELETE FROM experiment_tags WHERE key LIKE 'mlflow.%'")
    before = {run.info.run_id for run in recorded(store)[1].values()}
    assert synchronized(seeded, store)[0] == len(seeded.trials)
    check_children(seeded, store)
    assert {run.info.run_id for run in recorded(store)[1].values()} == before
    assert synchronized(seeded, store) == (0, 0)


def test_costs_are_tags_and_are_read_like_the_metrics_of_earlier_releases(plan, store):
    trial = plan.trials[0]
    costs = {"cost/parameters": 77754, "cost/final/multiply_adds": 763520}
    store.trial(trial.key).write_spec(trial.spec)
    store.trial(trial.key).write_history([{"epoch": 1, "time": 1e9, "seconds": 2.0, METRIC: 90.0, **costs}])
    result = {"state": "done", "key": trial.key, "environment": {}, "seconds": 2.0, "metrics": {METRIC: 90.0, **costs}}
    store.trial(trial.key).write_result(result)
    assert synchronized(plan, store) == (1, 1)
    run = recorded(store)[1][trial.key]
    assert run.data.metrics == {"seconds": 2.0, METRIC: 90.0}
    assert run.data.tags["exeunt.cost/parameters"] == "77754"
    frame = load(store.tracking_uri, "tiny")
    assert {name: frame[name].item() for name in costs} == costs
    client = MlflowClient(store.tracking_uri)
    for name, value in costs.items():  # as an earlier release
        client.delete_tag(run.info.run_id, f"exeunt.{name}")
        client.log_metric(run.info.run_id, name, value, step=1)
    frame = load(store.tracking_uri, "tiny")
    assert {name: frame[name].item() for name in costs} == costs
