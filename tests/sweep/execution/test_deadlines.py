"""Deadlines of trials, and trials that miss them."""

import json
import time
from types import SimpleNamespace

import pytest
from exeunt.sweep.execution import deadlines as deadlines_module
from exeunt.sweep.execution.deadlines import Deadlines

PLUGIN = """\
import re
import sys
from dataclasses import dataclass
from pathlib import Path
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
            Path("MARKER").touch()
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
resources: {max_epoch_hours: 100, retries: 0}
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
def test_trials_that_hang_exit_or_change_the_process_harm_no_other(exeunt, tmp_path, monkeypatch):
    """The clock of the deadlines runs ahead once a trial hangs."""
    marker, storage = tmp_path / "hangs", tmp_path / "storage"
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 360_000 * marker.exists())
    monkeypatch.setattr(deadlines_module, "time", clock)
    (tmp_path / "own.py").write_text(PLUGIN.replace("MARKER", str(marker)))
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    options = ("--plugin", tmp_path / "own.py", "--storage", storage, "--no-try", "--max-concurrent", "1")
    answer = exeunt("sweep", tmp_path / "sweep.yaml", *options)
    assert answer.status == 1, answer.err
    undone = "torch.backends.mkldnn.enabled = False would change all trials, so it is undone"
    assert answer.err.startswith(f"\\x1b[31mimported\nwarning: --plugin own.py: {undone}")
    failed = [line for line in answer.out.splitlines() if line.startswith("FAILED")]
    assert ["SystemExit: 0" in line for line in failed].count(True) == 2
    (hung,) = [line for line in failed if "SystemExit" not in line]
    assert "no epoch ended within 100 h 0 min (resources.max_epoch_hours), so its worker was killed" in hung
    results = [json.loads(path.read_text()) for path in storage.glob("trials/*/result.json")]
    assert [result["environment"]["settings"] for result in results] == ["torch.set_default_dtype(torch.float64)"]
