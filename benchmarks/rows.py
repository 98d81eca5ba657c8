"""Report of a benchmark: a row in results.csv with machine, versions and commit, and a printed line."""

import contextlib
import csv
import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

RESULTS = Path(__file__).parent / "results.csv"


def report(benchmark: str, value: float, unit: str, *, ratio: float | None = None) -> None:
    """Add a row to results.csv and print it.

    Args:
        benchmark: name of the benchmark.
        value: measured value.
        unit: unit of the value.
        ratio: value relative to its reference, if there is one.
    """
    row = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "benchmark": benchmark,
        "value": f"{value:.4g}",
        "unit": unit,
        "ratio": "" if ratio is None else f"{ratio:.3g}",
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "versions": _versions("exeunt", "torch", "ray", "mlflow"),
        "python": platform.python_version(),
        "commit": _commit(),
    }
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(f"{benchmark}: {row['value']} {unit}" + (f" (ratio {row['ratio']})" if row["ratio"] else ""))


def _versions(*packages: str) -> str:
    """Return the names and versions of the packages that are installed; training alone needs neither Ray nor MLflow."""
    installed = []
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed.append(f"{name} {importlib.metadata.version(name)}")
    return " ".join(installed)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """Return the measured commit, with `-changed` if files other than the results differ from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return f"{head}-changed" if _git("status", "--porcelain", "--", ".", f":!benchmarks/{RESULTS.name}") else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(RESULTS.parent.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
