"""Complete sweeps from the command line, in this process unless the driver is killed or interrupted."""

import json
import os
import shutil
import signal
import statistics
import tempfile
from collections import Counter

import pytest
import ray
import torch
from mlflow import MlflowClient

from ...command_line import Answer, meanwhile, wait_until, workers_of

pytestmark = pytest.mark.slow

FILE = """\
name: tiny
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 2, batch_size: 512}
methods:
  baseline: {}
  kd: {teacher: resnet14}
  eed: {output_loss: [mse, kl]}
"""
TRIALS = 2 + 1 + 2 + 4
TABLES = ("table.csv", "table.tex")


class Bench:
    """Sweep file and storage of a test, with access to the results in it."""

    def __init__(self, path):
        self.file = path / "sweep.yaml"
        self.storage = path / "storage"
        self.words = "sweep", self.file, "--storage", self.storage
        self.file.write_text(FILE)

    def files(self, name):
        return {path.parent.name: path for path in self.storage.glob(f"trials/*/{name}")}

    def results(self):
        return {key: json.loads(path.read_text()) for key, path in self.files("result.json").items()}

    def times(self):
        return {key: path.stat().st_mtime_ns for key, path in self.files("result.json").items()}

    def runs(self):
        client = MlflowClient(f"sqlite:///{self.storage / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("tiny")
        return client.search_runs([experiment.experiment_id], "tags.`exeunt.key` LIKE '%'")

    def tables(self):
        return [(self.storage / "sweeps" / "tiny" / name).read_bytes() for name in TABLES]


def table_of(answer):
    """Return the part of the output between the trials and the paths of the tables."""
    return answer.out.partition("\n\n")[2].partition("\ncsv:")[0]


def check_same_trials(bench, other):
    ours, theirs = bench.results(), other.results()
    assert {key: result["metrics"] for key, result in ours.items()} == {k: r["metrics"] for k, r in theirs.items()}
    assert {result["state"] for result in ours.values()} == {"done"}
    for key, path in bench.files("weights.pt").items():
        weights, expected = torch.load(path), torch.load(other.files("weights.pt")[key])
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in weights), key


def check_mirrored(bench):
    results, runs = bench.results(), {run.data.tags["exeunt.key"]: run for run in bench.runs()}
    assert len(bench.runs()) == len(runs)
    assert runs.keys() == results.keys()
    for key, run in runs.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["exeunt.state"] == "done"
        assert "exeunt.error" not in run.data.tags
        reported = {name: value for name, value in results[key]["metrics"].items() if not name.startswith("cost/")}
        assert {name: run.data.metrics[name] for name in reported} == reported


@pytest.fixture(scope="session")
def undisturbed(made_once, exeunt):
    """Run a sweep without interruption. Tests must not change it."""

    def sweep(folder):
        answer = exeunt(*Bench(folder).words)
        assert answer.status == 0, answer.err
        (folder / "out").write_text(answer.out)
        (folder / "err").write_text(answer.err)

    folder = made_once("sweep", sweep)
    bench = Bench(folder)
    bench.answer = Answer(0, (folder / "out").read_text(), (folder / "err").read_text())
    return bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def sweep(bench, exeunt):
    """Return a function that runs the sweep in this process."""

    def run_sweep(text=FILE, *options):
        bench.file.write_text(text)
        return exeunt(*bench.words, *options)

    return run_sweep


@pytest.fixture
def finished(bench, undisturbed):
    """Return a copy of the undisturbed sweep."""
    shutil.copytree(undisturbed.storage, bench.storage)
    return bench


def test_a_sweep_trains_records_and_compares_every_trial(undisturbed):
    results = undisturbed.results()
    assert len(results) == TRIALS
    assert all("test/final/top1" in result["metrics"] for result in results.values())
    assert undisturbed.answer.err == ""
    check_mirrored(undisturbed)
    assert Counter(run.data.tags["exeunt.role"] for run in undisturbed.runs()) == {"result": TRIALS - 1, "teacher": 1}


def test_the_table_is_the_same_on_the_screen_in_its_files_and_by_name(undisturbed, run):
    def printed(form):
        return run("table", "tiny", "--storage", undisturbed.storage, "--format", form).out

    assert undisturbed.tables() == [printed("csv").encode(), printed("latex").encode()]
    assert table_of(undisturbed.answer).strip() == printed("text").strip()
    for name in TABLES:
        assert str(undisturbed.storage / "sweeps" / "tiny" / name) in undisturbed.answer.out


def test_a_cell_of_the_table_is_the_mean_of_its_trials(undisturbed):
    results = undisturbed.results()
    asked = [run.data for run in undisturbed.runs() if run.data.tags["exeunt.role"] == "result"]
    for method in ("baseline", "kd"):
        keys = [run.tags["exeunt.key"] for run in asked if run.params["method.name"] == method]
        mean = statistics.fmean(results[key]["metrics"]["test/final/top1"] for key in keys)
        assert f"{mean:.2f} ±" in table_of(undisturbed.answer)


def test_the_same_again_trains_nothing_and_prints_the_same_table(finished, sweep, undisturbed):
    before = finished.times()
    answer = sweep()
    assert answer.status == 0, answer.err
    assert "0 to train" in answer.out
    assert finished.times() == before
    assert table_of(answer) == table_of(undisturbed.answer)
    assert finished.tables() == undisturbed.tables()


