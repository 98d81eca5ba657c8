"""Sweeps of different names that share trials and run at once."""

import json
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from exeunt.store import Store
from exeunt.sweep.execution import trial_queue
from exeunt.sweep.execution.trial_queue import TrialQueue
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep

from ...command_line import meanwhile

pytestmark = pytest.mark.slow

PATIENCE_S = 100

FILE = """\
name: NAME
dataset: digits
architectures: [resnet8]
seeds: SEEDS
recipe: {base: fast, epochs: 2, batch_size: 512}
resources: {cpu: 1, retries: 0}
methods: {baseline: {}}
"""


class Bench:
    """Two sweep files that share a trial, and their storage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path / "storage")
        (self.shared,) = self.plan("first", "[0]").trials

    def plan(self, name: str, seeds: str):
        (self.path / f"{name}.yaml").write_text(FILE.replace("NAME", name).replace("SEEDS", seeds))
        return make_plan(read_sweep(self.path / f"{name}.yaml"))

    def words(self, name: str):
        return "sweep", self.path / f"{name}.yaml", "--storage", self.store.location

    def files(self, pattern: str) -> list[Path]:
        return sorted((self.path / "storage" / "trials" / self.shared.key).glob(pattern))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def busy(monkeypatch):
    """Event that is set once this process has seen a busy trial, which it tries again after a short delay."""
    seen, end = threading.Event(), TrialQueue.ended

    def watch(queue, key, last, **how):
        end(queue, key, last, **how)
        if last.get("state") == "busy":
            seen.set()

    monkeypatch.setattr(TrialQueue, "ended", watch)
    monkeypatch.setattr(trial_queue, "BUSY_DELAY_S", 0.5)
    return seen


def lines(answer, event):
    return [line for line in answer.out.splitlines() if line.startswith(event)]


def check_trained_once(bench):
    """Check that a later attempt began after the end of the first and found its result."""
    (result,) = bench.files("result.json")
    for attempt in bench.files("attempt-*.json")[1:]:
        assert json.loads(attempt.read_text())["seen"] > result.stat().st_mtime
    assert not bench.files("*failure*")
    assert [record["epoch"] for record in bench.store.trial(bench.shared.key).history()] == [1, 2]


@pytest.fixture
def first(bench, start, last_moment):
    """The first sweep, whose worker waits just before its result until the moment's file is deleted."""
    moment = last_moment(signal.SIGCONT)
    program = start(*bench.words("first"), "--plugin", moment.plugin)
    program.until(moment.reached.exists)
    program.release = moment.reached.unlink
    return program


def test_a_trial_that_another_sweep_trains_is_awaited_without_a_retry_and_trained_once(bench, busy, first, exeunt):
    bench.plan("second", "[0, 1]")

    def release():
        try:
            assert busy.wait(PATIENCE_S), "no trial was busy"
        finally:
            first.release()

    with meanwhile(release):
        second = exeunt(*bench.words("second"))
    ended = first.finish()
    assert (ended.status, second.status) == (0, 0), ended.out + ended.err + second.out + second.err
    check_trained_once(bench)
    assert "first: 1 trial, 1 to train" in ended.out
    assert "second: 2 trials, 2 to train" in second.out
    assert "2 done, 0 running, 0 waiting, 0 failed" in second.out
    (retry,) = lines(second, "retry")
    assert retry.startswith("retry  baseline, resnet8, digits, seed 0: process ")
    assert "trains it for another sweep" in retry
    assert len(lines(second, "done ")) == 2
    tables = [(bench.path / "storage" / "sweeps" / name / "table.csv").read_text() for name in ("first", "second")]
    assert all("baseline" in table for table in tables)


def test_a_trial_that_the_other_sweep_completes_while_it_is_found_busy_has_ended_here_too(
    bench, exeunt, monkeypatch, ended
):
    """The result appears after the worker has reported `busy` and before the driver handles the report."""
    files, end = bench.store.trial(bench.shared.key), TrialQueue.ended

    def complete_elsewhere(queue, key, last, **how):
        assert last["state"] == "busy"
        files.write_spec(bench.shared.spec)
        files.write_history([{"epoch": 1, "time": 1e9, "seconds": 1.0, "test/final/top1": 50.0}])
        files.write_result(ended("done", key=bench.shared.key, metrics={"test/final/top1": 50.0}))
        end(queue, key, last, **how)

    monkeypatch.setattr(TrialQueue, "ended", complete_elsewhere)
    with bench.store.attempt(bench.shared.key, "another driver"):
        answer = exeunt(*bench.words("first"))
    assert answer.status == 0, answer.out + answer.err
    assert "1 done, 0 running, 0 waiting, 0 failed" in answer.out
    assert len(lines(answer, "done ")) == 1
    assert "baseline" in answer.out.rpartition("1 done")[2], "the table"


@pytest.mark.nightly
def test_a_trial_of_a_sweep_that_was_killed_is_trained_here(bench, busy, first, exeunt):
    """Driver and worker of the first sweep are killed after the second has found the trial busy."""
    bench.plan("second", "[0]")
    (worker,) = first.workers()

    def kill():
        try:
            assert busy.wait(PATIENCE_S), "no trial was busy"
        finally:
            first.kill()
            first.kill_group()
            with suppress(ProcessLookupError):  # it ends with its driver
                os.kill(worker, signal.SIGKILL)

    with meanwhile(kill):
        second = exeunt(*bench.words("second"))
    assert second.status == 0, second.out + second.err
    assert "1 done, 0 running, 0 waiting, 0 failed" in second.out
    assert len(lines(second, "retry")) == 1
    assert len(bench.files("attempt-*.json")) == 2
    assert bench.store.progress(bench.shared.key).state == "done"
