"""Ray Tune as an executor, with a worker that does what its trial's spec says."""

import os
import signal
import time
from collections import defaultdict
from functools import partial
from types import SimpleNamespace

import pytest
from exeunt.sweep.execution.cluster import ray_at
from exeunt.sweep.execution.trial_queue import Suggestion
from exeunt.sweep.execution.tune import run_trials
from exeunt.sweep.planning.resources import Resources


class UnreadableError(Exception):
    """Exception whose pickled form cannot be loaded."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def work(config):
    """Report the states in the spec, or end as it says."""
    import json
    import re

    from ray import tune

    for act in json.loads(config["spec"]):
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "raise":
            raise ValueError("first line\nsecond line")
        elif act == "raise unreadable":
            raise UnreadableError(1, 2)
        elif act == "hang":
            re.match("(a+)+$", "a" * 60 + "b")  # holds Python's global lock for years
        elif act == "sleep":
            time.sleep(0.5)
        else:
            tune.report({"state": act, "prepared": os.environ.get("PREPARED"), "process": os.getpid()})


def prepare(text):
    os.environ["PREPARED"] = text


class Recorder:
    """Receiver that records events, and stops each trial after the report `stop`."""

    def __init__(self, trials):
        self.waiting = [
            Suggestion(trial=SimpleNamespace(key=key, located_spec=acts), gpu=0.0) for key, acts in trials.items()
        ]
        self.events = defaultdict(list)
        self.reports = []
        self.ends_after = None
        self.hangs = None
        self.last = 0.0

    def suggest(self):
        return self.waiting.pop(0) if self.waiting else "finished"

    def is_overdue(self, key):
        is_hung = self.hangs is not None and self.events[self.hangs] == ["started", "running"]
        return key == self.hangs and is_hung and time.monotonic() > self.last + 0.5

    def is_ending(self):
        return self.ends_after is not None and self.ends_after in self.events

    def started(self, key):
        self.events[key].append("started")

    def reported(self, key, report):
        self.events[key].append(report["state"])
        self.last = time.monotonic()
        self.reports.append(report)
        return report["state"] == "stop"

    def ended(self, key, last, error):
        self.events[key].append(("ended", last.get("state"), error))


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs trials, given as acts by key, and returns the recorder."""
    for variable in [name for name in os.environ if name.startswith("TUNE_")]:
        monkeypatch.delenv(variable)

    def run(recorder, cores=1):
        with ray_at(None) as ready:
            ready()
            run_trials(
                recorder.suggest,
                recorder,
                work,
                partial(prepare, "once"),
                name="test",
                resources_of=lambda _: Resources(cpu=cores),
            )
        return recorder

    return run


@pytest.mark.slow
def test_each_attempt_is_told_from_its_start_to_its_end(run, capfd):
    recorder = run(
        Recorder(
            {
                "done": ["running", "running", "done"],
                "stopped": ["running", "stop", "sleep", "running"],
                "raised": ["running", "raise"],
                "died": ["running", "sleep", "die"],
                "silent": ["raise"],
                "unread": ["raise unreadable"],
                "after": ["done"],
            }
        )
    )
    *_, (_, _, unread) = recorder.events["unread"]
    assert unread.startswith("TypeError: UnreadableError.__init__() missing 1 required")
    assert recorder.events == {
        "done": ["started", "running", "running", "done", ("ended", "done", "")],
        "stopped": ["started", "running", "stop", ("ended", "stop", "")],
        "raised": ["started", "running", ("ended", "running", "ValueError: first line")],
        "died": ["started", "running", ("ended", "running", "worker died")],
        "silent": ["started", ("ended", None, "ValueError: first line")],
        "unread": ["started", ("ended", None, unread)],
        "after": ["started", "done", ("ended", "done", "")],
    }
    assert {report["prepared"] for report in recorder.reports} == {"once"}
    assert [line for line in capfd.readouterr().out.splitlines() if "(raylet)" not in line] == []


@pytest.mark.slow
def test_trials_share_workers_and_those_that_have_not_started_are_dropped_at_the_end(run, capfd):
    recorder = Recorder({"first": ["sleep", "running"], "second": ["running"], "third": ["running"]})
    recorder.ends_after = "first"
    run(recorder, cores=len(os.sched_getaffinity(0)))
    assert recorder.events["first"] == ["started", "running", ("ended", "running", "")]
    assert all(recorder.events[key] == [("ended", None, "")] for key in recorder.events if key != "first")
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_the_worker_of_an_overdue_trial_is_killed_whatever_it_does(run):
    recorder = Recorder({"hung": ["running", "hang"], "next": ["done"]})
    recorder.hangs = "hung"
    run(recorder, cores=len(os.sched_getaffinity(0)))
    assert recorder.events == {
        "hung": ["started", "running", ("ended", "running", "worker died")],
        "next": ["started", "done", ("ended", "done", "")],
    }
