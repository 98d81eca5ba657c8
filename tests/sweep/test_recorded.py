"""The recorded trials of a sweep together with those that MLflow lacks, and the words for its configurations."""

import json
import subprocess
import sys

import pytest
from exeunt.results.labels import with_labels
from exeunt.results.mlflow_reader import recorded_runs
from exeunt.store import hold_lease
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.recorded import load_planned
from exeunt.sweep.status import StatusReader
from exeunt.sweep.terminal.status import situation
from exeunt.sweep.tracking.writer import Mirror
from mlflow import MlflowClient
from rich.console import Console

AXES = """\
name: tiny
dataset: digits
architectures: [resnet8, resnet14]
seeds: [0, 1]
recipe: {base: fast, epochs: [2, 4], learning_rate: 1.0}
methods:
  baseline: {}
  kd: {teacher: [self, resnet20], temperature: 4}
  eed: {exits: ["50%", "1"], output_loss: kl, temperature: [1, 3.5]}
"""


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def client(store):
    return MlflowClient(store.tracking_uri)


def recorded(plan, store, trained, trials):
    """Train these trials and record them in MLflow."""
    for trial in trials:
        trained(trial, epochs=trial.configuration.epochs)
    store.save_sweep(plan)
    Mirror(plan, store, store.tracking_uri).update_all()


@pytest.mark.parametrize("share", [1, 7])
def test_a_configuration_has_one_label_everywhere(share, read, store, trained, run):
    plan = make_plan(read(AXES))
    assert {trial.role for trial in plan.trials} == {"result", "teacher"}
    recorded(plan, store, trained, plan.trials[::share])
    kept = store.plan("tiny")
    expected = {trial.key: (trial.configuration.label, trial.configuration.row_settings) for trial in kept.trials}
    labels = {label for label, _ in expected.values()}
    assert {"eed exits=50%, temperature=1", "eed exits=1, temperature=3.5", "kd teacher=self", "baseline"} <= labels
    assert {settings for _, settings in expected.values()} == {("epochs=2",), ("epochs=4",)}

    frame = load_planned(kept, store, store.tracking_uri, pytest.fail)
    for shown in (frame, frame.loc[frame["role"] == "result"]):  # all trials of a report, and those of its main table
        found = with_labels(shown)
        of_trial = dict(zip(found["key"], zip(found["row"], found["column"], strict=True), strict=True))
        assert {key: (column.label, row.settings) for key, (row, column) in of_trial.items()} == {
            key: expected[key] for key in shown["key"]
        }
    names = {trial.key: f"{trial.label} {trial.configuration.architecture} " for trial in kept.trials}
    runs = recorded_runs(store.tracking_uri, "tiny")
    assert len(runs) == len(plan.trials[::share])
    for recorded_run in runs:
        key = recorded_run.tags["exeunt.key"]
        assert recorded_run.tags["exeunt.label"] == expected[key][0]
        assert recorded_run.tags["mlflow.runName"].startswith(names[key])
        assert all(settings in recorded_run.tags["mlflow.runName"] for settings in expected[key][1])
    for trial in kept.trials:
        assert str(trial).startswith(f"{expected[trial.key][0]}, {trial.configuration.architecture}, ")
    status, out, err = run("explain", "tiny", "resnet14", "eed exits=1, temperature=3.5", "--format", "csv")
    assert (status, err) == (0, "")
    assert {line.split(",seed")[0][:30] for line in out.splitlines()[1:]} == {'"eed exits=1, temperature=3.5"'}


def test_the_status_of_a_failed_trial_has_its_label(read, store):
    plan = make_plan(read(AXES))
    store.save_sweep(plan)
    failed = next(trial for trial in plan.trials if trial.configuration.label == "eed exits=50%, temperature=1")
    store.trial(failed.key).write_failure({"reason": "no room"})
    console = Console(width=200)
    with console.capture() as shown:
        console.print(situation(StatusReader(plan, store).read()))
    assert str(failed) in shown.get()


def test_trials_that_share_a_configuration_share_its_label(read, store):
    """A teacher with a seed of its own has the configuration of a result."""
    text = AXES.replace("teacher: [self, resnet20]", "teacher: resnet14, teacher_seed: 7")
    plan = make_plan(read(text))
    store.save_sweep(plan)
    assert {trial.role for trial in plan.trials if trial.seed == 7} == {"teacher"}
    assert store.plan("tiny").trials == plan.trials


