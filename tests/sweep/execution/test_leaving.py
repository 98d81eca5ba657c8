"""Sweeps that are interrupted, and sweeps whose trials are stopped early."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from exeunt.sweep.execution import shutdown
from exeunt.sweep.execution.trial_queue import TrialQueue
from mlflow import MlflowClient

from ...command_line import descendants
from .listening import listened_at

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
"""Sweep whose epochs take several seconds."""

PRUNING = """\
name: pruning
dataset: digits
architectures: [resnet8]
seeds: [0]
validation: 0.2
order: file
stopping: {rule: asha, grace: 2, factor: 2}
recipe:
- {base: fast, epochs: 4, batch_size: 64, learning_rate: 0.05}
- {base: fast, epochs: 4, batch_size: 64, learning_rate: 1.0e-9}
- {base: fast, epochs: 4, batch_size: 64, learning_rate: 1.0e-10}
methods:
  baseline: {}
"""


class Bench:
    """Sweep file and storage of a test."""

    def __init__(self, path):
        self.file = path / "sweep.yaml"
        self.storage = path / "storage"

    def words(self, text, *options):
        """Write the sweep file and return the command that runs the sweep."""
        self.file.write_text(text)
        return "sweep", self.file, "--storage", self.storage, *options

    def files(self, name):
        return sorted(self.storage.glob(f"trials/*/{name}"))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def training(bench, trials=2):
    """Return True if at least `trials` trials are past their first steps, since all started a while ago."""
    specs = bench.files("spec.json")
    return len(specs) >= trials and time.time() - max(path.stat().st_mtime for path in specs) > 1.5


@pytest.mark.usefixtures("all_cores")
def test_ctrl_c_writes_checkpoints_at_the_next_step(bench, start, gone):
    command = start(*bench.words(LONG))
    command.until(lambda: training(bench))
    workers = command.workers()
    assert len(workers) == 2
    began = time.monotonic()
    command.interrupt()
    answer = command.finish()
    assert answer.status == 130, answer.err
    assert "2 running trials will write a checkpoint and stop." in answer.out
    assert answer.out.endswith(f"Resume with: exeunt sweep {bench.file} --storage {bench.storage}\n")
    assert answer.err == ""
    checkpoints = [path.name for path in bench.files("checkpoint-*.pt")]
    assert len(checkpoints) == 2
    assert not [name for name in checkpoints if name.split("-")[2] == "0000000"], "at the end of an epoch"
    assert not bench.files("failure.json")
    assert gone(workers)
    assert time.monotonic() - began < 60


@pytest.mark.usefixtures("all_cores")
def test_what_a_sweep_starts_listens_on_loopback_alone_and_ctrl_c_twice_leaves_at_once(bench, start, gone):
    command = start(*bench.words(LONG))
    command.until(lambda: training(bench))
    addresses = listened_at(command.processes())
    assert len(addresses) > 3, "Ray's own servers"
    assert [address for address in addresses if not address.is_loopback] == []
    workers = command.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # they do not answer
    command.interrupt()
    command.wait_for_line("2 running trials will write a checkpoint and stop. Press Ctrl-C (again) to stop at once.\n")
    command.interrupt()
    answer = command.finish()  # although the stopped workers never answer
    assert answer.status == 130
    assert "Interrupted. Resume with:" in answer.out
    assert answer.err == ""
    assert gone(workers)


def test_ctrl_c_just_before_a_trial_begins_says_how_to_go_on(bench, exeunt, monkeypatch):
    """The signal arrives after Ray Tune has received its first trial and before the trial starts."""
    suggest = TrialQueue.suggest

    def suggest_and_interrupt(*arguments):
        suggested = suggest(*arguments)
        if not isinstance(suggested, str):
            os.kill(os.getpid(), signal.SIGINT)
        return suggested

    monkeypatch.setattr(TrialQueue, "suggest", suggest_and_interrupt)
    answer = exeunt(*bench.words(LONG))
    assert answer.status == 130, answer.err
    assert answer.out.endswith(f"Resume with: exeunt sweep {bench.file} --storage {bench.storage}\n")
    assert answer.err == ""
    assert not bench.files("*.json"), "no trial started"


def test_at_the_end_of_its_time_a_sweep_leaves_with_checkpoints_and_the_command_that_goes_on(
    bench, exeunt, gone, monkeypatch
):
    """The clock runs an hour ahead once a trial is past its first steps."""
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 3601 * training(bench, trials=1))
    monkeypatch.setattr(shutdown, "time", clock)
    options = ("--max-concurrent", "1", "--only", "base*/*", "--time-budget", "1h")
    answer = exeunt(*bench.words(LONG, *options))
    assert answer.status == 3, answer.err
    assert answer.out.endswith(
        f"Time budget used up. Resume with: exeunt sweep {bench.file} --storage {bench.storage} "
        "--only 'base*/*' --max-concurrent 1 --time-budget 1h\n"
    )
    assert len({path.parent for path in bench.files("checkpoint-*.pt")}) == 1
    assert not bench.files("failure.json")
    assert gone(pid for pid, title in descendants(os.getpid()) if title.startswith("ray::_Set"))


def states(bench):
    client = MlflowClient(f"sqlite:///{bench.storage / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("pruning").experiment_id], "tags.`exeunt.key` LIKE '%'")
    return sorted((run.data.tags["exeunt.state"], run.info.status) for run in runs)


def histories(bench):
    read = {path.parent.name: path.read_text().splitlines() for path in bench.files("history.jsonl")}
    return {key: [json.loads(line) for line in lines] for key, lines in read.items()}


def test_a_trial_that_was_stopped_early_is_pruned_until_a_sweep_without_the_rule_trains_it_further(bench, exeunt):
    answer = exeunt(*bench.words(PRUNING, "--max-concurrent", "1"))
    assert answer.status == 0, answer.err
    pruned = [line for line in answer.out.splitlines() if line.startswith("pruned")]
    assert len(pruned) == 2
    assert all("stopped by asha after epoch 2 of 4" in line for line in pruned)
    assert "1 done, 0 running, 0 waiting, 0 failed, 2 pruned" in answer.out
    assert states(bench) == [("done", "FINISHED"), ("pruned", "KILLED"), ("pruned", "KILLED")]
    assert "pruned" in answer.out.partition("test top-1")[2]
    before = histories(bench)
    assert sorted(len(history) for history in before.values()) == [2, 2, 4]

    answer = exeunt(*bench.words(PRUNING))
    assert answer.status == 0, answer.err
    assert "3 trials, 0 to train" in answer.out
    assert histories(bench) == before

    answer = exeunt(*bench.words(PRUNING.replace("stopping:", "# stopping:")))
    assert answer.status == 0, answer.err
    assert "3 trials, 2 to train" in answer.out
    assert states(bench) == [("done", "FINISHED")] * 3
    after = histories(bench)
    assert all(len(history) == 4 and history[: len(before[key])] == before[key] for key, history in after.items())
