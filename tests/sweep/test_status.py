"""Status of a sweep, as `exeunt status` prints it."""

import io
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from exeunt.store.lease import hold_lease
from exeunt.sweep.eta import trained_epochs
from exeunt.sweep.planning.plan import missing
from exeunt.sweep.status import QUIET_AFTER_S, StatusReader
from exeunt.sweep.terminal.progress import make_board
from rich.console import Console


@pytest.fixture
def run(run_on_store):
    return run_on_store


@pytest.fixture
def begun(store):
    """Return a function that writes the files of a trial in training."""

    def leave(trial, *, epochs=1, seconds=60.0, silent=0.0):
        with store.attempt(trial.key, "driver") as files:
            files.write_spec(trial.spec)
            record = {"train/final/top1": 50.0, "seconds": seconds, "time": time.time()}
            files.write_history([record | {"epoch": epoch + 1} for epoch in range(epochs)])
            for name in ("spec.json", "history.jsonl"):  # the heartbeat of a training that stalls goes on
                os.utime(files.directory.path / name, (time.time() - silent,) * 2)

    return leave


@pytest.fixture
def driver(store):
    """Hold the lease of the sweep."""
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        yield


def test_nothing_has_begun(plan, store):
    sweep = StatusReader(plan, store).read()
    assert sweep.counts == {"waiting": len(plan.trials)}
    assert (sweep.active, sweep.seconds_left, sweep.driver, sweep.is_over) == ((), None, None, False)


@pytest.mark.usefixtures("driver")
def test_every_state_is_counted_and_what_runs_is_told(plan, store, trained, begun, ended):
    done, first, starting, failed, diverged = plan.trials[:5]
    trained(done)
    begun(first, silent=5.0)
    with store.attempt(starting.key, "driver"):
        pass
    store.trial(failed.key).write_failure({"reason": "no room"})
    store.trial(diverged.key).write_result(ended("diverged", reason="not finite"))
    observer = StatusReader(plan, store)
    for sweep in (observer.read(), observer.read()):
        others = len(plan.trials) - 5
        assert sweep.counts == {"done": 1, "running": 2, "failed": 1, "diverged": 1, "waiting": others}
        assert [(one.trial.key, one.epoch, one.accuracy) for one in sweep.active] == [
            (first.key, 1, 50.0),
            (starting.key, 0, None),
        ]
        assert sweep.active[0].silent == pytest.approx(5, abs=2)
        assert sweep.driver is not None
        assert sweep.driver["pid"] == os.getpid()
    trained(first)
    assert observer.read().counts["done"] == 2


@pytest.mark.usefixtures("driver")
def test_the_accuracy_is_the_latest_one_on_the_images_that_are_evaluated_rarely(plan, store):
    key = plan.trials[0].key
    accuracies = [{"validation/final/top1": 60.0}, {}, {"validation/final/top1": 70.0}, {}]
    with store.attempt(key, "driver") as files:
        files.write_spec(plan.trials[0].spec)
        files.write_history(
            [
                {"epoch": epoch, "seconds": 1.0, "time": time.time(), "train/final/top1": 90.0, **accuracy}
                for epoch, accuracy in enumerate(accuracies, start=1)
            ]
        )
    (active,) = StatusReader(plan, store).read().active
    assert (active.epoch, active.accuracy, active.images) == (4, 70.0, "validation")


@pytest.mark.usefixtures("driver")
def test_the_time_left_is_that_of_the_epochs_that_are_left(plan, store, trained, begun):
    by_name = {}
    for trial in plan.trials:
        by_name.setdefault((trial.configuration.architecture, trial.configuration.method), []).append(trial)
    like, unlike = by_name["resnet8", "baseline"], by_name["resnet14", "baseline"]
    begun(like[0], seconds=100.0)
    begun(unlike[0], seconds=700.0)
    for trial in plan.trials:
        if trial.key not in {one.key for one in (*like, *unlike)}:
            trained(trial)  # of 2 s per epoch
    assert (len(like), len(unlike)) == (2, 2)
    reader = StatusReader(plan, store)
    assert reader.read().seconds_left == pytest.approx(2 * 700), "(100 + 200 + 700 + 1400) / 2, but one takes longer"
    begun(like[0], seconds=900.0)
    assert reader.read().seconds_left == pytest.approx((900 + 1800 + 700 + 1400) / 2), "two at once"


class Reported:
    """Board that gets the events of trials while their files are written."""

    def __init__(self, trials):
        self.board = make_board(trials, 0, Console(file=io.StringIO()))

    def start(self, trial, epochs, seconds):
        self.board.start(trial.key)
        for epoch in range(1, epochs + 1):
            self.board.advance(trial.key, {"epoch": epoch, "epochs": 2, "seconds": seconds})

    def seconds_left(self):
        return pytest.approx(self.board.estimator.seconds_left())


