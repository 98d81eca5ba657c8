"""Benchmark of one epoch of resnet20 on CIFAR-100, on the CPU: `python benchmarks/cifar100.py --data DIR`."""

import argparse
import os
import tempfile
from pathlib import Path

from exeunt.losses import EED, Baseline, Method
from exeunt.models import ArchitectureSpec, ExitSpec
from exeunt.store import TrialFiles
from exeunt.training import DatasetSpec, DataSource, Recipe, TrialSpec, train
from rows import report

METHODS: dict[str, Method] = {"baseline": Baseline(), "eed": EED()}


def main() -> None:
    """Train one epoch with each method and report its speed and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory of CIFAR-100")
    source = DataSource(directory=parser.parse_args().data)
    cores = len(os.sched_getaffinity(0))
    for name, method in METHODS.items():
        trial = TrialSpec(
            dataset=DatasetSpec(name="cifar100"),
            architecture=ArchitectureSpec(name="resnet20"),
            method=method,
            exits=ExitSpec(placement="none" if method.exits == "ignored" else "all"),
            recipe=Recipe(epochs=1),
        )
        with tempfile.TemporaryDirectory() as folder:
            directory = TrialFiles(Path(folder))
            result = train(trial, directory, source=source, device="cpu", threads=cores)
            record = directory.history()[0]
        what = f"training: resnet20, {name}, cifar100, {result['environment']['precision']}, {cores} threads"
        report(what, record["images_per_second"], "images/s")
        report(f"{what}: an epoch", record["seconds"], "s")
        report(f"{what}: peak memory of the process", record["peak_memory_bytes"] / 2**20, "MiB")


if __name__ == "__main__":
    main()
