"""Benchmark of planning: time and memory to read and plan a sweep of 100,000 trials in a new process.

It also measures the whole of `exeunt plan`, for that sweep and for the quickstart. Times are wall-clock seconds, so
other load on the machine increases them; the load is printed first.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import report

QUICKSTART = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
FILE = """\
name: planning
dataset: [cifar10, cifar100]
architectures: [resnet18, resnet20, resnet32, resnet56, wrn_28_10, vgg16, resnext50_32x4d, mobilenet_v2]
seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
recipe: [paper, {base: crd, learning_rate: [0.05, 0.1], weight_decay: [1e-4, 5e-4]}]
methods:
  baseline: {}
  kd: {teacher: [self, resnet50], temperature: [1, 2, 4, 8], weight: [0.5, 0.9]}
  beed: {exits: [all, "1", "1,2", "25%,50%"], head: [conv, bottleneck]}
  eed:
    exits: [all, "1", "1,2", "25%,50%"]
    head: [conv, bottleneck]
    output_loss: [mse, kl]
    temperature: [1, 2, 3, 5]
    feature_weight: [0, 0.1, 1]
"""


def plan(path: Path) -> None:
    """Plan a file; print seconds of importing, reading and planning, number of trials, and peak memory in bytes."""
    started = time.perf_counter()
    from exeunt.sweep.planning.plan import make_plan  # noqa: PLC0415
    from exeunt.sweep.planning.sweep_file import read_sweep  # noqa: PLC0415 (the import is measured)

    imported = time.perf_counter()
    sweep = read_sweep(path)
    read = time.perf_counter()
    trials = len(make_plan(sweep).trials)
    planned = time.perf_counter()
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(imported - started, read - imported, planned - read, trials, peak)


def command(path: Path, storage: Path) -> float:
    """Return the seconds of `exeunt plan`."""
    started = time.perf_counter()
    line = [sys.executable, "-m", "exeunt.sweep", "plan", path, "--storage", storage]
    subprocess.run(line, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure new processes and report."""
    print(f"load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        path, storage = Path(folder) / "sweep.yaml", Path(folder) / "runs"
        path.write_text(FILE, encoding="utf-8")
        printed = subprocess.run([sys.executable, __file__, path], capture_output=True, text=True, check=True).stdout
        importing, reading, planning, trials, peak = map(float, printed.split())
        report(f"planning: {trials:.0f} trials, imports alone", importing, "s")
        report(f"planning: {trials:.0f} trials, reading the file", reading, "s")
        report(f"planning: {trials:.0f} trials, reading and planning, of 5 s", reading + planning, "s")
        report(f"planning: {trials:.0f} trials, peak memory of the process, of 1 GB", peak / 1e9, "GB")
        report(f"planning: {trials:.0f} trials, exeunt plan with nothing stored, of 10 s", command(path, storage), "s")
        report("planning: 49 trials, exeunt plan configs/quickstart.yaml", command(QUICKSTART, storage), "s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        plan(Path(sys.argv[1]))
    else:
        main()
