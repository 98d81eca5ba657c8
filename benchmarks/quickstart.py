"""Benchmark of the quickstart as a user runs it, each command in a separate process."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import report

SWEEP_FILE = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
ONE_TRIAL = """\
name: one
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 64}
methods: {timed: {}}
"""
TIMED = """\
import os
from dataclasses import dataclass
from pathlib import Path

from exeunt.losses import Baseline, method


@method("timed")
@dataclass(frozen=True, kw_only=True)
class Timed(Baseline):
    def loss(self, inputs, learned):
        Path(os.environ["FIRST_STEP"]).touch()
        return super().loss(inputs, learned)
"""
"""Plugin with a method that creates a file in each step."""
REFERENCE = """\
import logging
import torch
import ray

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
print("ready", flush=True)
"""
"""Program without Exeunt that loads PyTorch and then starts Ray."""
RUNS = 5


def exeunt(*arguments: str) -> subprocess.Popen[bytes]:
    """Start `exeunt` with these arguments."""
    command = [sys.executable, "-m", "exeunt.sweep", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def seconds_of(process: subprocess.Popen[bytes], started: float) -> float:
    """Return the seconds from `started` to the end of a process. Raise `RuntimeError` if it failed."""
    if process.wait() != 0:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    return time.perf_counter() - started


def first_step() -> float:
    """Return the seconds from `exeunt sweep` with one trial to its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        file, plugin, mark = Path(folder) / "one.yaml", Path(folder) / "timed.py", Path(folder) / "mark"
        file.write_text(ONE_TRIAL, encoding="utf-8")
        plugin.write_text(TIMED, encoding="utf-8")
        os.environ["FIRST_STEP"] = str(mark)
        started = time.perf_counter()
        process = exeunt("sweep", str(file), "--plugin", str(plugin), "--storage", str(Path(folder) / "storage"))
        while not mark.exists():
            if process.poll() is not None:
                raise RuntimeError(f"{process.args} ended with {process.returncode}")
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        seconds_of(process, started)
    return seconds


def reference() -> float:
    """Return the seconds in which a program without Exeunt loads PyTorch and starts Ray."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", REFERENCE], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.perf_counter() - started
    seconds_of(process, started)
    return seconds


def main() -> None:
    """Measure and report."""
    pairs = [(first_step(), reference()) for _ in range(RUNS)]  # in turn, since other load changes
    ours, plain = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    report(f"quickstart: first step, beside PyTorch and Ray alone, median of {RUNS}", ours, "s", ratio=ours / plain)
    helps = []
    for _ in range(RUNS):
        started = time.perf_counter()
        helps.append(seconds_of(exeunt("--help"), started))
    report("quickstart: exeunt --help, median of 5", statistics.median(helps), "s")
    with tempfile.TemporaryDirectory() as storage:
        started = time.perf_counter()
        process = exeunt("sweep", str(SWEEP_FILE), "--storage", storage)
        for file, moment in (
            ("spec.json", "first training begins after"),
            ("history.jsonl", "first epoch is kept after"),
        ):
            while not list(Path(storage).glob(f"trials/*/{file}")):
                time.sleep(0.02)
            report(f"quickstart: {moment}", time.perf_counter() - started, "s")
        report("quickstart: sweep of 49 trials", seconds_of(process, started), "s")
        started = time.perf_counter()
        report(
            "quickstart: same sweep again",
            seconds_of(exeunt("sweep", str(SWEEP_FILE), "--storage", storage), started),
            "s",
        )


if __name__ == "__main__":
    main()
