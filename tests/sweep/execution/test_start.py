"""Start of a sweep: which worker trains first, and what the user reads while Ray and workers start."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest
import ray

from ...command_line import descendants

pytestmark = pytest.mark.slow

FILE = """\
name: one
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 512}
methods: {baseline: {}}
"""
SLOW = """\
import pathlib, sys, time

if any("dashboard/agent.py" in word for word in sys.orig_argv):
    while pathlib.Path({waiting!r}).exists():
        time.sleep(0.05)
"""
"""Module that Python imports when it starts; a process that `ray.init` waits for stops there while a file exists."""
WAITING = "Waiting for Ray to start on this machine with 1 CPU (3 s) ...\n"


@pytest.fixture
def words(tmp_path):
    (tmp_path / "one.yaml").write_text(FILE)
    return "sweep", tmp_path / "one.yaml", "--storage", tmp_path / "storage"


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """Return the file that keeps Ray waiting as long as it exists."""
    waiting = tmp_path / "waiting"
    waiting.touch()
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW.format(waiting=str(waiting)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"), prepend=os.pathsep)
    yield waiting
    waiting.unlink(missing_ok=True)


def logs_of(program):
    """Return the directory in which the Ray of a program writes its logs."""
    (gcs,) = [line for _, line in descendants(program.process.pid) if "gcs_server" in line.split("\0")[0]]
    return Path(re.search(r"--log_dir=([^\0]+)", gcs)[1])


def test_a_trial_gets_the_worker_that_ray_starts_at_first(words, start, last_moment):
    moment = last_moment(signal.SIGCONT)
    program = start(*words, "--plugin", moment.plugin)
    program.until(moment.reached.exists)
    assert len(list(logs_of(program).glob("python-core-worker-*.log"))) == 1, "Ray started no other worker"
    moment.reached.unlink()
    assert program.finish().status == 0


@pytest.mark.usefixtures("ray_here")
def test_workers_load_pytorch_before_they_get_a_trial():
    loaded = ray.remote(lambda: sorted({"torch", "exeunt.training.train", "ray.tune"} & {*sys.modules}))
    assert ray.get(loaded.remote()) == ["exeunt.training.train", "ray.tune", "torch"]


def test_a_slow_start_says_what_it_waits_for(words, start, waiting):
    program = start(*words)
    program.wait_for_line(WAITING)
    waiting.unlink()
    answer = program.finish()
    assert answer.status == 0, answer.err
    assert "start  baseline, resnet8, digits, seed 0" in answer.out, "no trial began before Ray"


@pytest.mark.usefixtures("waiting")
def test_ctrl_c_while_ray_starts_leaves_nothing_behind(words, start, gone):
    program = start(*words)
    program.wait_for_line(WAITING)
    processes = program.processes()
    os.killpg(program.process.pid, signal.SIGINT)
    answer = program.finish()
    assert answer.status == 130, answer.err
    assert "Interrupted. Resume with: exeunt sweep" in answer.out
    assert gone(processes)
