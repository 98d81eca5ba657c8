"""The check of the GPU path: its rehearsal on the CPU, planted faults, and what happens around its stages."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exeunt.training import datasets

from ..training.test_alone import NEEDED, closure, environment_of, link_files

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
STAGES = ["facts", "tests", "no-wait", "numbers", "graphs", "speed", "sharing", "science", "ddp"]

WITH_A_FAULT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
fault = sys.argv.pop(1)
import accelerator
accelerator.use_this_checkout(Path(sys.argv[3]) / "namespace", None)
from exeunt.training.epoch_metrics import EpochMetrics
from exeunt.training.loop import TrainingLoop
from gpu_check.stages import no_wait
if fault == "wait":
    no_wait.RECIPES = {"eed": no_wait.RECIPES["eed"]}
    real = EpochMetrics.add_outputs
    EpochMetrics.add_outputs = lambda self, batch, logits: (logits[-1].sum().item(), real(self, batch, logits))
if fault == "numbers":
    real = TrainingLoop.restore
    TrainingLoop.restore = lambda self, state: real(self, state | {"updates": self.state()["updates"]})
sys.exit(accelerator.main())
"""

THEIR_TRAINING = """
import argparse
import torch
from data import prepare_cifar100_test_dataset, prepare_cifar100_train_dataset

class AverageMeter:
    def update(self, value, n=1):
        pass

class ResNet(torch.nn.Module):
    pass

def parse_args():
    return argparse.ArgumentParser().parse_args()

def run_training(arguments):
    meters = [AverageMeter() for _ in range(5)]
    layer = torch.nn.Linear(3 * 32 * 32, 100).cuda()
    for images, labels in prepare_cifar100_train_dataset(data_dir=""):
        loss = torch.nn.functional.cross_entropy(layer(images.cuda().flatten(1)), labels.cuda())
        loss.backward()
        for meter in meters:
            meter.update(loss.item(), len(images))
"""
THEIR_DATA = "prepare_cifar100_train_dataset = prepare_cifar100_test_dataset = None"


@pytest.fixture
def reference(tmp_path):
    """Directory with a program that has the names of the authors' program."""
    folder = tmp_path / "reference"
    folder.mkdir()
    (folder / "train.py").write_text(THEIR_TRAINING)
    (folder / "data.py").write_text(THEIR_DATA)
    return folder


def ends(out):
    """Return the verdict and the reason of each stage, from check.jsonl."""
    lines = [json.loads(line) for line in (out / "check.jsonl").read_text().splitlines()]
    return {line["stage"]: (line["verdict"], line["reason"]) for line in lines if "verdict" in line}


