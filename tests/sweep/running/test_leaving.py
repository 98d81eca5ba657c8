"""Whole sweeps that leave early, or whose trials do."""

import json
import os
import shutil
import signal
import time

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

LONG = """\
name: long
dataset: digits
architectures: [resnet8]
seeds: [0, 1]
recipe: {base: fast, epochs: 1000, batch_size: 2}
methods:
  baseline: {}
"""
"""An epoch takes several seconds."""

SHORT_AND_LONG = """\
name: both
dataset: digits
architectures: [resnet8]
seeds: [0]
order: file
recipe:
- {base: fast, epochs: 1, batch_size: 512}
- {base: fast, epochs: 1000, batch_size: 512}
methods:
  baseline: {}
"""

PRUNING = """\
name: pruning
dataset: digits
architectures: [resnet8]
seeds: [0]
validation: 0.2
order: file
stopping: {rule: asha, grace: 2, factor: 2}
recipe:
- {base: fast, epochs: 4, batch_size: 16, learning_rate: 0.05}
- {base: fast, epochs: 4, batch_size: 16, learning_rate: 1.0e-9}
- {base: fast, epochs: 4, batch_size: 16, learning_rate: 1.0e-10}
methods:
  baseline: {}
"""

INTERRUPTS_ITSELF = """\
import os, signal
from exeunt.sweep.__main__ import main
from exeunt.sweep.running.schedule import PlanSearcher

suggest = PlanSearcher.suggest

def suggest_and_interrupt(*arguments):
    suggested = suggest(*arguments)
    if isinstance(suggested, dict):
        os.kill(os.getpid(), signal.SIGINT)
    return suggested

PlanSearcher.suggest = suggest_and_interrupt
main()
"""
"""`exeunt`, but that Ctrl-C comes when Ray Tune has been given its first trial and has not begun it."""


class Bench:
    """A sweep file and a storage."""

    def __init__(self, path, start):
        self.file = path / "sweep.yaml"
        self.storage = path / "storage"
        self._start = start

    def start(self, text, *options, script=None):
        self.file.write_text(text)
        return self._start("sweep", self.file, "--storage", self.storage, *options, script=script)

    def files(self, name):
        return sorted(self.storage.glob(f"trials/*/{name}"))


@pytest.fixture
def bench(tmp_path, start):
    return Bench(tmp_path, start)


def training(bench):
    """Whether two trials are past their first steps: both have begun a while ago."""
    specs = bench.files("spec.json")
    return len(specs) == 2 and time.time() - max(path.stat().st_mtime for path in specs) > 1.5


def interrupt(command):
    os.killpg(command.process.pid, signal.SIGINT)  # the terminal sends it to the whole group


@pytest.mark.usefixtures("all_cores")
def test_ctrl_c_writes_checkpoints_at_the_next_step(bench, gone):
    command = bench.start(LONG)
    command.until(lambda: training(bench))
    workers = command.workers()
    assert len(workers) == 2
    began = time.monotonic()
    interrupt(command)
    answer = command.finish()
    assert answer.returncode == 130, answer.stderr
    assert "2 trials write a checkpoint and stop; Ctrl-C (again) leaves at once\n" in answer.stdout
    assert answer.stdout.endswith(f"go on with: exeunt sweep {bench.file} --storage {bench.storage}\n")
    assert answer.stderr == ""
    checkpoints = [path.name for path in bench.files("checkpoint-*.pt")]
    assert len(checkpoints) == 2
    assert not [name for name in checkpoints if name.split("-")[2] == "0000000"], "at the end of an epoch"
    assert not bench.files("failure.json")
    assert gone(workers)
    assert time.monotonic() - began < 60


@pytest.mark.usefixtures("all_cores")
def test_ctrl_c_twice_leaves_at_once(bench, gone):
    command = bench.start(LONG)
    command.until(lambda: training(bench))
    workers = command.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # they do not answer
    interrupt(command)
    command.says("2 trials write a checkpoint and stop; Ctrl-C (again) leaves at once\n")
    interrupt(command)
    answer = command.finish()  # though stopped workers answer never
    assert answer.returncode == 130
    assert "interrupted; go on with:" in answer.stdout
    assert answer.stderr == ""
    assert gone(workers)


def test_ctrl_c_just_before_a_trial_begins_says_how_to_go_on(bench):
    answer = bench.start(LONG, script=INTERRUPTS_ITSELF).finish()
    assert answer.returncode == 130, answer.stderr
    assert answer.stdout.endswith(f"go on with: exeunt sweep {bench.file} --storage {bench.storage}\n")
    assert answer.stderr == ""
    assert not bench.files("*.json"), "no trial began"


def test_at_the_end_of_its_time_a_sweep_leaves_with_checkpoints_and_the_command_that_goes_on(bench):
    options = ("--max-concurrent", "1", "--only", "base*/*", "--time-budget", "40s")
    answer = bench.start(LONG, *options).finish()
    assert answer.returncode == 3, answer.stderr
    assert answer.stdout.endswith(
        f"the time budget is over; go on with: exeunt sweep {bench.file} --storage {bench.storage} "
        "--max-concurrent 1 --time-budget 40s --only 'base*/*'\n"
    )
    assert len({path.parent for path in bench.files("checkpoint-*.pt")}) == 1
    assert not bench.files("failure.json")


def test_what_ended_just_before_ctrl_c_is_in_mlflow(bench, database):
    bench.storage.mkdir()
    shutil.copy(database, bench.storage / "mlflow.db")
    command = bench.start(SHORT_AND_LONG)
    command.until(lambda: bench.files("result.json"))
    interrupt(command)
    answer = command.finish()
    assert answer.returncode == 130, answer.stderr
    assert ("done", "FINISHED") in states(bench, "both")


def states(bench, name="pruning"):
    client = MlflowClient(f"sqlite:///{bench.storage / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    return sorted((run.data.tags["exeunt.state"], run.info.status) for run in runs)


def histories(bench):
    read = {path.parent.name: path.read_text().splitlines() for path in bench.files("history.jsonl")}
    return {key: [json.loads(line) for line in lines] for key, lines in read.items()}


def test_a_trial_that_was_stopped_early_is_pruned_until_a_sweep_without_the_rule_trains_it_further(bench):
    answer = bench.start(PRUNING, "--max-concurrent", "1").finish()
    assert answer.returncode == 0, answer.stderr
    pruned = [line for line in answer.stdout.splitlines() if line.startswith("pruned")]
    assert len(pruned) == 2
    assert all("stopped by asha after epoch 2 of 4" in line for line in pruned)
    assert "1 done, 0 running, 0 waiting, 0 failed, 2 pruned" in answer.stdout
    assert states(bench) == [("done", "FINISHED"), ("pruned", "KILLED"), ("pruned", "KILLED")]
    assert "pruned" in answer.stdout.partition("test top-1")[2]
    before = histories(bench)
    assert sorted(len(history) for history in before.values()) == [2, 2, 4]

    answer = bench.start(PRUNING).finish()
    assert answer.returncode == 0, answer.stderr
    assert "3 trials, 0 to train" in answer.stdout
    assert histories(bench) == before

    answer = bench.start(PRUNING.replace("stopping:", "# stopping:")).finish()
    assert answer.returncode == 0, answer.stderr
    assert "3 trials, 2 to train" in answer.stdout
    assert states(bench) == [("done", "FINISHED")] * 3
    after = histories(bench)
    assert all(len(history) == 4 and history[: len(before[key])] == before[key] for key, history in after.items())
