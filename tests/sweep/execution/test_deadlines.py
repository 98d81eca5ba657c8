"""Deadlines of trials, and trials that miss them."""

import json
from types import SimpleNamespace

import pytest
from exeunt.sweep.execution import deadlines as deadlines_module
from exeunt.sweep.execution.deadlines import Deadlines

PLUGIN = """\
import re
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from exeunt.losses import Baseline, Method, method
from exeunt.training import register_optimizer

torch.backends.mkldnn.enabled = False
print("\\x1b[31mimported")


@method("own")
@dataclass(frozen=True, kw_only=True)
class Own(Method):
    \"\"\"As the baseline, or without an end.\"\"\"

    paper: ClassVar = "none"
    act: str = "nothing"

    def loss(self, inputs, learned):
        if self.act == "hang" and inputs.progress > 0.5:
            re.match("(a+)+$", "a" * 60 + "b")
        if self.act == "leak":
            torch.set_default_dtype(torch.float64)
        return Baseline.loss(Baseline(), inputs, learned)


@register_optimizer("exits")
def exits(groups, recipe):
    class Exits(torch.optim.SGD):
        def step(self, closure=None):
            sys.exit(0)

    return Exits(groups, lr=0.1)
"""
SWEEP = """\
name: waits
dataset: digits
architectures: [resnet8]
seeds: [0]
order: file
recipe:
- {base: fast, epochs: 2, batch_size: 479, crop: none, flip: false}
- {base: fast, epochs: 2, batch_size: 479, crop: none, flip: false, optimizer: exits}
resources: {max_epoch_hours: 0.002, retries: 0}
methods:
  own: {act: [hang, leak]}
"""


@pytest.fixture
def clock(monkeypatch):
    """Time of the deadlines, as an attribute `now`."""
    time = SimpleNamespace(now=0.0)
    monkeypatch.setattr(deadlines_module, "time", SimpleNamespace(monotonic=lambda: time.now))
    return time


def test_a_trial_is_overdue_once_if_it_does_not_report_in_time(clock):
    deadlines = Deadlines(report_s=7200)
    assert not deadlines.is_overdue("never started")
    deadlines.heard("a")
    clock.now = 7100
    deadlines.heard("b")
    clock.now = 7201
    assert [deadlines.is_overdue(key) for key in ("a", "a", "b")] == [True, False, False]
    assert deadlines.reason("a").startswith("no epoch ended within 2 h 0 min (resources.max_epoch_hours)")
    assert deadlines.reason("b") == ""
    assert not deadlines.did_not_stop("a")
    deadlines.heard("a")  # its next attempt
    assert (deadlines.reason("a"), deadlines.is_overdue("a")) == ("", False)


def test_a_trial_is_overdue_if_it_does_not_stop_in_time(clock):
    deadlines = Deadlines(report_s=7200, stop_s=60)
    deadlines.heard("a")
    deadlines.stop_trials()
    clock.now = 59
    assert not deadlines.is_overdue("a")
    clock.now = 61
    assert deadlines.is_overdue("a")
    assert deadlines.did_not_stop("a")
    assert deadlines.reason("a") == "did not stop within 1 min 0 s, so its worker was killed"


@pytest.mark.slow
def test_trials_that_hang_exit_or_change_the_process_harm_no_other(exeunt, tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    storage = tmp_path / "storage"
    words = ("sweep", tmp_path / "sweep.yaml", "--plugin", tmp_path / "own.py", "--storage", storage, "--no-try")
    answer = exeunt(*words)
    assert answer.status == 1, answer.err
    assert answer.err == (
        "\\x1b[31mimported\nwarning: --plugin own.py: torch.backends.mkldnn.enabled = False would change all trials, so "
        "it is undone after the plugin is imported. Move it into the function that needs it.\n"
    )
    failed = [line for line in answer.out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 3
    assert (
        sum("no epoch ended within 7 s (resources.max_epoch_hours), so its worker was killed" in one for one in failed)
        == 1
    )
    assert sum("SystemExit: 0" in one for one in failed) == 2
    results = [json.loads(path.read_text()) for path in storage.glob("trials/*/result.json")]
    assert [result["environment"]["settings"] for result in results] == ["torch.set_default_dtype(torch.float64)"]
