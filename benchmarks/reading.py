"""Benchmark of the commands that read: CPU seconds and memory of each, beside the import of what it needs.

    python benchmarks/reading.py [--storage DIR] [--trials 5000] [--repeats 3]

The first store is that of the quickstart, which is run at first unless `--storage` has it. The second has the given
number of finished trials: 10 configurations on 5 networks, with as many seeds as needed. Their plan is real, and their
files are copies of those of one trial of the quickstart. Each command is a new process, and the value is the median of
the repeats. Imports are measured in turn with the commands.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exeunt.store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from rows import report

QUICKSTART = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
LARGE = """\
name: large
dataset: cifar100
architectures: [resnet20, resnet32, resnet44, resnet56, resnet110]
seeds: {seeds}
recipe: {{base: paper, epochs: 20}}
methods:
  baseline: {{}}
  kd: {{teacher: self, temperature: [1, 2, 4]}}
  eed: {{exits: all, output_loss: [mse, kl], output_weight: [0.25, 0.5, 1]}}
"""
PER_SEED = 50
"""Number of trials of a seed in `LARGE`."""
OTHER = """\
name: other
dataset: cifar10
architectures: [torchvision/resnet18]
seeds: [0]
methods: {eed: {exits: all}}
"""
MISTYPED = """\
name: mistyped
dataset: digits
architectures: [resnet8]
seeds: [0]
methodes: {baseline: {}}
"""
IMPORTS = {
    "c": "import typer, rich.console",
    "p": "import pandas, scipy.stats",
    "m": "import pandas, scipy.stats, matplotlib.pyplot",
    "t": "import torch",
}
MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Usage:
    """CPU seconds and peak memory of a process with its children."""

    seconds: float
    memory: float
    """Peak memory of one process in bytes."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command with its limit."""

    words: Sequence[str | Path]
    limit: Callable[[dict[str, float]], float]
    """CPU seconds by those of the imports."""
    status: int = 0

    def __str__(self) -> str:
        """Return the command without its folders."""
        return " ".join(Path(word).name if isinstance(word, Path) else word for word in self.words)


def used(*words: str | Path, status: int = 0) -> Usage:
    """Run a program, and return what it used. Its exit status has to be the given one."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    assert process.returncode == status, f"{words} ended with {process.returncode}: {said[-2000:]}"
    return Usage(seconds=usage.ru_utime + usage.ru_stime, memory=usage.ru_maxrss * 1024)


def exeunt(*words: str | Path, status: int = 0) -> Usage:
    """Run a command of Exeunt."""
    return used(Path(sys.executable).with_name("exeunt"), *words, status=status)


def fill(storage: Path, trials: int, template: Store) -> None:
    """Save a sweep of finished trials; each has the files of a trial with exits of the quickstart."""
    path = storage.with_name("large.yaml")
    path.write_text(LARGE.format(seeds=list(range(trials // PER_SEED))), encoding="utf-8")
    plan, store = make_plan(read_sweep(path)), Store(storage)
    store.save_sweep(plan)
    quickstart = template.plan("quickstart")
    source = template.trial(next(trial.key for trial in quickstart.trials if trial.configuration.exits != "none"))
    result, history, weights = source.result(), source.history(), source.weights()
    assert result is not None
    assert weights is not None
    for trial in plan.trials:
        files = store.trial(trial.key)
        files.write_spec(trial.spec)
        files.write_history(history)
        files.write_weights(weights)
        files.write_result({**result, "key": trial.key})


def of_quickstart(folder: Path, storage: Path) -> Iterator[Command]:
    """Iterate over the commands that are measured on the quickstart's store, and without a store."""
    for name, text in {"mistyped": MISTYPED, "other": OTHER}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    at = ("--storage", storage)
    yield Command(words=("status", "quickstart", *at), limit=lambda of: of["c"] + 0.5)
    yield Command(words=("list", "methods"), limit=lambda of: of["c"] + 0.5)
    mistyped = ("sweep", folder / "mistyped.yaml", *at)
    yield Command(words=mistyped, limit=lambda of: of["c"] + 0.8, status=2)
    yield Command(words=("table", "quickstart", *at), limit=lambda of: 1.5 * of["p"] + 0.3)
    yield Command(words=("explain", "quickstart", "resnet8", "kd", *at), limit=lambda of: 1.5 * of["p"] + 0.3)
    yield Command(words=("plan", QUICKSTART, *at), limit=lambda of: of["c"] + 1.5)
    yield Command(words=("plan", folder / "other.yaml", *at), limit=lambda of: of["t"] + 1.0)
    page = ("report", "quickstart", *at, "--out", folder / "report.html")
    yield Command(words=page, limit=lambda of: 2.5 * of["m"] + 1.0)


def of_large(storage: Path) -> Iterator[Command]:
    """Iterate over the commands that are measured on the large store."""
    at = ("--storage", storage)
    for name, limit in {"status": 4.0, "table": 6.0, "verify": 30.0}.items():
        yield Command(words=(name, "large", *at), limit=lambda _, limit=limit: limit)
    yield Command(words=("clean", "--dry-run", *at), limit=lambda _: 3.0)


def measured(commands: Sequence[Command], repeats: int, title: str) -> None:
    """Run commands and imports in turn, and report the medians beside the limits."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for command in commands:
        exeunt(*command.words, status=command.status)  # once before: caches, and measured networks
    for _ in range(repeats):
        for name, text in IMPORTS.items():
            seconds.setdefault(name, []).append(used(sys.executable, "-c", text).seconds)
        for command in commands:
            usage = exeunt(*command.words, status=command.status)
            seconds.setdefault(str(command), []).append(usage.seconds)
            memory[str(command)] = max(usage.memory, memory.get(str(command), 0.0))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, text in IMPORTS.items():
        report(f"reading: {title}, {text}", medians[name], "s of CPU")
    for command in commands:
        limit = command.limit(medians)
        value = medians[str(command)]
        report(f"reading: {title}, {command}, of {limit:.2f} s", value, "s of CPU", ratio=value / limit)
        report(f"reading: {title}, {command}: peak memory", memory[str(command)] / MEGABYTE, "MB")


def synced(storage: Path, trials: int) -> None:
    """Report the speed of `exeunt sync` into an empty database, from which `table` reads."""
    usage = exeunt("sync", "large", "--storage", storage)
    report(f"reading: {trials} trials, sync, of 60 /s", trials / usage.seconds, "runs per s of CPU")


def main() -> None:
    """Measure both stores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--storage", type=Path, help="storage of a quickstart that has run")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    print(f"load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        storage = options.storage
        if storage is None:
            storage = folder / "quickstart"
            exeunt("sweep", QUICKSTART, "--storage", storage)
        measured([*of_quickstart(folder, storage)], options.repeats, "quickstart")
        large = folder / "large"
        fill(large, options.trials, Store(storage))
        synced(large, options.trials)
        measured([*of_large(large)], options.repeats, f"{options.trials} trials")


if __name__ == "__main__":
    main()