def test_a_new_seed_trains_what_is_new_and_a_removed_method_leaves_the_table(finished, sweep):
    before = finished.times()
    answer = sweep(FILE.replace("[0, 1]", "[0, 1, 2]").replace("  kd: {teacher: resnet14}\n", ""))
    assert "9 trials, 3 to train" in answer.out
    after = finished.times()
    assert after.keys() > before.keys()
    assert len(after) == TRIALS + 3
    assert {key: after[key] for key in before} == before
    unplanned = [run for run in finished.runs() if run.data.tags["exeunt.role"] == "unplanned"]
    assert Counter(run.data.params["method.name"] for run in unplanned) == {"kd": 2, "baseline": 1}
    table = table_of(answer)
    assert "kd" not in table
    assert "eed" in table
    assert b"kd" not in finished.tables()[0]


def test_a_ray_that_this_process_uses_already_is_used_and_nothing_is_left_in_it(sweep, gone):
    before = ray.get_runtime_context().get_job_id()
    assert sweep(FILE.partition("  kd:")[0]).status == 0
    assert ray.get_runtime_context().get_job_id() == before
    assert gone(workers_of(os.getpid()))


def test_a_lost_database_is_written_again_from_the_store(finished, sweep, undisturbed):
    (finished.storage / "mlflow.db").unlink()
    answer = sweep()
    assert "0 to train" in answer.out
    assert table_of(answer) == table_of(undisturbed.answer)
    assert finished.tables() == undisturbed.tables()
    check_mirrored(finished)


def test_after_each_kill_the_same_command_finishes_what_is_missing(bench, sweep, start, undisturbed):
    """The sweep is killed in the first trial and in the last one."""
    before = {}
    for reached in (lambda: bench.files("spec.json"), lambda: len(bench.times()) >= TRIALS - 1):
        command = start(*bench.words)
        command.until(reached)
        command.kill()
        assert before.items() <= bench.times().items(), "trained again"
        before = bench.times()
    answer = sweep()
    assert answer.status == 0, answer.err
    after = bench.times()
    assert {key: after[key] for key in before} == before
    check_same_trials(bench, undisturbed)
    check_mirrored(bench)
    assert bench.tables() == undisturbed.tables()


def test_a_ray_that_does_not_start_is_one_message(bench, start, monkeypatch):
    with tempfile.NamedTemporaryFile() as file:  # its path is short enough for Ray's sockets
        monkeypatch.setenv("RAY_TMPDIR", file.name)  # the directory of Ray's files
        answer = start(*bench.words).finish()
    assert answer.status == 2
    assert answer.err.startswith("exeunt: Ray did not start on this machine: ")
    assert answer.err.count("\n") == 1


def test_after_ctrl_c_the_sweep_says_how_to_go_on_and_does(bench, sweep, undisturbed):
    def press_it():
        wait_until(bench.times)
        os.kill(os.getpid(), signal.SIGINT)

    with meanwhile(press_it):
        answer = sweep()
    assert answer.status == 130
    assert f"Interrupted. Resume with: exeunt sweep {bench.file} --storage {bench.storage}\n" in answer.out
    assert "Traceback" not in answer.out + answer.err
    assert not bench.files("failure.json")
    before = bench.times()
    recorded = {run.data.tags["exeunt.key"]: run for run in bench.runs()}
    assert {recorded[key].data.tags["exeunt.state"] for key in before} == {"done"}, "what ended last is in MLflow"
    assert {recorded[key].info.status for key in before} == {"FINISHED"}
    answer = sweep()
    assert answer.status == 0, answer.err
    assert f"{TRIALS} trials, {TRIALS - len(before)} to train" in answer.out
    assert before.items() <= bench.times().items()
    check_same_trials(bench, undisturbed)


def test_a_trial_whose_worker_was_killed_is_started_again_and_ends_the_same(bench, sweep, undisturbed, last_moment):
    answer = sweep(FILE, "--plugin", last_moment(signal.SIGKILL).plugin)
    assert answer.status == 0, answer.err
    again = [line for line in answer.out.splitlines() if line.startswith("retry")]
    assert len(again) == 1
    assert "worker died; next attempt in 2 s" in again[0]
    assert not bench.files("failure.json")
    check_same_trials(bench, undisturbed)
    check_mirrored(bench)
    assert bench.tables() == undisturbed.tables()


def test_a_trial_whose_worker_dies_too_often_is_shown_and_the_next_run_repairs_it(bench, sweep, last_moment):
    only = FILE.partition("  kd:")[0].replace("[0, 1]", "[0, 1, 2]") + "resources: {retries: 0}\n"
    answer = sweep(only, "--plugin", last_moment(signal.SIGKILL).plugin)
    assert answer.status == 1, answer.err
    failures = [line for line in answer.out.splitlines() if line.startswith("FAILED")]
    assert len(failures) == 1
    assert "worker died" in failures[0]
    assert len(before := bench.times()) == 2
    (key,) = bench.files("failure.json")
    failed = next(run for run in bench.runs() if run.data.tags["exeunt.key"] == key)
    assert (failed.data.tags["exeunt.state"], failed.data.tags["exeunt.error"]) == ("failed", "worker died")
    answer = sweep(only)
    assert answer.status == 0, answer.err
    assert "3 trials, 1 to train" in answer.out
    assert before.items() <= bench.times().items()
    assert not bench.files("failure.json")
    check_mirrored(bench)