def checked(command, out, *options, **environment):
    """Run the check with this Python and return its exit status."""
    words = [*command, "check", "--out", out, "--rehearse", "--minutes", "14", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(words, check=False, capture_output=True, env=kept | environment, timeout=850).returncode


@pytest.mark.slow
def test_cheap_stages_are_rehearsed_on_the_cpu(tmp_path):
    assert checked([sys.executable, BENCHMARKS / "accelerator.py"], tmp_path, "--only", "facts,ddp") == 0
    assert ends(tmp_path) == {"facts": ("PASS", ""), "ddp": ("PASS", "")}


@pytest.mark.nightly
def test_every_stage_is_rehearsed_on_the_cpu(tmp_path, reference):
    status = checked([sys.executable, BENCHMARKS / "accelerator.py"], tmp_path, "--reference", reference)
    page = (tmp_path / "check.md").read_text()
    assert (status, list(ends(tmp_path))) == (0, STAGES), page
    assert {verdict for verdict, _ in ends(tmp_path).values()} == {"PASS"}, page
    assert page.startswith("# Check of the GPU path\n\nA rehearsal on a CPU")
    assert f"**Verdict: PASS {', '.join(STAGES)}**" in page
    assert "| eed | pass | " in page
    assert "| beside the authors' loop | pass | " in page
    assert page.count("\n## ") == len(STAGES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "stage", "found"),
    [
        ("wait", "no-wait", "_local_scalar_dense"),
        pytest.param(
            "numbers",
            "numbers",
            "| resumed half-way, beside straight | **FAIL** |",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_planted_fault_fails_its_stage(fault, stage, found, tmp_path):
    status = checked([sys.executable, "-c", WITH_A_FAULT, BENCHMARKS, fault], tmp_path, "--only", stage)
    page = (tmp_path / "check.md").read_text()
    assert (status, list(ends(tmp_path))) == (1, [stage])
    assert f"**Verdict: FAIL {stage}**" in page
    assert found in page


@pytest.mark.nightly
def test_a_machine_with_torch_torchvision_and_numpy_alone_runs_the_check(tmp_path):
    check = [environment_of(tmp_path / "environment", NEEDED), BENCHMARKS / "accelerator.py"]
    assert checked(check, tmp_path / "one", "--only", "facts,tests") == 0
    reason = "pytest is not installed; give a directory that contains it: --vendor DIR"
    assert ends(tmp_path / "one") == {"facts": ("PASS", ""), "tests": ("SKIP", reason)}
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    for distribution in closure(["pytest"]).values():
        link_files(distribution, vendor)
    assert checked(check, tmp_path / "two", "--vendor", vendor, "--only", "tests,no-wait,ddp") == 0
    assert ends(tmp_path / "two") == dict.fromkeys(("tests", "no-wait", "ddp"), ("PASS", ""))


@pytest.fixture
def runner(monkeypatch):
    """Module that runs the stages. Its synthetic datasets are unregistered afterwards."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu_check import runner

    yield runner
    for name in ("noise", "much_noise"):
        datasets.unregister(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "gpu_check"]:
        sys.modules.pop(name)


@pytest.fixture
def run(runner, monkeypatch, tmp_path):
    """Function that runs these stages, and returns the exit status, the ends and the time in seconds."""

    def run_stages(*, seconds=60.0, rehearse=True, **stages):
        monkeypatch.setattr(runner, "STAGES", {name: runner.Stage(*stage) for name, stage in stages.items()})
        monkeypatch.setattr(runner, "PATIENCE", 1)
        monkeypatch.setattr(runner, "LITTLE_S", 0.1)
        settings = runner.Settings(out=tmp_path, rehearse=rehearse)
        started = time.monotonic()
        status = runner.check(settings, list(stages), seconds=seconds)
        return status, ends(tmp_path), time.monotonic() - started

    return run_stages


def passes(_settings, notes):
    notes.note("a fact", passed=True, value=0.123456)


def test_a_failed_stage_does_not_stop_the_next(run, runner, tmp_path):
    def fails(_settings, notes):
        notes.note("first", passed=True)
        notes.note("second", passed=False, difference=2.0)

    def raises(*_):
        raise ValueError("a | b\nand more")

    def dies(*_):
        os._exit(3)

    def skips(*_):
        raise runner.SkippedError("no data")

    status, found, _ = run(a=(fails, 9), b=(raises, 9), c=(dies, 9), d=(skips, 9), e=(passes, 9))
    assert status == 1
    assert found.pop("b")[1].startswith("ValueError: a | b (benchmarks/test_accelerator.py:")
    assert found == {
        "a": ("FAIL", "second"),
        "c": ("FAIL", "its process ended with status 3; see logs/c.log"),
        "d": ("SKIP", "no data"),
        "e": ("PASS", ""),
    }
    page = (tmp_path / "check.md").read_text()
    assert "**Verdict: FAIL a, b, c; SKIP d; PASS e**" in page
    assert "| what | | seconds | difference |\n|---|---|---|---|\n| first | pass | " in page
    assert "| a fact | pass | " in page
    assert " 0.1235 |" in page
    assert "ValueError: a | b" in (tmp_path / "logs" / "b.log").read_text()


@pytest.mark.slow
def test_a_stage_ends_at_its_limit_with_its_processes(run, tmp_path):
    def hangs(_settings, notes):
        notes.note("begun")
        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "pid").write_text(str(child.pid))
        time.sleep(60)

    status, found, seconds = run(a=(hangs, 0.5), b=(passes, 9))
    assert seconds < 20
    assert (status, found["a"]) == (1, ("FAIL", "not completed within its limit of 0 s"))
    assert found["b"] == ("PASS", "")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()}/status")
    assert not status.exists() or "\nState:\tZ" in status.read_text()


@pytest.mark.slow
def test_the_whole_stops_in_time(run):
    status, found, seconds = run(seconds=1.0, a=(lambda *_: time.sleep(60), 30), b=(passes, 30))
    assert seconds < 20
    assert (status, found["b"]) == (1, ("SKIP", "no time is left"))


def test_without_a_gpu_a_check_that_is_no_rehearsal_fails(run):
    from gpu_check.stages import facts

    status, found, _ = run(rehearse=False, seconds=60.0, facts=(facts.run, 30))
    import torch

    assert (status, found["facts"]) == ((0, ("PASS", "")) if torch.cuda.is_available() else (1, ("FAIL", "CUDA GPU")))


@pytest.mark.slow
def test_a_stage_that_does_not_exist_is_refused(tmp_path):
    ran = subprocess.run(
        [sys.executable, BENCHMARKS / "accelerator.py", "check", "--out", tmp_path, "--only", "speeds"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert "no stage is called speeds; the stages are facts, tests" in ran.stderr