def test_a_trial_that_never_ran_is_in_the_table(plan, store, trained, run):
    recorded(plan, store, trained, plan.trials[:3])
    status, out, err = run("table", "tiny", "--kind", "failures", "--format", "csv")
    assert (status, err) == (0, "")
    assert out.count(",not run,") == len(plan.trials) - 3
    assert all(trial.key in out for trial in plan.trials[3:])
    status, out, err = run("table", "tiny", "--format", "json")
    assert (status, err) == (0, "")
    cells = json.loads(out)["records"]
    assert len(cells) == len(
        {(t.configuration.architecture, t.configuration.label) for t in plan.trials if t.role == "result"}
    )
    assert {cell["note"] for cell in cells} == {"1 not run", "not run"}


def test_what_mlflow_lacks_is_named_with_the_command_that_restores_it(plan, store, trained, run, client):
    recorded(plan, store, trained, plan.trials[:4])
    lost = recorded_runs(store.tracking_uri, "tiny")[0]
    client.delete_run(lost.run_id)
    status, out, err = run("table", "tiny", "--kind", "failures", "--format", "csv")
    assert status == 0
    assert [lost.tags["exeunt.key"] in line for line in out.splitlines() if ",not recorded," in line] == [True]
    assert out.count(",not run,") == len(plan.trials) - 4
    warning, _, command = err.rstrip("\n").partition(" To write them, run: exeunt ")
    assert warning == (f"warning: MLflow at {store.tracking_uri} lacks 1 trial of sweep 'tiny' that the storage has.")
    assert run(*command.split()[:2])[0] == 0
    assert run("table", "tiny")[2] == ""


def delete_runs(client, experiment):
    for run in client.search_runs([experiment]):
        client.delete_run(run.info.run_id)


@pytest.mark.parametrize(
    "lose",
    [
        delete_runs,
        lambda client, experiment: client.delete_experiment(experiment),
        lambda client, experiment: client.rename_experiment(experiment, "other"),
    ],
)
@pytest.mark.parametrize("words", [("table",), ("explain", "resnet8", "baseline"), ("figures",), ("report",)])
def test_a_sweep_that_mlflow_lost_is_named_with_the_command_that_restores_it(
    words, lose, plan, store, trained, run, client
):
    recorded(plan, store, trained, plan.trials[:4])
    lose(client, client.get_experiment_by_name("tiny").experiment_id)
    status, out, err = run(words[0], "tiny", *words[1:])
    assert (status, out) == (2, "")
    assert err.startswith(
        f"exeunt: MLflow at {store.tracking_uri} lacks 4 trials of sweep 'tiny' that the storage has."
    )
    assert err.endswith(f" run: exeunt sync tiny --storage {store.location} --tracking {store.tracking_uri}\n")


def test_a_lost_database_is_no_other_case(plan, store, trained, run):
    recorded(plan, store, trained, plan.trials[:1])
    store.database.unlink()
    status, _, err = run("table", "tiny")
    assert status == 2
    assert "mlflow.db (no such database) lacks 1 trial of sweep 'tiny' that the storage has. To write them, run" in err
    assert not store.database.exists()


def test_a_running_sweep_writes_what_mlflow_lacks_by_itself(plan, store, trained, run):
    recorded(plan, store, trained, plan.trials[:2])
    trained(plan.trials[2])
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        status, out, err = run("table", "tiny", "--kind", "failures")
    assert (status, err) == (0, "")
    assert "1 not recorded" in out


def test_a_run_that_is_not_planned_is_not_compared(plan, store, trained, read, good):
    recorded(plan, store, trained, plan.trials)
    fewer = make_plan(read(good.replace("[0, 1]", "[0]")))
    frame = load_planned(fewer, store, store.tracking_uri, pytest.fail)
    kept = {trial.key for trial in fewer.trials}
    assert set(frame.loc[frame["role"] != "unplanned", "key"]) == kept
    assert len(frame) == len(plan.trials)


PROGRAM = """
import contextlib, sys
from exeunt.sweep.__main__ import main
sys.argv[0] = "exeunt"
with contextlib.suppress(SystemExit):
    main()
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [("table", "tiny"), ("explain", "tiny", "resnet8", "baseline")])
def test_reading_a_plan_and_an_sqlite_database_imports_nothing_heavy(words, plan, store, trained):
    recorded(plan, store, trained, plan.trials[:3])
    words = [*words, "--storage", store.location]
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    assert "resnet8" in ran.stdout
    heavy = {"torch", "ray", "mlflow", "sqlalchemy", "optuna", "yaml", "matplotlib", "pyarrow.fs"}
    assert not heavy & {*ran.stderr.split()}