@pytest.mark.usefixtures("driver")
def test_status_and_the_board_estimate_the_same_time_left(plan, store, trained, begun, ended):
    reader, shown = StatusReader(plan, store), Reported(plan.trials)
    teacher = next(trial for trial in plan.trials if trial.role == "teacher")
    done, diverged, first, second = [
        trial for trial in plan.trials if trial.configuration.method == "baseline" and trial is not teacher
    ][:4]
    assert reader.read().seconds_left is shown.board.estimator.seconds_left() is None

    trained(done)
    shown.start(done, 2, 2.0)
    shown.board.end(done.key)
    assert reader.read().seconds_left == shown.seconds_left()

    for trial, seconds in ((first, 100.0), (second, 700.0)):
        begun(trial, seconds=seconds)
        shown.start(trial, 1, seconds)
    assert reader.read().seconds_left == shown.seconds_left()

    resumed = Reported(missing(plan, store))
    for trial in plan.trials:
        resumed.board.estimator.recall(trial, *trained_epochs(trial, store.progress(trial.key), store))
    for trial in (first, second):
        resumed.board.start(trial.key)
    assert reader.read().seconds_left == resumed.seconds_left() == shown.seconds_left()

    begun(diverged, seconds=50.0)
    store.trial(diverged.key).write_result(ended("diverged", reason="not finite"))
    begun(teacher, seconds=900.0)
    store.trial(teacher.key).write_failure({"reason": "no room"})
    shown.board.pause(first.key)  # so that two run at a time
    shown.board.pause(second.key)
    for trial, seconds in ((diverged, 50.0), (teacher, 900.0)):
        shown.start(trial, 1, seconds)
        shown.board.end(trial.key, problem="it ended")
    before = shown.seconds_left()
    assert reader.read().seconds_left != before, "students of both wait for nothing"
    for trial in plan.trials:
        if {diverged.key, teacher.key}.intersection(trial.depends_on):
            shown.board.end(trial.key, problem="its teacher did not complete")
    assert reader.read().seconds_left == shown.seconds_left() != before

    grown = replace(plan, coming=((first, 10),))
    shown.board.add_expected(first, 10)
    assert StatusReader(grown, store).read().seconds_left == shown.seconds_left()


def test_a_sweep_whose_trials_have_all_ended_is_over(plan, store, trained):
    for trial in plan.trials[:-1]:
        trained(trial)
    assert not StatusReader(plan, store).read().is_over
    store.trial(plan.trials[-1].key).write_failure({"reason": "no room"})
    assert StatusReader(plan, store).read().is_over


def test_status_says_who_runs_what_and_fits_80_columns(plan, store, trained, begun, run):
    store.save_sweep(plan)
    trained(plan.trials[0])
    begun(plan.trials[1], silent=2 * QUIET_AFTER_S)
    store.trial(plan.trials[2].key).write_failure({"reason": "no room " * 30})
    status, out, err = run("status", "tiny")
    assert (status, err) == (0, "")
    assert "Not running. Resume with: exeunt sweep FILE" in out
    assert f"1 done, 1 started, {len(plan.trials) - 3} waiting, 1 failed\n" in out
    assert "1 of 2" in out
    assert "50.00 train" in out
    assert "30 min 0 s ago: stalled?" in " ".join(out.split())
    assert "no room no room" in out
    assert max(map(len, out.splitlines()[1:])) <= 80
    assert "\x1b" not in out
    with hold_lease(store.sweep_directory("tiny"), "tiny"):
        out = run("status", "tiny")[1]
    assert f"Running as process {os.getpid()} on " in out
    assert f"1 done, 1 running, {len(plan.trials) - 3} waiting, 1 failed; about " in out


def test_watching_a_sweep_that_is_over_ends(plan, store, trained, run):
    store.save_sweep(plan)
    for trial in plan.trials:
        trained(trial)
    status, out, err = run("status", "tiny", "--watch")
    assert (status, err) == (0, "")
    assert out.endswith(f" {len(plan.trials)} done, 0 started, 0 waiting, 0 failed\n")


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_ends_watching_without_a_word(terminal, plan, store, trained):
    store.save_sweep(plan)
    trained(plan.trials[0])
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("exeunt"), "status", "tiny", "--watch", "--storage", store.location]
    stdout = theirs if terminal else subprocess.PIPE
    as_at_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background processes ignore SIGINT
    with subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm"},
        preexec_fn=as_at_a_terminal,  # noqa: PLW1509 (no thread runs here)
    ) as watch:
        shown = b""
        while b"1 done" not in shown:
            shown += os.read(ours, 1000) if terminal else watch.stdout.read1(1000)
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (watch.returncode, errors) == (0, b"")
